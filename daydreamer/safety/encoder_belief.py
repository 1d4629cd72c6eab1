"""Which of the angles that encoders say a motor driver believes. No single sample is.

The driver hears each motor's own speed some hundred times a second, and judges by that; what the supervisor believes,
at the control rate and whatever drives the robot, is in `daydreamer.safety.belief`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEP_RAD = 0.05
"""Noise, coarse encoders, and packets that come a few milliseconds late: any angle may differ by this from the last."""

SPEED_FACTOR = 1.5
"""A joint may have been faster between two samples than the motor said at either."""

LEAP_RAD = 0.3
"""And beyond its largest speed a joint may seem to have come this far, where the driver itself was late."""

PERSISTENT_SAMPLES = 5
"""As many samples in a row that agree with each other are believed, whatever was before them."""


class EncoderBelief:
    """Angles that follow from those before at the speed that the motors themselves report. Not thread-safe.

    A sample of which a motor's own speed says that it cannot be is a glitch: the angle before it stands. If
    `PERSISTENT_SAMPLES` agree with each other, they are believed; had the joint to be faster than it can be, it is
    said that it has leapt. After a pause the first samples must agree with each other likewise.

    Attributes:
      position_rad: `[joints]`; NaN where nothing is believed yet.
      glitches: samples with a joint that was not believed though others were.
    """

    # Since `_begin`, each `[joints]`.
    _speed: NDArray[np.float64]
    _believed_s: NDArray[np.float64]
    _agreeing: NDArray[np.int_]
    _leaping: NDArray[np.bool_]
    _sample_rad: NDArray[np.float64]
    _sample_speed: NDArray[np.float64]

    def __init__(self, largest_velocity_rad_s: NDArray[np.float64], pause_s: float):
        """Makes a belief in nothing.

        Args:
          largest_velocity_rad_s: `[joints]` that a joint can reach.
          pause_s: after a longer time without samples it begins anew.
        """
        self._largest_rad_s = largest_velocity_rad_s
        self._pause_s = pause_s
        self._sample_s = -np.inf
        self.glitches = 0
        self.position_rad = np.full(len(largest_velocity_rad_s), np.nan)

    def age_s(self, time_s: float) -> float:
        """Age of the joint's angle that has not been confirmed for longest; infinite if one was never believed."""
        return np.inf if np.isnan(self.position_rad).any() else time_s - float(self._believed_s.min())

    def update(
        self, position_rad: NDArray[np.float64], velocity_rad_s: NDArray[np.float64], time_s: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Takes in a sample, finite.

        Returns:
          `[joints]` each: whether the joint's angle is believed, and whether it has leapt.
        """
        speed = np.abs(velocity_rad_s)
        if time_s - self._sample_s > self._pause_s:
            self._begin(position_rad, speed, time_s)
        elapsed_s = time_s - self._believed_s
        distance = np.abs(position_rad - self.position_rad)
        explained = distance <= self._reach(speed, self._speed, elapsed_s)
        follows = np.abs(position_rad - self._sample_rad) <= self._reach(
            speed, self._sample_speed, time_s - self._sample_s
        )
        # Whether it leaps shows in the first sample of those that agree: while they do so it may have moved on.
        beyond = distance > LEAP_RAD + self._largest_rad_s * elapsed_s
        goes_on = follows & (self._agreeing > 0)
        self._leaping = np.where(goes_on, self._leaping, beyond) & ~explained
        self._agreeing = np.where(explained, 0, np.where(follows, self._agreeing + 1, 1))
        believed = explained | (self._agreeing >= PERSISTENT_SAMPLES)
        leapt = believed & self._leaping
        self.glitches += bool((~believed & ~np.isnan(self.position_rad)).any())
        self.position_rad = np.where(believed, position_rad, self.position_rad)
        self._speed = np.where(believed, speed, self._speed)
        self._believed_s = np.where(believed, time_s, self._believed_s)
        self._agreeing[believed] = 0
        self._sample_rad, self._sample_speed, self._sample_s = position_rad, speed, time_s
        return believed, leapt

    def _begin(self, position_rad: NDArray[np.float64], speed_rad_s: NDArray[np.float64], time_s: float) -> None:
        joints = len(position_rad)
        self.position_rad = np.full(joints, np.nan)
        self._speed = speed_rad_s
        self._believed_s = np.full(joints, time_s)
        self._agreeing = np.zeros(joints, int)
        self._leaping = np.zeros(joints, bool)
        self._sample_rad, self._sample_speed, self._sample_s = position_rad, speed_rad_s, time_s

    def _reach(
        self,
        speed_rad_s: NDArray[np.float64],
        before_rad_s: NDArray[np.float64],
        elapsed_s: NDArray[np.float64] | float,
    ) -> NDArray[np.float64]:
        """How far `[joints]` each joint may have come."""
        speed = np.minimum(SPEED_FACTOR * np.maximum(speed_rad_s, before_rad_s), self._largest_rad_s)
        return STEP_RAD + speed * elapsed_s


def named(joint_names: Sequence[str], joints: NDArray[np.bool_]) -> str:
    """The names of the joints for which `joints` is true, in a sentence."""
    return ", ".join(name for name, which in zip(joint_names, joints, strict=True) if which)
