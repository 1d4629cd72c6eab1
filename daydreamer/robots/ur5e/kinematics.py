"""Where the UR5e's tool is, and how its joints get it there, in closed form.

The arm turns about an upright axis, and then moves in a plane beside that axis: upper arm, lower arm and first wrist
bend in it. The second wrist turns the tool's direction about what the first one carries, and the third turns the tool
about its own direction. Frames follow REP-103, as `base_link` of Universal Robots' ROS description does: with all
joints at 0 the arm is stretched forward, and its tool points to the left.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SHOULDER_M = 0.1625
UPPER_M, LOWER_M = 0.425, 0.3922
BESIDE_M, WRIST_M, FLANGE_M = 0.1333, 0.0997, 0.0996
"""Denavit-Hartenberg parameters that Universal Robots publishes: d1, -a2, -a3, d4, d5, d6."""

TOOL_M = 0.150
"""From the flange to between the finger tips: ours."""

DOWN_RAD = -math.pi / 2
"""Of the sum of shoulder lift, elbow and first wrist, and of the second wrist, with a tool that points at the table."""


def tool_position_m(joints_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[3]` of the tool, of joint angles `[6 or more]`."""
    pan, lift, elbow, wrist_1, wrist_2 = joints_rad[:5].tolist()
    beside, outward, up = _beyond_wrist(lift + elbow + wrist_1, wrist_2)
    outward += UPPER_M * math.cos(lift) + LOWER_M * math.cos(lift + elbow)
    up += SHOULDER_M - UPPER_M * math.sin(lift) - LOWER_M * math.sin(lift + elbow)
    cos, sin = math.cos(pan), math.sin(pan)
    return np.array((outward * cos - beside * sin, outward * sin + beside * cos, up))


def points_m(joints_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """`[6, 3]` from the base over shoulder, elbow and the wrist's two ends to the tool, of angles `[6 or more]`."""
    pan, lift, elbow, wrist_1 = joints_rad[:4].tolist()
    bends = np.array((lift, lift + elbow))
    lengths = np.array((UPPER_M, LOWER_M))
    outward = np.concatenate(((0.0, 0.0), np.cumsum(lengths * np.cos(bends))))
    up = np.concatenate(((0.0,), SHOULDER_M - np.concatenate(((0.0,), np.cumsum(lengths * np.sin(bends))))))
    # Beside the axis, of which the elbow's share is not published, and takes nothing to be drawn.
    beside = np.array((0.0, 0.0, BESIDE_M, BESIDE_M))
    pitch = lift + elbow + wrist_1
    outward = np.append(outward, outward[-1] - WRIST_M * math.sin(pitch))
    up = np.append(up, up[-1] - WRIST_M * math.cos(pitch))
    beside = np.append(beside, BESIDE_M)
    cos, sin = math.cos(pan), math.sin(pan)
    arm = np.column_stack((outward * cos - beside * sin, outward * sin + beside * cos, up))
    return np.vstack((arm, tool_position_m(joints_rad)))


def yaw_rad(joints_rad: NDArray[np.float64]) -> float:
    """By how much the gripper of angles `[6 or more]`, which points at the table, is turned left about the upright; see
    `downwards`.
    """
    return float(joints_rad[0] - joints_rad[5])


def joints_for_tool(reference_rad: NDArray[np.float64], tool_m: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The joint angles that have the tool somewhere, with the wrist turned as in a reference.

    Args:
      reference_rad: `[6 or more]`; also says whether the elbow bends up or down, and in which turn joints are.
      tool_m: `[3]`.

    Returns:
      `[6 or more]`, whatever the joints' limits; None if the arm does not reach so far, or so near.
    """
    pan, lift, elbow, wrist_1, wrist_2 = reference_rad[:5].tolist()
    pitch = lift + elbow + wrist_1
    beside, beyond_out, beyond_up = _beyond_wrist(pitch, wrist_2)
    x, y, z = tool_m.tolist()
    distance = math.hypot(x, y)
    if distance <= abs(beside):
        return None
    outward = math.sqrt(distance * distance - beside * beside)
    wrist_out, wrist_up = outward - beyond_out, z - beyond_up - SHOULDER_M
    far = math.hypot(wrist_out, wrist_up)
    if not abs(UPPER_M - LOWER_M) < far < UPPER_M + LOWER_M:
        return None
    cos_elbow = (far * far - UPPER_M**2 - LOWER_M**2) / (2.0 * UPPER_M * LOWER_M)
    new_elbow = math.copysign(math.acos(cos_elbow), elbow)
    # Angles grow downwards.
    beneath = math.atan2(LOWER_M * math.sin(new_elbow), UPPER_M + LOWER_M * math.cos(new_elbow))
    new_lift = _in_turn_of(lift, -math.atan2(wrist_up, wrist_out) - beneath)
    joints = reference_rad.copy()
    joints[0] = _in_turn_of(pan, math.atan2(y, x) - math.atan2(beside, outward))
    joints[1:4] = new_lift, new_elbow, pitch - new_lift - new_elbow
    return joints


def downwards(tool_m: NDArray[np.float64], yaw_rad: float = 0.0) -> NDArray[np.float64]:
    """Joint angles `[6]` of a tool that points at the table, the elbow up.

    Args:
      tool_m: `[3]`.
      yaw_rad: of the gripper, left about the upright; at 0 its fingers open to the left and right of the base.

    Raises:
      ValueError: it does not reach so far.
    """
    # The wrist's turn is known, and of the others nothing but that the elbow bends up.
    reference = np.array((0.0, 0.0, 1.0, DOWN_RAD - 1.0, DOWN_RAD, 0.0))
    joints = joints_for_tool(reference, tool_m)
    if joints is None:
        raise ValueError(f"the arm does not reach {tool_m}")
    joints[5] = joints[0] - yaw_rad
    return joints


def _beyond_wrist(pitch: float, wrist_2: float) -> tuple[float, float, float]:
    """Of the tool, from where the lower arm ends: beside the arm's plane, outward, and up."""
    reach = FLANGE_M + TOOL_M
    ahead = reach * math.sin(wrist_2)
    return (
        BESIDE_M + reach * math.cos(wrist_2),
        ahead * math.cos(pitch) - WRIST_M * math.sin(pitch),
        -ahead * math.sin(pitch) - WRIST_M * math.cos(pitch),
    )


def _in_turn_of(reference: float, angle: float) -> float:
    """The same angle, as near to a reference as whole turns bring it."""
    return angle + math.tau * round((reference - angle) / math.tau)
