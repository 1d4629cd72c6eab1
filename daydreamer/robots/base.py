"""What the control loop needs to know of a robot. Adding a robot is adding a folder that provides this."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from daydreamer.spec import RobotSpec


@dataclasses.dataclass(slots=True)
class Measurement:
    """Latest state of the robot, from its own sensors only. SI units, REP-103 axes (x forward, y left, z up).

    Attributes:
      time_s: steady clock, when the state was received.
      joint_position_rad, joint_velocity_rad_s: `[joints]`, in the order of `RobotSpec.joint_names`.
      orientation_wxyz: unit quaternion that rotates base_link vectors into the gravity-aligned world frame.
      angular_velocity_rad_s: `[3]`, base_link frame (gyroscope).
      linear_acceleration_m_s2: `[3]`, base_link frame, gravity included as an accelerometer sees it
        (+9.81 on z at rest, upright).
      foot_force_n: `[feet]`, normal force, in the order of `RobotSpec.foot_names`.
      image: uint8 `[64, 64, 3]` or None.
    """

    time_s: float
    joint_position_rad: np.ndarray
    joint_velocity_rad_s: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    linear_acceleration_m_s2: np.ndarray
    foot_force_n: np.ndarray
    image: np.ndarray | None = None


@dataclasses.dataclass(slots=True)
class TaskState:
    """What a task makes of one measurement.

    Attributes:
      observation: by key, matches `RobotSpec.observation`.
      reward: sum that the agent maximises.
      reward_terms: by name, matches `RobotSpec.reward_terms`.
      info: by name, matches `RobotSpec.info`.
    """

    observation: dict[str, np.ndarray]
    reward: float
    reward_terms: dict[str, float]
    info: dict[str, float]


@dataclasses.dataclass(frozen=True)
class JointLimits:
    """Limits that the safety supervisor enforces on every command; all `[joints]`.

    Attributes:
      lower_rad, upper_rad: mechanical position limits.
      command_rate_rad_s: how fast a commanded position may move.
      velocity_rad_s: measured speed above which the joint is out of control.
      torque_n_m: what the motor can give.
    """

    lower_rad: np.ndarray
    upper_rad: np.ndarray
    command_rate_rad_s: np.ndarray
    velocity_rad_s: np.ndarray
    torque_n_m: np.ndarray


class Task(Protocol):
    """One robot doing one task. Not thread-safe; called from the control loop only."""

    spec: RobotSpec
    limits: JointLimits

    def reset(self) -> None:
        """Forgets filters and odometry; call when the stream of measurements was interrupted."""

    def update(self, measurement: Measurement, previous_target_rad: np.ndarray) -> TaskState:
        """Observation and reward after `measurement`, which must be one control period after the last one.

        Args:
          previous_target_rad: `[joints]`, the command that the robot has been following since the last one; the
            measured angles if it had none.
        """

    def joint_targets(self, action: np.ndarray) -> np.ndarray:
        """Joint position targets `[joints]` in rad for a policy action, before filter and safety."""
