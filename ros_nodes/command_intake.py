"""Takes commands in for whoever moves the joints, a driver or the twin: one publisher's, and only what makes sense."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from daydreamer.robots.base import JointLimits
from daydreamer.safety.encoder_belief import named
from daydreamer.safety.watchdogs import beyond_limits_rad
from ros_nodes import topics
from ros_nodes.complaints import Complaints

POSSIBLE_RAD = 0.5
"""A command farther outside the joint limits is a mistake, as degrees for radians; one nearer is brought inside."""

SILENT_S = 2.0
"""After so long without a command of the publisher that is followed another one may be; less may be a busy machine."""

MOST_NAMES = 1000

# A second publisher's messages must not take the place of those of the first in the queue.
_QUEUE = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class BadCommand(ValueError):
    """A message that is no command for this robot; says why."""


class CommandIntake:
    """Follows the publisher that has commanded first, until it is silent; refuses, counts and names all else.

    Attributes:
      refused: messages of whoever is followed, or might be, that were no commands.
      ignored: messages of somebody else.
    """

    def __init__(
        self,
        node: Node,
        interface: str,
        joint_names: Sequence[str],
        limits: JointLimits,
        take: Callable[[np.ndarray | None], None],
        *,
        silent_s: float = SILENT_S,
        begin_anew: Callable[[], None] = lambda: None,
    ):
        """Subscribes.

        Args:
          interface: one of `topics.COMMAND_INTERFACES`.
          joint_names, limits: of the robot.
          take: is called with each command as it comes: targets `[joints]` within the limits, or None to damp.
          silent_s: after so long without a command of the publisher that is followed, another one may be.
          begin_anew: is called before the first command of a publisher that was not followed before.

        Raises:
          UserError: there is no such interface.
        """
        self._node = node
        self._joint_names = tuple(joint_names)
        self._limits = limits
        self._take = take
        self._silent_s = silent_s
        self._begin_anew = begin_anew
        self._followed: bytes | None = None
        self._followed_s = -np.inf
        self._complaints = Complaints(node, time.monotonic)
        self.refused = self.ignored = 0
        subscription = node.create_subscription(
            topics.command_type(interface), topics.JOINT_COMMAND, self._on_message, _QUEUE
        )
        self._topic = subscription.topic_name

    def _on_message(self, message: Any, info: Mapping[str, Any]) -> None:
        # Distributions before Kilted do not say who has published a message: there everybody is followed.
        publisher = _bytes_of(info.get("publisher_gid"))
        now_s = time.monotonic()
        silent = now_s - self._followed_s > self._silent_s
        if not silent and publisher != self._followed:
            self.ignored += 1
            self._complaints.add(
                f"Commands on {self._topic} come from two publishers at once",
                lambda: f"those of {self._name(publisher)} are ignored as long as {self._name(self._followed)} speaks",
            )
            return
        try:
            target_rad = joint_command_of(message, self._joint_names, self._limits)
        except BadCommand as error:
            self.refused += 1
            reason = str(error)
            self._complaints.add(
                f"A command on {self._topic} has been refused, the last good one goes on", lambda: reason
            )
            return
        if self._followed_s == -np.inf or publisher != self._followed:
            self._begin_anew()
            self._node.get_logger().info(f"Following the commands of {self._name(publisher)} on {self._topic}.")
        self._followed, self._followed_s = publisher, now_s
        self._take(target_rad)

    def _name(self, publisher: bytes | None) -> str:
        """The node that a publisher belongs to, as far as it is known."""
        for endpoint in self._node.get_publishers_info_by_topic(self._topic):
            if _bytes_of(endpoint.endpoint_gid) == publisher:
                return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"
        return "a publisher without a name"


def joint_command_of(message: Any, joint_names: Sequence[str], limits: JointLimits) -> np.ndarray | None:
    """Position targets `[joints]` in rad within the limits, or None for damping; foreign joints are ignored.

    Raises:
      BadCommand: it is no command for these joints.
    """
    if isinstance(message, Float64MultiArray):
        if len(message.data) != len(joint_names):
            raise BadCommand(f"it has {len(message.data)} values for {len(joint_names)} joints")
        target_rad = np.array(message.data, np.float64)
    else:
        indices = _indices(message.name, joint_names)
        if not message.position:
            if len(message.velocity) != len(message.name) or np.any(message.velocity):
                raise BadCommand("it has no positions, and damping has a velocity of 0 for each joint")
            return None
        if len(message.position) != len(message.name):
            raise BadCommand(f"it has {len(message.name)} names but {len(message.position)} positions")
        target_rad = np.asarray(message.position, np.float64)[indices]
    finite = np.isfinite(target_rad)
    if not finite.all():
        raise BadCommand(f"the position of {named(joint_names, ~finite)} is not finite")
    outside = beyond_limits_rad(limits, target_rad) > POSSIBLE_RAD
    if outside.any():
        raise BadCommand(f"the position of {named(joint_names, outside)} is far outside the joint's limits (in rad)")
    return np.clip(target_rad, limits.lower_rad, limits.upper_rad)


def _indices(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    if len(names) > MOST_NAMES:
        raise BadCommand(f"it has {len(names)} names")
    found = {name: index for index, name in enumerate(names)}
    if missing := [name for name in wanted if name not in found]:
        raise BadCommand(f"it lacks {', '.join(missing)}")
    if len(found) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise BadCommand(f"it names {', '.join(twice)} more than once")
    return [found[name] for name in wanted]


def _bytes_of(gid: Any) -> bytes | None:
    """One form for a publisher's identity, of which rclpy has several."""
    if gid is None:
        return None
    if isinstance(gid, Mapping):
        gid = gid["data"]
    return bytes(gid)
