"""The robot as lines, from what is logged: enough to see what it does without a simulator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daydreamer.robots.quadruped.description import LEG_NAMES, Quadruped
from daydreamer.robots.quadruped.kinematics import leg_kinematics

_CORNERS = np.array([(x, y) for x, y in ((1, 1), (1, -1), (-1, -1), (-1, 1), (1, 1))])


def skeleton_m(robot: Quadruped, observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lines of the robot in a frame that is level, follows its heading, and has the ground at z = 0.

    Args:
      observation: `gravity_up` and `joint_position` as in `QuadrupedWalkTask`.

    Returns:
      `[points, 3]` by name: 'trunk_top', 'trunk_bottom', 'head', and the legs 'FR', 'FL', 'RR', 'RL' from the middle
      of the trunk's side through hip, thigh joint and knee to the foot. x points forward, y left, z up.
    """
    joints_rad = robot.joint_range.denormalise(np.asarray(observation["joint_position"], np.float64))
    lines = {}
    for name, height in (("trunk_top", 1.0), ("trunk_bottom", -1.0)):
        lines[name] = robot.trunk_size_m / 2 * np.column_stack((_CORNERS, np.full(len(_CORNERS), height)))
    lines["head"] = robot.head_m
    lines |= dict(zip(LEG_NAMES, leg_points_m(robot, joints_rad), strict=True))
    rotation = level_rotation(np.asarray(observation["gravity_up"], np.float64))
    lines = {name: points @ rotation.T for name, points in lines.items()}
    lowest_m = min(float(points[:, 2].min()) for points in lines.values())
    return {name: points - (0.0, 0.0, lowest_m) for name, points in lines.items()}


def leg_points_m(robot: Quadruped, joint_position_rad: np.ndarray) -> np.ndarray:
    """Hip, thigh joint, knee and foot `[4 legs, 4 points, 3]` in base_link, legs in the order of `LEG_NAMES`.

    Args:
      joint_position_rad: `[12]`, in the order of `description.JOINT_NAMES`.
    """
    angles = joint_position_rad.reshape(4, 3)
    sin_hip, cos_hip = np.sin(angles[:, 0]), np.cos(angles[:, 0])
    hip = robot.hip_position_m
    aside = np.stack((np.zeros(4), robot.thigh_offset_m * cos_hip, robot.thigh_offset_m * sin_hip), axis=1)
    # The thigh hangs straight at an angle of zero, in a plane that the hip turns about x.
    along, down = -robot.thigh_length_m * np.sin(angles[:, 1]), -robot.thigh_length_m * np.cos(angles[:, 1])
    thigh = np.stack((along, -down * sin_hip, down * cos_hip), axis=1)
    foot = leg_kinematics(robot, joint_position_rad).foot_position_m
    return np.stack((hip, hip + aside, hip + aside + thigh, foot), axis=1)


def level_rotation(up: np.ndarray) -> np.ndarray:
    """`[3, 3]`, from base_link to a level frame with the same heading, for the world's up `[3]` in base_link."""
    up = up / max(float(np.linalg.norm(up)), 1e-9)
    # A robot that stands on its head or tail heads where its belly or back faces.
    heading = np.eye(3)[0 if abs(up[0]) < 0.99 else 2]
    forward = heading - (heading @ up) * up
    forward /= np.linalg.norm(forward)
    return np.stack((forward, np.cross(up, forward), up))
