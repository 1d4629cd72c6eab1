"""What somebody wishes a robot to do, as `cmd_vel` says it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node
from rclpy.subscription import Subscription

from daydreamer.periodic import Schedule
from ros_nodes import topics
from ros_nodes.graph_checks import type_name

SILENT_S = 0.5
"""Whoever has not been heard for so long wishes nothing any more: the robot is to stand."""
LOOK_S = 1.0
"""Between two looks at who publishes."""


class WishedTwist:
    """The newest wish on `cmd_vel`, as TwistStamped or Twist, whichever is published.

    Gamepads, navigation and older robots differ in it, so that it is subscribed to when somebody publishes. Of both at
    once TwistStamped is heard.

    Attributes:
      topic_name: resolved.
    """

    def __init__(self, node: Node, largest: float, on_fault: Callable[[str], None]) -> None:
        """Subscribes to nothing yet.

        Args:
          largest: beyond it a wish is a broken message.
          on_fault: is told of such, a sentence.
        """
        self._node = node
        self._largest = largest
        self._on_fault = on_fault
        self.topic_name = node.resolve_topic_name(topics.VELOCITY_COMMAND)
        self._subscription: Subscription | None = None
        self._message_type: type | None = None
        self._look = Schedule(LOOK_S, at_once=True)
        self._wish = np.zeros(2)
        self._received_s = -math.inf

    def newest(self) -> np.ndarray | None:
        """Forward speed in m/s and turn rate in rad/s `[2]`; zeros once nobody says so any more, None before."""
        if self._look.due():
            self._subscribe()
        if self._received_s == -math.inf:
            return None
        return self._wish if time.monotonic() - self._received_s <= SILENT_S else np.zeros(2)

    def _subscribe(self) -> None:
        published = {each.topic_type for each in self._node.get_publishers_info_by_topic(self.topic_name)}
        heard = next((each for each in (TwistStamped, Twist) if type_name(each) in published), self._message_type)
        if heard is self._message_type:
            return
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._message_type = heard
        self._subscription = self._node.create_subscription(
            heard, topics.VELOCITY_COMMAND, self.take, topics.LATEST_ONLY, event_callbacks=topics.UNOBSERVED
        )

    def take(self, message: Twist | TwistStamped) -> None:
        """A message has come."""
        twist = message.twist if isinstance(message, TwistStamped) else message
        wish = np.array((twist.linear.x, twist.angular.z))
        if not (np.abs(wish) <= self._largest).all():  # false for what is not a number
            self._on_fault(f"A message on {self.topic_name} is unusable ({np.array2string(wish, precision=3)}).")
            return
        self._wish, self._received_s = wish, time.monotonic()
