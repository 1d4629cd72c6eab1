"""Smooths joint targets before they reach the motors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class LowPassFilter:
    """Causal Butterworth low-pass of second order, one state per joint; the first output equals its reset value.

    Attributes:
      cutoff_hz: -3 dB frequency; 0 passes everything through.
    """

    def __init__(self, cutoff_hz: float, rate_hz: float):
        """Filter for samples that arrive at `rate_hz`.

        Raises:
          ValueError: the cutoff is negative or not below half the rate.
        """
        if not 0.0 <= cutoff_hz < rate_hz / 2:
            raise ValueError(f"cutoff_hz must be in [0, {rate_hz / 2}), half the sampling rate, not {cutoff_hz}.")
        self.cutoff_hz = cutoff_hz
        if cutoff_hz:
            self._numerator, self._denominator = _butterworth(cutoff_hz / rate_hz)
        # What the next output and the one after it owe to the samples so far, `[2, joints]`: transposed direct form II.
        self._state: NDArray[np.float64] | None = None

    def reset(self, value: NDArray[np.float64]) -> None:
        """Starts as if `value` `[joints]` had been the input for ever."""
        if self.cutoff_hz:
            self._state = self._steady(np.asarray(value, np.float64))

    def __call__(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Next output `[joints]` for the input `value` `[joints]`; without a reset it starts at this input."""
        value = np.asarray(value, np.float64)
        if not self.cutoff_hz:
            return value.copy()
        state = self._steady(value) if self._state is None else self._state
        output: NDArray[np.float64] = self._numerator[0] * value + state[0]
        later = np.outer(self._numerator[1:], value) - np.outer(self._denominator, output)
        later[0] += state[1]
        self._state = later
        return output

    def _steady(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """The state in which input and output are both `value` and stay there; the gain at 0 Hz is 1."""
        last = self._numerator[2] - self._denominator[1]
        return np.outer((1.0 - self._numerator[0], last), value)


def _butterworth(cutoff: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Numerator `[3]`, and denominator `[2]` after its leading 1, for a cutoff in shares of the sampling rate.

    The analogue 1 / (s^2 + sqrt(2) s + 1) by the bilinear transform. Not by scipy.signal, which takes each process
    that has a robot to watch over a second to import, as long as everything else together.
    """
    warped = math.tan(math.pi * cutoff)
    scale = 1.0 + math.sqrt(2.0) * warped + warped**2
    numerator = warped**2 / scale * np.array((1.0, 2.0, 1.0))
    denominator = np.array((2.0 * (warped**2 - 1.0), 1.0 - math.sqrt(2.0) * warped + warped**2)) / scale
    return numerator, denominator
