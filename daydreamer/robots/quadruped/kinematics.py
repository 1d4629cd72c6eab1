"""Where the feet are and how joint velocities move them, for all four legs at once, in base_link."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from daydreamer.robots.quadruped.description import Quadruped


class LegKinematics(NamedTuple):
    """Result of `leg_kinematics`, legs in the order of `description.LEG_NAMES`.

    Attributes:
      foot_position_m: `[4, 3]`, centre of the spherical foot, base_link.
      jacobian_m_rad: `[4, 3, 3]`, derivative of the foot position (axis 1) by hip, thigh and calf angle (axis 2).
      knee_axis: `[4, 3]`, unit vector about which thigh and calf turn, base_link.
    """

    foot_position_m: np.ndarray
    jacobian_m_rad: np.ndarray
    knee_axis: np.ndarray


def leg_kinematics(robot: Quadruped, joint_position_rad: np.ndarray) -> LegKinematics:
    """Forward kinematics of four legs: a hip turning about x carries a planar two-link leg, `offset` to its side.

    Args:
      joint_position_rad: `[12]`, in the order of `description.JOINT_NAMES`.
    """
    angles = joint_position_rad.reshape(4, 3)
    sin_hip, cos_hip = np.sin(angles[:, 0]), np.cos(angles[:, 0])
    thigh = angles[:, 1]
    calf = thigh + angles[:, 2]
    calf_x, calf_z = -robot.calf_length_m * np.sin(calf), -robot.calf_length_m * np.cos(calf)
    # The leg's plane, before the hip turns it.
    leg_x = calf_x - robot.thigh_length_m * np.sin(thigh)
    leg_z = calf_z - robot.thigh_length_m * np.cos(thigh)

    from_hip_y = robot.thigh_offset_m * cos_hip - leg_z * sin_hip
    from_hip_z = robot.thigh_offset_m * sin_hip + leg_z * cos_hip
    position = robot.hip_position_m.copy()
    position[:, 0] += leg_x
    position[:, 1] += from_hip_y
    position[:, 2] += from_hip_z

    jacobian = np.zeros((4, 3, 3))
    jacobian[:, 1, 0] = -from_hip_z
    jacobian[:, 2, 0] = from_hip_y
    jacobian[:, 0, 1] = leg_z
    jacobian[:, 1, 1] = leg_x * sin_hip
    jacobian[:, 2, 1] = -leg_x * cos_hip
    jacobian[:, 0, 2] = calf_z
    jacobian[:, 1, 2] = calf_x * sin_hip
    jacobian[:, 2, 2] = -calf_x * cos_hip

    knee_axis = np.zeros((4, 3))
    knee_axis[:, 1] = cos_hip
    knee_axis[:, 2] = sin_hip
    return LegKinematics(position, jacobian, knee_axis)
