"""What the sensors must have said for an observation to come of it: the task's observation, turned round."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.signals import Measurement
from daydreamer.robots.quadruped import task
from daydreamer.robots.quadruped.description import FOOT_NAMES, Quadruped


def replayed_measurement(robot: Quadruped, observation: Mapping[str, np.ndarray], time_s: float) -> Measurement:
    """The measurement behind a logged observation, as far as it can be known.

    The heading was not observed: it is 0. The acceleration is gravity alone. Foot forces were not observed: NaN.
    """
    up = np.asarray(observation["gravity_up"], np.float64)
    up /= np.linalg.norm(up)
    return Measurement(
        time_s=time_s,
        values=dict(
            joint_position_rad=robot.joint_range.denormalise(np.asarray(observation["joint_position"], np.float64)),
            joint_velocity_rad_s=task.JOINT_VELOCITY_SCALE_RAD_S
            * np.asarray(observation["joint_velocity"], np.float64),
            orientation_wxyz=_orientation_without_heading(up),
            angular_velocity_rad_s=task.ANGULAR_VELOCITY_SCALE_RAD_S
            * np.asarray(observation["angular_velocity"], np.float64),
            linear_acceleration_m_s2=GRAVITY_M_S2 * up,
            foot_force_n=np.full(len(FOOT_NAMES), np.nan),
            camera=observation.get("camera"),
        ),
    )


def _orientation_without_heading(up: np.ndarray) -> np.ndarray:
    """Quaternion w x y z with roll and pitch of the world's `up` `[3]` in base_link, and yaw 0."""
    roll = math.atan2(up[1], up[2])
    pitch = math.atan2(-up[0], math.hypot(up[1], up[2]))
    cos_roll, sin_roll = math.cos(roll / 2), math.sin(roll / 2)
    cos_pitch, sin_pitch = math.cos(pitch / 2), math.sin(pitch / 2)
    return np.array((cos_roll * cos_pitch, sin_roll * cos_pitch, cos_roll * sin_pitch, -sin_roll * sin_pitch))
