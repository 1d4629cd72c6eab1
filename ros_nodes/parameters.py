"""The actor node's parameters: declared with what they mean and what they may be."""

from __future__ import annotations

import dataclasses
import math

from rcl_interfaces.msg import FloatingPointRange, IntegerRange
from rclpy.node import Node

from daydreamer.contract.embodiment import SetpointKind
from daydreamer.contract.task import OPERATOR_AXES
from daydreamer.errors import UserError
from ros_nodes import runtime, topics
from ros_nodes.camera import TRANSPORTS

STICK_AXES = 4
"""Of both sticks, on gamepads whose cross is no axis."""
LARGEST_INDEX = 31
LARGEST_OFFSET_N = 1000.0


@dataclasses.dataclass(frozen=True)
class ActorParameters:
    """What the node was started with; see `declare` for units."""

    autostart: bool
    command_interface: str
    diagnostics_period_s: float
    joy_deadman_button: int
    joy_axes: tuple[int, ...]
    image_transport: str
    foot_force_unloaded_n: tuple[float, ...]


def declare(node: Node, kind: SetpointKind = "joint_position", feet: int = 0) -> ActorParameters:
    """Declares the parameters on `node` and returns their values; they are read once.

    Args:
      kind: of what the robot is told.
      feet: of the robot.

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
            topics.actor_interfaces(kind)[0],
            "message type of the commands",
            additional_constraints=" or ".join(topics.actor_interfaces(kind)),
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
                [0, 1, 3, 4, 6, 7],
                "axes of sensor_msgs/Joy: left stick sideways and up, right stick likewise, cross likewise or left out",
                additional_constraints=f"{STICK_AXES} or {OPERATOR_AXES} indices from 0 to {LARGEST_INDEX}",
            )
        ),
        image_transport=runtime.declare(
            node,
            "image_transport",
            TRANSPORTS[0],
            "camera/image_raw, or its sibling /compressed; auto takes the raw one where it is published",
            additional_constraints=" or ".join(TRANSPORTS),
        ),
        foot_force_unloaded_n=declare_foot_forces(node, feet),
    )
    if parameters.image_transport not in TRANSPORTS:
        raise UserError(f"image_transport '{parameters.image_transport}' is unknown; choose {', '.join(TRANSPORTS)}.")
    joy_axes = parameters.joy_axes
    if len(joy_axes) not in (STICK_AXES, OPERATOR_AXES) or not all(0 <= axis <= LARGEST_INDEX for axis in joy_axes):
        raise UserError(
            f"joy_axes is {list(joy_axes)}; it takes {STICK_AXES} or {OPERATOR_AXES} indices from 0 to {LARGEST_INDEX}."
        )
    if parameters.command_interface not in topics.actor_interfaces(kind):
        choices = " or ".join(topics.actor_interfaces(kind))
        raise UserError(f"command_interface '{parameters.command_interface}' is unknown; choose {choices}.")
    runtime.refuse_unknown_parameters(node)
    return parameters


def declare_foot_forces(node: Node, feet: int) -> tuple[float, ...]:
    """Declares foot_force_unloaded_n; one force for each foot, one for all, or none if they are to be measured.

    Raises:
      UserError: another number of them, or impossible ones.
    """
    forces_n = runtime.declare(
        node,
        "foot_force_unloaded_n",
        [math.nan],
        "what each foot reads in the air, or one number for all; .nan measures it while the robot lies on its back",
    )
    if len(forces_n) > 0 and all(math.isnan(force) for force in forces_n):
        return ()
    if len(forces_n) in (1, feet) and all(abs(force) <= LARGEST_OFFSET_N for force in forces_n):
        return tuple(forces_n)
    raise UserError(
        f"foot_force_unloaded_n is {list(forces_n)}; it takes a force in N for each of {feet} feet, one for all, or "
        "[.nan] to have them measured."
    )
