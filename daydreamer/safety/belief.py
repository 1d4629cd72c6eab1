"""What of a measurement is believed: nothing that no sensor can say, and no single angle that leaps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import ORIENTATION, Measurement, Signal

OUTSIDE_RAD = 0.2
"""An angle this far beyond a mechanical limit is a wrong zero, sign or turn, or a broken joint."""

SMALLEST_QUATERNION = 1e-3
"""Of a shorter one the direction is noise; scaled ones are as good as those of length 1."""


class SignalCheck:
    """Whether a measurement can be computed with."""

    def __init__(self, signals: Mapping[str, Signal]):
        self._largest = {
            name: signal.largest for name, signal in signals.items() if not (signal.optional or signal.is_image)
        }
        self._has_orientation = ORIENTATION in signals

    def unusable_quantity(self, measurement: Measurement) -> str | None:
        """Name of the first quantity that is missing, not finite, or beyond what any sensor can say; None if all are
        usable.
        """
        for name, largest in self._largest.items():
            values = measurement.get(name)
            # Not a number compares as false.
            if values is None or not (np.abs(values) <= largest).all():
                return name
        if self._has_orientation and np.abs(measurement[ORIENTATION]).max() < SMALLEST_QUATERNION:
            return ORIENTATION
        return None


class JointBelief:
    """Where the joints are, as far as no single sample is believed that a command could not have led to.

    A sample that is farther from the last believed angle than the rate limit allows within a control period is
    believed only when the next one says the same: a glitch is over by then. So the first sample of all is not believed
    either. A joint that really is that fast is believed one sample late.

    What no encoder can say is never believed, however often it is said. An angle that no joint can have is: it is what
    a wrong zero looks like, and others have to know. But where it is to be said where the joint is, it counts for
    nothing.

    Attributes:
      certain: whether every angle of the newest sample is believed.
    """

    def __init__(self, limits: JointLimits, control_period_s: float, largest_rad: float = np.inf):
        """Makes a belief in nothing.

        Args:
          control_period_s: time between two commands.
          largest_rad: magnitude beyond which a sample is a broken message.
        """
        self._largest_rad = largest_rad
        self._lower_rad, self._upper_rad = limits.lower_rad - OUTSIDE_RAD, limits.upper_rad + OUTSIDE_RAD
        self._step_rad = limits.command_rate_rad_s * control_period_s
        # A measurement is as old as its oldest part: one a little newer may hold the same angles.
        self._confirming_s = control_period_s / 2
        joints = len(self._step_rad)
        self._believed_rad: NDArray[np.float64] = np.full(joints, np.nan)
        self._possible_rad: NDArray[np.float64] = np.full(joints, np.nan)
        self._doubted_rad: NDArray[np.float64] = np.full(joints, np.nan)
        self._doubted_s: NDArray[np.float64] = np.full(joints, -np.inf)
        self._believed_s: NDArray[np.float64] = np.full(joints, -np.inf)
        self._time_s = -np.inf
        self.certain = False

    @property
    def position_rad(self) -> NDArray[np.float64] | None:
        """`[joints]`, finite; None while a joint has not been believed once."""
        return None if np.isnan(self._believed_rad).any() else self._believed_rad

    @property
    def possible_rad(self) -> NDArray[np.float64] | None:
        """`[joints]`, the last that were believed and that the joint can have; None while there is a joint without."""
        return None if np.isnan(self._possible_rad).any() else self._possible_rad

    @property
    def doubt_s(self) -> float:
        """How long the joint that was believed last has not been."""
        return self._time_s - float(self._believed_s.min())

    def update(self, time_s: float, sample_rad: NDArray[np.float64]) -> NDArray[np.bool_]:
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
            sample_rad = np.where(np.abs(sample_rad) <= self._largest_rad, sample_rad, np.nan)
            near = np.abs(sample_rad - self._believed_rad) <= self._step_rad
            said_twice = np.abs(sample_rad - self._doubted_rad) <= self._step_rad
        believed = near | said_twice & (time_s - self._doubted_s >= self._confirming_s)
        # New arrays, never changed ones: another thread may be sending the old ones.
        self._believed_rad = np.where(believed, sample_rad, self._believed_rad)
        possible = believed & (sample_rad >= self._lower_rad) & (sample_rad <= self._upper_rad)
        self._possible_rad = np.where(possible, sample_rad, self._possible_rad)
        self._doubted_s = np.where(said_twice, self._doubted_s, time_s)
        self._doubted_rad = np.where(believed, np.nan, sample_rad)
        self._believed_s = np.where(believed, time_s, self._believed_s)
        self.certain = bool(believed.all())
        return ~believed
