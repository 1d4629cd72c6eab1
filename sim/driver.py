"""The motor driver of a position-controlled robot: what happens between a command and a torque."""

from __future__ import annotations

from collections import deque

import numpy as np

from daydreamer.config import TwinConfig


class MotorDriver:
    """PD control of 12 joints with the habits of a real driver.

    A command takes effect `command_latency_s` after it arrived, the target then moves linearly to it within
    `interpolate_s`; at every call the target is kept within `max_target_error_rad` of the measured angle and the
    torque within the motor's limit. The driver damps (velocity gain only) before the first command, when told to, and
    when no command arrived for `command_timeout_s` (0: never, it then holds the last one for ever).
    """

    def __init__(self, config: TwinConfig, torque_limit_n_m: np.ndarray) -> None:
        """Makes a driver.

        Args:
          config: gains, limits and times.
          torque_limit_n_m: `[joints]`, joints in legs of hip, upper and lower joint.
        """
        legs = len(torque_limit_n_m) // 3
        self._damping = np.array(
            [config.damping_hip_n_m_s_rad, config.damping_upper_n_m_s_rad, config.damping_lower_n_m_s_rad] * legs
        )
        self._stiffness = config.stiffness_n_m_rad
        self._max_target_error_rad = config.max_target_error_rad
        self._interpolate_s = config.interpolate_s
        self._latency_s = config.command_latency_s
        self._timeout_s = config.command_timeout_s
        self._torque_limit = torque_limit_n_m
        self.reset()

    @property
    def damping(self) -> bool:
        """Whether the joints are only damped, without a position target."""
        return self._target is None

    def reset(self) -> None:
        """Forgets all commands and damps."""
        self._pending: deque[tuple[float, np.ndarray | None]] = deque()
        self._start: np.ndarray | None = None
        self._target: np.ndarray | None = None
        self._start_time_s = 0.0
        self._last_arrival_s = 0.0

    def command(self, joint_targets_rad: np.ndarray | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: joint targets `[joints]`, or None to damp.

        Raises:
          ValueError: wrong shape, or not finite.
        """
        if joint_targets_rad is not None:
            joint_targets_rad = np.array(joint_targets_rad, np.float64)
            if joint_targets_rad.shape != self._damping.shape or not np.isfinite(joint_targets_rad).all():
                raise ValueError(f"not {len(self._damping)} finite joint targets: {joint_targets_rad}")
        self._pending.append((time_s + self._latency_s, joint_targets_rad))

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Torque `[joints]` in N m at `time_s`, given the joints' angles and velocities."""
        # Half a nanosecond forgives the rounding of a simulation's clock.
        while self._pending and self._pending[0][0] <= time_s + 5e-10:
            self._accept(self._pending.popleft()[1], time_s, position_rad)
        if self._target is not None and 0.0 < self._timeout_s < time_s - self._last_arrival_s:
            self._target = None
        torque = self._damping * velocity_rad_s
        np.negative(torque, out=torque)
        if self._target is not None:
            error = self._interpolated(time_s) - position_rad
            np.minimum(error, self._max_target_error_rad, out=error)
            np.maximum(error, -self._max_target_error_rad, out=error)
            error *= self._stiffness
            torque += error
        np.minimum(torque, self._torque_limit, out=torque)
        np.maximum(torque, -self._torque_limit, out=torque)
        return torque

    def _accept(self, target: np.ndarray | None, time_s: float, position_rad: np.ndarray) -> None:
        self._last_arrival_s = time_s
        # From damping the target sets out where the joints are.
        self._start = position_rad.copy() if self._target is None else self._interpolated(time_s)
        self._start_time_s = time_s
        self._target = target

    def _interpolated(self, time_s: float) -> np.ndarray:
        elapsed_s = time_s - self._start_time_s
        if elapsed_s >= self._interpolate_s:
            return self._target
        return self._start + (self._target - self._start) * (elapsed_s / self._interpolate_s)
