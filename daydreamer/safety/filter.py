"""Smooths joint targets before they reach the motors."""

from __future__ import annotations

import numpy as np
from scipy import signal


class LowPassFilter:
    """Causal Butterworth low-pass, one state per joint; the first output equals the value it was reset to.

    Attributes:
      cutoff_hz: -3 dB frequency; 0 passes everything through.
    """

    def __init__(self, cutoff_hz: float, rate_hz: float, order: int = 2):
        """Filter for samples that arrive at `rate_hz`.

        Raises:
          ValueError: the cutoff is negative or not below half the rate.
        """
        if not 0.0 <= cutoff_hz < rate_hz / 2:
            raise ValueError(f"cutoff_hz must be in [0, {rate_hz / 2}), half the sampling rate, not {cutoff_hz}.")
        self.cutoff_hz = cutoff_hz
        self._sections = signal.butter(order, cutoff_hz, fs=rate_hz, output="sos") if cutoff_hz else None
        self._state: np.ndarray | None = None

    def reset(self, value: np.ndarray) -> None:
        """Starts as if `value` `[joints]` had been the input for ever."""
        if self._sections is not None:
            self._state = signal.sosfilt_zi(self._sections)[:, None, :] * np.asarray(value, np.float64)[None, :, None]

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Next output `[joints]` for the input `value` `[joints]`; without a reset it starts at this input."""
        value = np.asarray(value, np.float64)
        if self._sections is None:
            return value.copy()
        if self._state is None:
            self.reset(value)
        output, self._state = signal.sosfilt(self._sections, value[:, None], axis=-1, zi=self._state)
        return output[:, 0]
