"""A gamepad that is heard by a command which drives nothing over ROS 2."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

from rclpy.node import Node
from sensor_msgs.msg import Joy

from daydreamer.actor.gamepad import LAYOUTS, GamepadLayout
from daydreamer.errors import UserError
from ros_nodes import runtime, topics
from ros_nodes.graph_watch import NAME_S, publishers_of, subscribers_of

PATIENCE_S = 5.0
"""In which a gamepad that is published is found, and says something: joy_node repeats itself."""


class Gamepad:
    """Takes what comes on `joy`."""

    def __init__(self, node: Node, spinner: runtime.Spinner):
        self._node = node
        self._spinner = spinner
        self._messages: list[tuple[Sequence[float], Sequence[int]]] = []
        self._subscription = node.create_subscription(Joy, topics.GAMEPAD, self._take, topics.LATEST_ONLY)

    def hear(self, seconds: float) -> list[tuple[Sequence[float], Sequence[int]]]:
        """Axes and buttons of all messages that have come by the end of so much time."""
        self._spinner.until(time.monotonic() + seconds)
        heard = -1
        while heard < len(self._messages):  # also where there is no time to wait, as before a twin that is slow
            heard = len(self._messages)
            self._spinner.once(0.0)
        messages, self._messages = self._messages, []
        return messages

    def require(self, layout: GamepadLayout, name: str) -> None:
        """Waits for its first word.

        Raises:
          UserError: there is none, there are several gamepads, it is laid out otherwise, or somebody else hears it, as
            the actor of a robot that is not meant.
        """
        topic, end_s = self._subscription.topic_name, time.monotonic() + PATIENCE_S
        while not (messages := self.hear(0.1)):
            if time.monotonic() > end_s:
                raise UserError(
                    f"No gamepad is heard on {topic}; plug one in and start 'ros2 run joy joy_node' in the same ROS "
                    "domain (ROS_DOMAIN_ID)."
                )
        self.hear(NAME_S)  # until all are discovered, with their names
        publishers = publishers_of(self._node, topic)
        if len(publishers) > 1:
            raise UserError(f"{len(publishers)} gamepads on {topic}: {', '.join(publishers)}; stop all but one.")
        others = set(subscribers_of(self._node, topic)) - {self._node.get_fully_qualified_name()}
        if others:
            raise UserError(
                f"What the gamepad on {topic} says is also heard by {', '.join(sorted(others))}, which it might drive; "
                "stop that, or give this command and joy_node a ROS domain of their own with ROS_DOMAIN_ID=1 (any "
                "number up to 101)."
            )
        axes, buttons = messages[-1]
        if not layout.fits(axes, buttons):
            raise UserError(
                f"The gamepad on {topic} has {len(axes)} axes and {len(buttons)} buttons, fewer than the layout "
                f"'{name}' is of; choose another one of {', '.join(LAYOUTS)}."
            )

    def _take(self, message: Joy) -> None:
        self._messages.append((message.axes, message.buttons))


@contextlib.contextmanager
def hearing(name: str, command: str) -> Iterator[Gamepad]:
    """The gamepad of this machine, inside the block.

    Args:
      name: of its layout.
      command: that hears it, by which its node is named.

    Raises:
      UserError: see `Gamepad.require`.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with runtime.ros_node(lambda: Node(command), []) as node, runtime.Spinner(node) as spinner:
        gamepad = Gamepad(node, spinner)
        gamepad.require(LAYOUTS[name], name)
        yield gamepad
