"""What a robot must never exceed. A limit that it does not have is infinite; one that is None has been forgotten."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class MotorGains:
    """How the robot's driver makes torques of position targets; all `[joints]`.

    Attributes:
      stiffness_n_m_rad: torque per error of position.
      max_target_error_rad: the driver keeps targets this close to the measured angle; infinity if it does not.
    """

    stiffness_n_m_rad: NDArray[np.float64]
    max_target_error_rad: NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class WorkspaceBox:
    """Where the tool of an arm may be.

    Attributes:
      lower_m, upper_m: `[3]`, base frame.
      tool_position_m: `[3]` of the tool for joint angles `[joints]`.
      joints_for_tool: joint angles `[joints]` that have the tool at `[3]`, and all else as at reference angles
        `[joints]`, which are its first argument; None where the arm does not reach so far. With it the tool moves in
        straight lines, and slides along the faces of the box. Without, what would leave the box is not done at all.
      tool_joints: so many joints, the first ones, move the tool; those after them only what it does.
      tool_speed_m_s: how fast the tool may move, where `joints_for_tool` is known.
    """

    lower_m: NDArray[np.float64]
    upper_m: NDArray[np.float64]
    tool_position_m: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    joints_for_tool: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64] | None] | None = None
    tool_joints: int | None = None
    tool_speed_m_s: float = np.inf


@dataclasses.dataclass(frozen=True)
class JointLimits:
    """What a robot that is told joint positions may do; all `[joints]` unless stated.

    Attributes:
      lower_rad, upper_rad: mechanical position limits.
      command_rate_rad_s: how fast a commanded position may move.
      velocity_rad_s: measured speed above which the joint is out of control.
      torque_n_m: what the motor can give.
      gains: of the driver; with them a target's torque is known before it is sent. None where a vendor's controller
        keeps them to itself.
      following_rad: where it does, how far each joint may lag behind its command while the controller is at work;
        infinity for one that may hold on to something. None if that is not known, and then nobody notices a robot that
        has been stopped by somebody else.
      temperature_c: scalar, hottest motor that may still work.
      battery_fraction: scalar, charge below which the robot has to be put down; minus infinity if it does not matter.
      workspace: for arms; None for robots whose tool is not limited.
    """

    lower_rad: NDArray[np.float64]
    upper_rad: NDArray[np.float64]
    command_rate_rad_s: NDArray[np.float64]
    velocity_rad_s: NDArray[np.float64]
    torque_n_m: NDArray[np.float64]
    gains: MotorGains | None
    following_rad: NDArray[np.float64] | None = None
    temperature_c: float | None = None
    battery_fraction: float | None = None
    workspace: WorkspaceBox | None = None


@dataclasses.dataclass(frozen=True)
class TwistLimits:
    """What a robot on wheels may do, which is told how fast to drive and to turn.

    Attributes:
      forward_m_s, backward_m_s, turn_rad_s: fastest commands, all positive.
      acceleration_m_s2, turn_acceleration_rad_s2: how fast commands may change.
      temperature_c, battery_fraction: as in `JointLimits`.
    """

    forward_m_s: float | None = None
    backward_m_s: float | None = None
    turn_rad_s: float | None = None
    acceleration_m_s2: float | None = None
    turn_acceleration_rad_s2: float | None = None
    temperature_c: float | None = None
    battery_fraction: float | None = None


Limits = JointLimits | TwistLimits
