"""What of a measurement is believed: nothing that no sensor can say, and no single angle that leaps."""

from __future__ import annotations

import numpy as np

from daydreamer.robots.base import JointLimits, Measurement

LARGEST = {
    "joint_position_rad": 1e3,
    "joint_velocity_rad_s": 1e3,
    "orientation_wxyz": 1e3,
    "angular_velocity_rad_s": 100.0,
    "linear_acceleration_m_s2": 2e3,
    "foot_force_n": 1e5,
}
"""Magnitudes beyond which a quantity is a broken message, whatever the sensor: gyroscopes end at 70 rad/s, the
accelerometers of walking robots at 400 m/s^2, and a simulated A1 that falls at 150."""

SMALLEST_QUATERNION = 1e-3
"""Of a shorter one the direction is noise; scaled ones are as good as those of length 1."""


def unusable_quantity(measurement: Measurement) -> str | None:
    """Name of the first quantity that cannot be computed with: not finite, or beyond what any sensor can say."""
    for name, largest in LARGEST.items():
        values = getattr(measurement, name)
        # Not a number compares as false.
        if not (np.abs(values) <= largest).all():
            return name
    if np.abs(measurement.orientation_wxyz).max() < SMALLEST_QUATERNION:
        return "orientation_wxyz"
    return None


class JointBelief:
    """Where the joints are, as far as no single sample is believed that a command could not have led to.

    A sample that is farther from the last believed angle than the rate limit allows within a control period is
    believed only when the next one says the same: a glitch is over by then. So the first sample of all is not believed
    either. A joint that really is that fast is believed one sample late.

    Attributes:
      certain: whether every angle of the newest sample is believed.
    """

    def __init__(self, limits: JointLimits, control_period_s: float):
        self._step_rad = limits.command_rate_rad_s * control_period_s
        # A measurement is as old as its oldest part: one a little newer may hold the same angles.
        self._confirming_s = control_period_s / 2
        joints = len(self._step_rad)
        self._believed_rad = np.full(joints, np.nan)
        self._doubted_rad = np.full(joints, np.nan)
        self._doubted_s = np.full(joints, -np.inf)
        self._believed_s = np.full(joints, -np.inf)
        self._time_s = -np.inf
        self.certain = False

    @property
    def position_rad(self) -> np.ndarray | None:
        """`[joints]`, finite; None while a joint has not been believed once."""
        return None if np.isnan(self._believed_rad).any() else self._believed_rad

    @property
    def doubt_s(self) -> float:
        """How long the joint that was believed last has not been."""
        return self._time_s - float(self._believed_s.min())

    def update(self, time_s: float, sample_rad: np.ndarray) -> np.ndarray:
        """Takes in the angles of a measurement; one that is no newer than the last changes nothing.

        Args:
          sample_rad: `[joints]`, any values.

        Returns:
          `[joints]`, which of them are not believed.
        """
        if time_s <= self._time_s:
            return np.zeros(len(sample_rad), bool)
        self._time_s = time_s
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(sample_rad - self._believed_rad) <= self._step_rad
            said_twice = np.abs(sample_rad - self._doubted_rad) <= self._step_rad
        believed = near | said_twice & (time_s - self._doubted_s >= self._confirming_s)
        # New arrays, never changed ones: another thread may be sending the old ones.
        self._believed_rad = np.where(believed, sample_rad, self._believed_rad)
        self._doubted_s = np.where(said_twice, self._doubted_s, time_s)
        self._doubted_rad = np.where(believed, np.nan, sample_rad)
        self._believed_s = np.where(believed, time_s, self._believed_s)
        self.certain = bool(believed.all())
        return ~believed
