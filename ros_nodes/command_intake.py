"""Takes commands in for whoever moves the joints, a driver or the twin: one publisher's, and only what makes sense."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.limits import JointLimits, TwistLimits
from daydreamer.safety.encoder_belief import named
from daydreamer.safety.watchdogs import beyond_limits_rad
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.complaints import Complaints
from ros_nodes.runtime import UNKNOWN_NAME, identity_of, node_of

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
        robot: Embodiment,
        take: Callable[[np.ndarray | None], None],
        *,
        silent_s: float = SILENT_S,
        begin_anew: Callable[[], None] = lambda: None,
    ):
        """Subscribes.

        Args:
          interface: one of `topics.INTERFACES` for what the robot is told.
          robot: whose commands they are.
          take: is called with each command as it comes: `[setpoint]` within the limits, or None to relax.
          silent_s: after so long without a command of the publisher that is followed, another one may be.
          begin_anew: is called before the first command of a publisher that was not followed before, and before each by
            which the one that is followed lets go, see `lets_go`.

        Raises:
          UserError: there is no such interface.
        """
        self._node = node
        self._robot = robot
        self._take = take
        self._silent_s = silent_s
        self._begin_anew = begin_anew
        self._followed: bytes | None = None
        self._followed_s = -np.inf
        self._complaints = Complaints(node, time.monotonic)
        self.refused = self.ignored = 0
        subscription = node.create_subscription(
            topics.command_type(interface, robot.setpoint_kind),
            topics.command_topic(robot),
            self._on_message,
            _QUEUE,
        )
        self._topic = subscription.topic_name

    def _on_message(self, message: Any, info: Mapping[str, Any]) -> None:
        # Distributions before Kilted do not say who has published a message: there everybody is followed.
        publisher = identity_of(info.get("publisher_gid"))
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
            setpoint = command_of(message, self._robot)
        except BadCommand as error:
            self.refused += 1
            reason = str(error)
            self._complaints.add(
                f"A command on {self._topic} has been refused, the last good one goes on", lambda: reason
            )
            return
        is_new = self._followed_s == -np.inf or publisher != self._followed
        if is_new or (setpoint is None and lets_go(message)):
            self._begin_anew()
        if is_new:
            self._node.get_logger().info(f"Following the commands of {self._name(publisher)} on {self._topic}.")
        self._followed, self._followed_s = publisher, now_s
        self._take(setpoint)

    def _name(self, publisher: bytes | None) -> str:
        """The node that a publisher belongs to, as far as it is known."""
        for endpoint in self._node.get_publishers_info_by_topic(self._topic):
            if identity_of(endpoint.endpoint_gid) == publisher and endpoint.node_name != UNKNOWN_NAME:
                return printable_line(node_of(endpoint))
        return "a publisher whose name is not known yet"


def command_of(message: Any, robot: Embodiment) -> np.ndarray | None:
    """What a message tells a robot `[setpoint]`, within its limits; None to relax.

    Raises:
      BadCommand: it is no command for this robot.
    """
    if isinstance(robot.limits, TwistLimits):
        return twist_command_of(message, robot.limits)
    return joint_command_of(message, robot.setpoint_names, robot.limits)


def twist_command_of(message: Any, limits: TwistLimits) -> np.ndarray:
    """Forward speed and turn rate `[2]` within the limits; the other four of a twist are not for robots on wheels.

    Raises:
      BadCommand: it is not finite.
    """
    twist = getattr(message, "twist", message)
    command = np.array((twist.linear.x, twist.angular.z))
    if not np.isfinite(command).all():
        raise BadCommand("its speed is not finite")
    lower = (-limits.backward_m_s, -limits.turn_rad_s)
    return np.clip(command, lower, (limits.forward_m_s, limits.turn_rad_s))


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


def lets_go(message: JointState) -> bool:
    """Whether a command to damp says besides that its sender goes on only when an operator has it do so."""
    return 0 < len(message.effort) == len(message.name) and not np.any(message.effort)


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
