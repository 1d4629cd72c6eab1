"""The actor node's parameters: declared with what they mean and what they may be."""

from __future__ import annotations

import dataclasses

from rcl_interfaces.msg import FloatingPointRange, IntegerRange
from rclpy.node import Node

from daydreamer.actor.operator import AXES
from daydreamer.errors import UserError
from ros_nodes import runtime, topics

LARGEST_INDEX = 31


@dataclasses.dataclass(frozen=True)
class ActorParameters:
    """What the node was started with; see `declare` for units."""

    autostart: bool
    command_interface: str
    diagnostics_period_s: float
    joy_deadman_button: int
    joy_axes: tuple[int, ...]


def declare(node: Node) -> ActorParameters:
    """Declares the parameters on `node` and returns their values; they are read once.

    Raises:
      UserError: a value of a wrong type or out of its range, or a parameter that the node does not have.
    """
    index = IntegerRange(from_value=0, to_value=LARGEST_INDEX, step=1)
    parameters = ActorParameters(
        autostart=runtime.declare(
            node, "autostart", True, "configure without being asked, and activate if the robot is the twin"
        ),
        command_interface=runtime.declare(
            node,
            "command_interface",
            topics.COMMAND_INTERFACES[0],
            "message type of joint_command",
            additional_constraints=" or ".join(topics.COMMAND_INTERFACES),
        ),
        diagnostics_period_s=runtime.declare(
            node,
            "diagnostics_period_s",
            1.0,
            "time between two messages on /diagnostics",
            floating_point_range=[FloatingPointRange(from_value=0.1, to_value=10.0)],
        ),
        joy_deadman_button=runtime.declare(
            node,
            "joy_deadman_button",
            4,
            "button of sensor_msgs/Joy that is held to intervene",
            integer_range=[index],
        ),
        joy_axes=tuple(
            runtime.declare(
                node,
                "joy_axes",
                [0, 1, 3, 4],
                "axes of sensor_msgs/Joy: left stick sideways and up, right stick sideways and up",
                additional_constraints=f"{AXES} indices from 0 to {LARGEST_INDEX}",
            )
        ),
    )
    if len(parameters.joy_axes) != AXES or not all(0 <= axis <= LARGEST_INDEX for axis in parameters.joy_axes):
        raise UserError(f"joy_axes is {list(parameters.joy_axes)}; it takes {AXES} indices from 0 to {LARGEST_INDEX}.")
    topics.command_type(parameters.command_interface)
    runtime.refuse_unknown_parameters(node)
    return parameters
