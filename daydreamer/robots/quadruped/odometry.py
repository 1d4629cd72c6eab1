"""How fast the trunk moves, from its own sensors: a Kalman filter over inertial and leg measurements.

The idea is that of Bloesch et al. 2012 ("State Estimation for Legged Robots - Consistent Fusion of Leg Kinematics
and IMU"), reduced to the velocity: the accelerometer predicts, every foot that carries load and is assumed to stand
still corrects. Feet do slip, most of all when they touch down, so each foot's word is weighed by how well it agrees
with the prediction, with the weights of a Student t distribution. One variance serves all three axes, which makes the
filter independent of the frame it is written in; the velocity is kept in the IMU's world frame, where accelerations
add up, and reported in base_link.
"""

from __future__ import annotations

import numpy as np

from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.signals import Measurement
from daydreamer.robots.quadruped.description import Quadruped
from daydreamer.robots.quadruped.kinematics import leg_kinematics

CONTACT_FORCE_N = 10.0
"""A foot that carries less may be sliding or just touching; the A1 weighs 122 N, the Go2 149 N."""

ACCELERATION_DEVIATION_M_S2 = 3.0
"""Of the mean over a control period, of which the filter sees only the two ends; impacts lie in between."""

STANCE_DEVIATION_M_S = 0.08
"""Of the velocity that one loaded, standing foot tells: sensor noise, compliance."""

LONE_FOOT_DEVIATION_M_S = 0.2
"""Of a single loaded foot: with the trunk on the ground it often pushes and slides."""

SLIP_DEGREES_OF_FREEDOM = 1.0
"""Of the Student t distribution of a foot's error: 1 expects slips often, infinity never."""

SHELL_RADIUS_M = 0.06
"""Without a loaded foot the trunk is taken to roll on its shell, whose axis is this far above the ground."""

SHELL_DEVIATION_M_S = 0.15
"""Of the velocity of that rolling. It pulls the estimate towards zero while the robot lies still, so that the
accelerometer's errors cannot add up, and makes it too small in long flight phases."""

LONGEST_PERIOD_S = 0.5
"""After a longer gap the old velocity says nothing about the new one."""

ABSURD_M_S, ABSURD_M_S2 = 1e3, 1e5
"""No robot on legs is that fast, nor is it hit that hard."""


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross product over the last axis; numpy's own costs five times as much for arrays this small."""
    return a[..., [1, 2, 0]] * b[..., [2, 0, 1]] - a[..., [2, 0, 1]] * b[..., [1, 2, 0]]


class LegOdometry:
    """Velocity of base_link.

    Attributes:
      velocity_m_s: `[3]` forward, left, up, base_link frame, after the last `update`.
      feet_in_contact: how many feet carried load in the last `update`.
    """

    def __init__(self, robot: Quadruped) -> None:
        self._robot = robot
        self.reset()

    def reset(self) -> None:
        """Forgets everything: the robot is assumed to be at rest."""
        self.velocity_m_s = np.zeros(3)
        self.feet_in_contact = 0
        self._velocity_world = np.zeros(3)
        self._variance = SHELL_DEVIATION_M_S**2
        self._acceleration_world: np.ndarray | None = None
        self._time_s = 0.0

    def update(self, measurement: Measurement, rotation: np.ndarray) -> np.ndarray:
        """Takes in one measurement.

        Args:
          measurement: see `Measurement`; `time_s` must not run backwards.
          rotation: `[3, 3]`, the matrix of the measurement's orientation.

        Returns:
          `velocity_m_s`, finite whatever the numbers in the measurement are: an estimate that is absurd is forgotten
          with all that has led to it.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            self._update(measurement, rotation)
        if not self._is_sane():
            self.reset()
            self._time_s = measurement.time_s
        return self.velocity_m_s

    def _is_sane(self) -> bool:
        """Not a number compares as false."""
        return bool(
            (np.abs(self._velocity_world) < ABSURD_M_S).all()
            and (np.abs(self.velocity_m_s) < ABSURD_M_S).all()
            and (np.abs(self._acceleration_world) < ABSURD_M_S2).all()
            and 0.0 < self._variance < ABSURD_M_S**2
        )

    def _update(self, measurement: Measurement, rotation: np.ndarray) -> None:
        self._predict(measurement, rotation)
        loaded = measurement["foot_force_n"] > CONTACT_FORCE_N
        self.feet_in_contact = int(np.count_nonzero(loaded))
        if self.feet_in_contact:
            stance_velocity_world = stance_velocities_m_s(self._robot, measurement, rotation)[loaded] @ rotation.T
            self._correct_by_feet(stance_velocity_world)
        else:
            roll_rate, pitch_rate, _ = (rotation @ measurement["angular_velocity_rad_s"]).tolist()
            rolling_world = SHELL_RADIUS_M * np.array((pitch_rate, -roll_rate, 0.0))
            self._correct(rolling_world, SHELL_DEVIATION_M_S**2)
        self.velocity_m_s = self._velocity_world @ rotation

    def _predict(self, measurement: Measurement, rotation: np.ndarray) -> None:
        period_s = measurement.time_s - self._time_s
        self._time_s = measurement.time_s
        acceleration = rotation @ measurement["linear_acceleration_m_s2"]
        acceleration[2] -= GRAVITY_M_S2
        previous, self._acceleration_world = self._acceleration_world, acceleration
        if previous is None:
            return
        if not 0.0 <= period_s <= LONGEST_PERIOD_S:
            self._velocity_world = np.zeros(3)
            self._variance = SHELL_DEVIATION_M_S**2
            return
        self._velocity_world = self._velocity_world + (previous + acceleration) * (0.5 * period_s)
        self._variance += (ACCELERATION_DEVIATION_M_S2 * period_s) ** 2

    def _correct_by_feet(self, velocities_world: np.ndarray) -> None:
        """Corrects by what each loaded foot tells, `[feet, 3]`."""
        variance = (STANCE_DEVIATION_M_S if len(velocities_world) > 1 else LONE_FOOT_DEVIATION_M_S) ** 2
        deviation = velocities_world - self._velocity_world
        expected = self._variance + variance
        distance = (deviation * deviation).sum(axis=1) / expected
        weights = np.minimum((SLIP_DEGREES_OF_FREEDOM + 3) / (SLIP_DEGREES_OF_FREEDOM + distance), 1.0)
        total = weights.sum()  # stays an array's number: where all weights vanish, dividing by it raises nothing
        self._correct(weights @ velocities_world / total, float(variance / total))

    def _correct(self, velocity_world: np.ndarray, variance: float) -> None:
        gain = self._variance / (self._variance + variance)
        self._velocity_world = self._velocity_world + gain * (velocity_world - self._velocity_world)
        self._variance *= 1.0 - gain


def stance_velocities_m_s(robot: Quadruped, measurement: Measurement, rotation: np.ndarray) -> np.ndarray:
    """Velocity of base_link `[4, 3]`, base_link frame, that each foot tells if it stands still.

    The point that stands still is where the round foot touches the ground, below its centre; it belongs to the calf,
    so the calf's turning counts (the foot rolls).

    Args:
      measurement: joint angles and velocities and the gyroscope are used.
      rotation: `[3, 3]`, the matrix of the measurement's orientation.
    """
    legs = leg_kinematics(robot, measurement["joint_position_rad"])
    joint_velocity = measurement["joint_velocity_rad_s"].reshape(4, 3)
    to_ground = -robot.foot_radius_m * rotation[2]
    calf_rate = legs.knee_axis * (joint_velocity[:, 1] + joint_velocity[:, 2])[:, None]
    calf_rate[:, 0] += joint_velocity[:, 0]
    by_joints = np.matmul(legs.jacobian_m_rad, joint_velocity[:, :, None])[:, :, 0] + _cross(calf_rate, to_ground)
    by_turning = _cross(measurement["angular_velocity_rad_s"], legs.foot_position_m + to_ground)
    return -(by_joints + by_turning)
