"""The A1 as lines, from what is logged: enough to see what it does without a simulator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daydreamer.robots.a1 import constants as a1
from daydreamer.robots.a1.kinematics import leg_kinematics
from daydreamer.robots.a1.task import denormalise_joints

HALF_TRUNK_M = np.array((0.1335, 0.097, 0.057))
"""Half length, width and height of the trunk [urdf]."""

_CORNERS = np.array([(x, y) for x, y in ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1))])
_HEAD_M = np.array([(0.1335, 0.0, 0.0), (0.23, 0.0, 0.02)])


def skeleton_m(observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lines of the robot in a frame that is level, follows its heading, and has the ground at z = 0.

    Args:
      observation: `gravity_up` and `joint_position` as in `A1WalkTask`.

    Returns:
      `[points, 3]` by name: 'trunk_top', 'trunk_bottom', 'head', and the legs 'FR', 'FL', 'RR', 'RL' from the middle
      of the trunk's side through hip, thigh joint and knee to the foot. x points forward, y left, z up.
    """
    joints_rad = denormalise_joints(np.asarray(observation["joint_position"], np.float64))
    lines = {}
    for name, height in (("trunk_top", 1.0), ("trunk_bottom", -1.0)):
        lines[name] = HALF_TRUNK_M * np.column_stack((_CORNERS, np.full(len(_CORNERS), height)))
    lines["head"] = _HEAD_M
    lines |= dict(zip(a1.LEG_NAMES, leg_points_m(joints_rad), strict=True))
    rotation = level_rotation(np.asarray(observation["gravity_up"], np.float64))
    lines = {name: points @ rotation.T for name, points in lines.items()}
    lowest_m = min(float(points[:, 2].min()) for points in lines.values())
    return {name: points - (0.0, 0.0, lowest_m) for name, points in lines.items()}


def leg_points_m(joint_position_rad: np.ndarray) -> np.ndarray:
    """Hip, thigh joint, knee and foot `[4 legs, 4 points, 3]` in base_link, legs in the order of `LEG_NAMES`.

    Args:
      joint_position_rad: `[12]`, in the order of `constants.JOINT_NAMES`.
    """
    angles = joint_position_rad.reshape(4, 3)
    sin_hip, cos_hip = np.sin(angles[:, 0]), np.cos(angles[:, 0])
    hip = a1.HIP_POSITION_M
    aside = np.stack((np.zeros(4), a1.THIGH_OFFSET_M * cos_hip, a1.THIGH_OFFSET_M * sin_hip), axis=1)
    # The thigh hangs straight at an angle of zero, in a plane that the hip turns about x.
    along, down = -a1.THIGH_LENGTH_M * np.sin(angles[:, 1]), -a1.THIGH_LENGTH_M * np.cos(angles[:, 1])
    thigh = np.stack((along, -down * sin_hip, down * cos_hip), axis=1)
    foot = leg_kinematics(joint_position_rad).foot_position_m
    return np.stack((hip, hip + aside, hip + aside + thigh, foot), axis=1)


def level_rotation(up: np.ndarray) -> np.ndarray:
    """`[3, 3]`, from base_link to a level frame with the same heading, for the world's up `[3]` in base_link."""
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    # A robot that stands on its head or tail heads where its belly or back faces.
    heading = np.eye(3)[0 if abs(up[0]) < 0.99 else 2]
    forward = heading - (heading @ up) * up
    forward /= np.linalg.norm(forward)
    return np.stack((forward, np.cross(up, forward), up))
