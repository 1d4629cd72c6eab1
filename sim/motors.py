"""Motors with their drivers: what happens between a command and a torque."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.safety.target_stream import TargetStream


class MotorModel(Protocol):
    """What a twin needs of its motors, all of them together.

    Attributes:
      targets: what the motors follow.
      strength: `[motors]`, share of the wanted torque that each gives; may be changed at any time.
    """

    targets: TargetStream
    strength: np.ndarray

    @property
    def damping(self) -> bool:
        """Whether the motors follow no target."""

    def reset(self) -> None:
        """Forgets all commands; the clock begins at 0."""

    def command(self, targets: np.ndarray | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: targets `[motors]`, or None for the safe state without any."""

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Torque `[motors]` in N m at `time_s`, given the joints' angles and velocities."""


class _Motors:
    """What motors have in common: a stream of targets, and strengths."""

    def __init__(self, motors: int, targets: TargetStream) -> None:
        self.targets = targets
        self.strength = np.ones(motors)

    @property
    def damping(self) -> bool:
        """Whether the motors follow no target."""
        return self.targets.damping

    def reset(self) -> None:
        """Forgets all commands."""
        self.targets.reset()

    def command(self, targets: np.ndarray | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: targets `[motors]`, or None for no target.

        Raises:
          ValueError: wrong shape, or not finite.
        """
        if targets is not None and np.shape(targets) != self.strength.shape:
            raise ValueError(f"not {len(self.strength)} finite joint targets: {targets}")
        self.targets.command(targets, time_s)


class PositionMotors(_Motors):
    """PD control of joint angles, with the habits of a real driver: those of `TargetStream`, and torque limits.

    With other figures these are the joints of a legged robot, which damp without a target, or hobby servos, which go
    limp and whose gears have play.

    Attributes:
      torque_limit_n_m: `[joints]`; may be changed at any time.
    """

    def __init__(
        self,
        targets: TargetStream,
        *,
        stiffness_n_m_rad: np.ndarray,
        damping_n_m_s_rad: np.ndarray,
        torque_limit_n_m: np.ndarray,
        relaxed_damping_n_m_s_rad: np.ndarray | None = None,
        backlash_rad: np.ndarray | None = None,
    ) -> None:
        """Makes motors without a target.

        Args:
          targets: joint angles in rad.
          stiffness_n_m_rad, damping_n_m_s_rad, torque_limit_n_m: `[joints]`.
          relaxed_damping_n_m_s_rad: `[joints]`, velocity gain without a target; None keeps that of `damping_n_m_s_rad`,
            zeros let the joints hang.
          backlash_rad: `[joints]`, how far to either side of its target a joint is free; None for gears without play.
        """
        super().__init__(len(torque_limit_n_m), targets)
        self._stiffness = stiffness_n_m_rad
        self._damping = damping_n_m_s_rad
        self._relaxed_damping = damping_n_m_s_rad if relaxed_damping_n_m_s_rad is None else relaxed_damping_n_m_s_rad
        self.torque_limit_n_m = torque_limit_n_m
        self._backlash = backlash_rad

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Torque `[joints]` in N m at `time_s`, given the joints' angles and velocities."""
        error = self.targets.error(time_s, position_rad)
        torque = (self._relaxed_damping if error is None else self._damping) * velocity_rad_s
        np.negative(torque, out=torque)
        if error is not None:
            if self._backlash is not None:
                error -= np.clip(error, -self._backlash, self._backlash)
            error *= self._stiffness
            torque += error
        np.minimum(torque, self.torque_limit_n_m, out=torque)
        np.maximum(torque, -self.torque_limit_n_m, out=torque)
        torque *= self.strength
        return torque


def speed_targets(config: TwinConfig) -> TargetStream:
    """Wheel speeds as the twin's driver takes them: its latency and time-out, neither interpolated nor held back."""
    return TargetStream(
        latency_s=config.command_latency_s,
        interpolate_s=0.0,
        timeout_s=config.command_timeout_s,
        max_error_rad=np.inf,
    )


class VelocityMotors(_Motors):
    """Speed control of wheels: the speed asked for is approached no faster than they may accelerate.

    Without a target they brake: the speed asked for is zero.
    """

    def __init__(
        self,
        targets: TargetStream,
        *,
        gain_n_m_s_rad: np.ndarray,
        torque_limit_n_m: np.ndarray,
        acceleration_rad_s2: np.ndarray,
    ) -> None:
        """Makes motors that stand still.

        Args:
          targets: wheel speeds in rad/s, see `speed_targets`; the accelerations take the place of its interpolation and
            error limit.
          gain_n_m_s_rad, torque_limit_n_m, acceleration_rad_s2: `[wheels]`.
        """
        super().__init__(len(torque_limit_n_m), targets)
        self._gain = gain_n_m_s_rad
        self._torque_limit = torque_limit_n_m
        self._acceleration = acceleration_rad_s2
        self.reset()

    def reset(self) -> None:
        """Forgets all commands; the clock begins at 0."""
        super().reset()
        self._speed = np.zeros_like(self.strength)
        self._time_s = 0.0

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Torque `[wheels]` in N m at `time_s`, given the wheels' angles and speeds."""
        change = self.targets.error(time_s, self._speed)
        if change is None:
            change = -self._speed
        limit = self._acceleration * (time_s - self._time_s)
        self._speed = self._speed + np.clip(change, -limit, limit)
        self._time_s = time_s
        torque = self._gain * (self._speed - velocity_rad_s)
        return self.strength * np.clip(torque, -self._torque_limit, self._torque_limit)


class MeteredMotors:
    """Motors whose work is counted; else as those that they are made of.

    Attributes:
      work_j: `[motors]`, what they have given so far. What they took in while they braked is not taken off: few drivers
        give it back.
    """

    def __init__(self, motors: MotorModel, timestep_s: float) -> None:
        """`torque` of `motors` is to be asked for every `timestep_s`."""
        self._motors = motors
        self._timestep_s = timestep_s
        self.targets = motors.targets
        self.strength = motors.strength
        self.work_j = np.zeros_like(motors.strength)

    @property
    def damping(self) -> bool:
        """Whether the motors follow no target."""
        return self._motors.damping

    def reset(self) -> None:
        """Forgets all commands, and no work."""
        self._motors.reset()

    def command(self, targets: np.ndarray | None, time_s: float) -> None:
        """See `MotorModel`."""
        self._motors.command(targets, time_s)

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """See `MotorModel`; it acts until it is asked for again."""
        torque = self._motors.torque(time_s, position_rad, velocity_rad_s)
        self.work_j += self._timestep_s * np.maximum(torque * velocity_rad_s, 0.0)
        return torque
