"""What the control loop needs to know of a robot. Adding a robot is adding a folder that provides this."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from daydreamer.presentation import Presentation
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
      image_time_s: steady clock, when the image was received: cameras have a rate of their own, so that `time_s` says
        nothing of it; None where it is as new as the rest.
      temperature_c: of the hottest motor; None if the robot does not report it.
      battery_fraction: charge, 0 to 1; likewise.
      peak_joint_speed_rad_s: `[joints]`, largest magnitude of the joint velocity in all messages since the measurement
        before; None if there were no others.
    """

    time_s: float
    joint_position_rad: np.ndarray
    joint_velocity_rad_s: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    linear_acceleration_m_s2: np.ndarray
    foot_force_n: np.ndarray
    image: np.ndarray | None = None
    image_time_s: float | None = None
    temperature_c: float | None = None
    battery_fraction: float | None = None
    peak_joint_speed_rad_s: np.ndarray | None = None


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
class MotorGains:
    """How the robot's driver makes torques of position targets; all `[joints]`.

    Attributes:
      stiffness_n_m_rad: torque per error of position.
      max_target_error_rad: the driver keeps targets this close to the measured angle; infinity if it does not.
    """

    stiffness_n_m_rad: np.ndarray
    max_target_error_rad: np.ndarray


@dataclasses.dataclass(frozen=True)
class FootSensing:
    """What is to be expected of a robot's foot sensors.

    Attributes:
      contact_n: a foot that reads more counts as standing.
      weight_n: of the robot, which its feet carry together.
    """

    contact_n: float
    weight_n: float


@dataclasses.dataclass(frozen=True)
class WorkspaceBox:
    """Where the tool of an arm may be.

    Attributes:
      lower_m, upper_m: `[3]`, base frame.
      tool_position_m: `[3]` of the tool for joint angles `[joints]`.
    """

    lower_m: np.ndarray
    upper_m: np.ndarray
    tool_position_m: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class JointLimits:
    """Limits that the safety supervisor enforces; all `[joints]` unless stated.

    A limit that the robot does not have is infinite. One that is None has been forgotten, and is refused at start.

    Attributes:
      lower_rad, upper_rad: mechanical position limits.
      command_rate_rad_s: how fast a commanded position may move.
      velocity_rad_s: measured speed above which the joint is out of control.
      torque_n_m: what the motor can give.
      gains: of the driver; with them a target's torque is known before it is sent.
      temperature_c: scalar, hottest motor that may still work.
      battery_fraction: scalar, charge below which the robot has to be put down; minus infinity if it does not matter.
      workspace: for arms; None for robots whose tool is not limited.
    """

    lower_rad: np.ndarray
    upper_rad: np.ndarray
    command_rate_rad_s: np.ndarray
    velocity_rad_s: np.ndarray
    torque_n_m: np.ndarray
    gains: MotorGains | None = None
    temperature_c: float | None = None
    battery_fraction: float | None = None
    workspace: WorkspaceBox | None = None


class Task(Protocol):
    """One robot doing one task. Not thread-safe; called from the control loop only."""

    spec: RobotSpec
    presentation: Presentation
    limits: JointLimits
    foot_sensing: FootSensing | None
    """None for a robot without feet."""
    ramp_poses_rad: Mapping[str, np.ndarray]
    """`[joints]` by name: 'rest', which the robot can take on its belly and on its back, and 'stand'."""
    get_up_actions: np.ndarray
    """`[actions, action]`, which one after the other lead from the belly onto the feet; action 0 alone for robots that
    do not fall."""

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

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """The action `[action]` that an intervening operator asks for.

        Args:
          axes: `[4]` of a gamepad in [-1, 1]: left stick left and up, right stick left and up (REP-103 signs); zeros
            from a keyboard.
        """
