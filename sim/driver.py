"""The motor driver of a position-controlled robot: what happens between a command and a torque."""

from __future__ import annotations

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.robots.target_stream import TargetStream


class MotorDriver:
    """PD control of 12 joints with the habits of a real driver: those of `TargetStream`, and torque limits.

    Without a target it damps (velocity gain only).

    Attributes:
      targets: what the motors follow.
      strength: `[joints]`, share of the wanted torque that each motor gives; may be changed at any time.
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
        self._torque_limit = torque_limit_n_m
        self.strength = np.ones(len(torque_limit_n_m))
        self.targets = TargetStream(
            latency_s=config.command_latency_s,
            interpolate_s=config.interpolate_s,
            timeout_s=config.command_timeout_s,
            max_error_rad=config.max_target_error_rad,
        )

    @property
    def damping(self) -> bool:
        """Whether the joints are only damped, without a position target."""
        return self.targets.damping

    def reset(self) -> None:
        """Forgets all commands and damps."""
        self.targets.reset()

    def command(self, joint_targets_rad: np.ndarray | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: joint targets `[joints]`, or None to damp.

        Raises:
          ValueError: wrong shape, or not finite.
        """
        if joint_targets_rad is not None and np.shape(joint_targets_rad) != self._damping.shape:
            raise ValueError(f"not {len(self._damping)} finite joint targets: {joint_targets_rad}")
        self.targets.command(joint_targets_rad, time_s)

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """Torque `[joints]` in N m at `time_s`, given the joints' angles and velocities."""
        torque = self._damping * velocity_rad_s
        np.negative(torque, out=torque)
        error = self.targets.error(time_s, position_rad)
        if error is not None:
            error *= self._stiffness
            torque += error
        np.minimum(torque, self._torque_limit, out=torque)
        np.maximum(torque, -self._torque_limit, out=torque)
        torque *= self.strength
        return torque
