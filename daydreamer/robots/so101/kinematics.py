"""Where the SO-101's tool is, and how its joints get it there, in closed form.

The arm turns about an upright axis, and then moves in a plane: upper arm, lower arm and wrist bend in it, and the
gripper rolls about the direction that it points in. Angles and offsets are those of the published model, whose parts
are turned against each other in ways that cancel; these are the sums. In plain numbers, which are a tenth of the work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.frames import GRAVITY_M_S2

PAN_X_M = 0.0388353
"""Of the upright axis, forward of the base."""
LIFT_M = (0.0303992, 0.1166)
"""Of the shoulder, outward of that axis and above the table."""
UPPER_M, LOWER_M = (0.028, 0.11257), (0.1349, 0.0052)
"""From shoulder to elbow and on to the wrist, outward and up, with all joints at 0."""
WRIST_M, TOOL_M = 0.0611, 0.0981274
"""From the wrist to where the gripper begins, and on to its tool, along its direction."""
SIDEWAYS_M = -0.0182778 + 0.0181
"""Of the roll axis, beside the plane of the upright axis."""
TOOL_SIDE_M = (-0.0079, -0.000218121)
"""Of the tool beside the roll axis: towards the moving jaw, and across."""
ROLL_ZERO_RAD = 2.0 * math.atan2(0.0172091, 0.706897)
"""By which the gripper's roll is off with its joint at 0."""

_UPPER, _LOWER = math.hypot(*UPPER_M), math.hypot(*LOWER_M)
# From upright, with all joints at 0.
_UPPER_RAD, _LOWER_RAD = math.atan2(*UPPER_M), math.atan2(*LOWER_M)
STRAIGHT_ELBOW_RAD = _UPPER_RAD - _LOWER_RAD

DOWN_RAD = math.pi / 2
"""Pitch of a gripper that points at the table."""


def tool_position_m(joints_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[3]` of the tool, of joint angles `[5 or more]`."""
    pan, lift, elbow, flex, roll = joints_rad[:5].tolist()
    outward, up, across = _in_plane(lift, elbow, flex, roll)
    cos, sin = math.cos(pan), math.sin(pan)
    return np.array((PAN_X_M + outward * cos + across * sin, across * cos - outward * sin, up))


def points_m(joints_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[6, 3]` from the base over the upright axis, shoulder, elbow and wrist to the tool, of angles `[5 or more]`."""
    pan, lift, elbow = joints_rad[:3].tolist()
    upper, lower = _turned(UPPER_M, lift), _turned(LOWER_M, lift + elbow)
    outward = np.cumsum((0.0, LIFT_M[0], upper[0], lower[0]))
    up = np.cumsum((LIFT_M[1], 0.0, upper[1], lower[1]))
    axis = np.column_stack((PAN_X_M + outward * math.cos(pan), -outward * math.sin(pan), up))
    return np.vstack((np.zeros(3), axis, tool_position_m(joints_rad)))


def pitch_rad(joints_rad: NDArray[np.float64]) -> float:
    """How far the gripper points downwards."""
    return float(joints_rad[1:4].sum())


def joints_for_tool(reference_rad: NDArray[np.float64], tool_m: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The joint angles that have the tool somewhere, with the pitch, the roll and all else of a reference.

    Args:
      reference_rad: `[5 or more]`; also says whether the elbow bends up or down.
      tool_m: `[3]`.

    Returns:
      `[5 or more]`, whatever the joints' limits; None if the arm does not reach so far.
    """
    pitch, roll = pitch_rad(reference_rad), float(reference_rad[4])
    x, y, z = tool_m.tolist()
    normal, across = _tool_side(roll)
    distance = math.hypot(x - PAN_X_M, y)
    if distance <= abs(across):
        return None
    outward = math.sqrt(distance * distance - across * across)
    pan = math.atan2(across, outward) - math.atan2(y, x - PAN_X_M)
    reach = WRIST_M + TOOL_M
    wrist_out = outward - reach * math.cos(pitch) - normal * math.sin(pitch) - LIFT_M[0]
    wrist_up = z + reach * math.sin(pitch) - normal * math.cos(pitch) - LIFT_M[1]
    far = math.hypot(wrist_out, wrist_up)
    if not abs(_UPPER - _LOWER) < far < _UPPER + _LOWER:
        return None
    towards = math.atan2(wrist_out, wrist_up)
    at_shoulder = math.acos((_UPPER**2 + far * far - _LOWER**2) / (2.0 * _UPPER * far))
    at_wrist = math.acos((_LOWER**2 + far * far - _UPPER**2) / (2.0 * _LOWER * far))
    bend = 1.0 if reference_rad[2] >= STRAIGHT_ELBOW_RAD else -1.0
    lift = towards - bend * at_shoulder - _UPPER_RAD
    elbow = towards + bend * at_wrist - _LOWER_RAD - lift
    joints = reference_rad.copy()
    joints[:4] = pan, lift, elbow, pitch - lift - elbow
    return joints


def yaw_rad(joints_rad: NDArray[np.float64]) -> float:
    """By how much the gripper of angles `[5 or more]`, which points at the table, is turned left about the upright; see
    `downwards`.
    """
    return float(joints_rad[4] - joints_rad[0]) - math.pi / 2 - ROLL_ZERO_RAD


def jaw_direction(yaw_rad: float) -> NDArray[np.float64]:
    """`[3]` towards which the jaw opens, of length 1, of a gripper that points at the table."""
    return np.array((-math.sin(yaw_rad), math.cos(yaw_rad), 0.0))


def downwards(tool_m: NDArray[np.float64], yaw_rad: float = 0.0) -> NDArray[np.float64]:
    """Joint angles `[5]` of a tool that points at the table.

    Args:
      tool_m: `[3]`.
      yaw_rad: of the gripper, left about the upright; at 0 its jaw opens to the left of the base.

    Raises:
      ValueError: it does not reach so far.
    """
    # So turned, the roll axis is beside the tool by the same in every place.
    (towards_jaw, across), (sin, cos) = TOOL_SIDE_M, (math.sin(yaw_rad), math.cos(yaw_rad))
    axis_x = tool_m[0] + towards_jaw * sin + across * cos - PAN_X_M
    axis_y = tool_m[1] - towards_jaw * cos + across * sin
    outward = math.sqrt(max(0.0, axis_x**2 + axis_y**2 - SIDEWAYS_M**2))
    pan = math.atan2(SIDEWAYS_M, outward) - math.atan2(axis_y, axis_x)
    reference = np.array((0.0, 0.0, 0.0, DOWN_RAD, pan + math.pi / 2 + ROLL_ZERO_RAD + yaw_rad))
    joints = joints_for_tool(reference, tool_m)
    if joints is None:
        raise ValueError(f"the arm does not reach {tool_m}")
    return joints


def carrying_torque_n_m(joints_rad: NDArray[np.float64], masses: Sequence[tuple[float, float, float]]) -> list[float]:
    """Torque of shoulder lift, elbow and wrist flex that carries the arm where it is.

    Args:
      joints_rad: `[5 or more]`.
      masses: of upper arm, lower arm, and wrist with gripper: kg, and where its middle is, outward and up in m from the
        joint before it, with all joints at 0.
    """
    lift, elbow, flex = joints_rad[1:4].tolist()
    angles = lift, lift + elbow, lift + elbow + flex
    elbow_out = _turned(UPPER_M, angles[0])[0]
    joints_out = 0.0, elbow_out, elbow_out + _turned(LOWER_M, angles[1])[0]
    torques = [0.0, 0.0, 0.0]
    for part, (mass, *middle) in enumerate(masses):
        middle_out = joints_out[part] + _turned(middle, angles[part])[0]
        for joint in range(part + 1):
            # Angles grow downwards, as the weight pulls.
            torques[joint] -= GRAVITY_M_S2 * mass * (middle_out - joints_out[joint])
    return torques


def _in_plane(lift: float, elbow: float, flex: float, roll: float) -> tuple[float, float, float]:
    """Of the tool: outward of the upright axis, up, and beside that axis' plane."""
    pitch = lift + elbow + flex
    normal, across = _tool_side(roll)
    upper, lower = _turned(UPPER_M, lift), _turned(LOWER_M, lift + elbow)
    gripper = _turned((WRIST_M + TOOL_M, normal), pitch)
    return LIFT_M[0] + upper[0] + lower[0] + gripper[0], LIFT_M[1] + upper[1] + lower[1] + gripper[1], across


def _tool_side(roll: float) -> tuple[float, float]:
    """Of the tool beside the line from the wrist: in the plane, and across it."""
    cos, sin = math.cos(roll - ROLL_ZERO_RAD), math.sin(roll - ROLL_ZERO_RAD)
    towards_jaw, across = TOOL_SIDE_M
    return towards_jaw * cos - across * sin, SIDEWAYS_M + towards_jaw * sin + across * cos


def _turned(point_m: Sequence[float], angle: float) -> tuple[float, float]:
    """Outward and up, after turning downwards by an angle."""
    cos, sin = math.cos(angle), math.sin(angle)
    return point_m[0] * cos + point_m[1] * sin, point_m[1] * cos - point_m[0] * sin
