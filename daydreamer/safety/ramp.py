"""A slow and smooth way from one pose to another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Ramp:
    """From `start_rad` to `end_rad` `[joints]`, with no velocity at either end; all joints arrive together.

    Attributes:
      duration_s: set by the joint with farthest to go.
    """

    def __init__(
        self, start_rad: NDArray[np.float64], end_rad: NDArray[np.float64], speed_rad_s: float, begin_s: float
    ):
        """`speed_rad_s` is the mean of the fastest joint; infinite for a ramp that takes no time."""
        self._start_rad = start_rad
        self._way_rad = end_rad - start_rad
        self._begin_s = begin_s
        self.duration_s = float(np.abs(self._way_rad).max()) / speed_rad_s

    def is_done(self, now_s: float) -> bool:
        return now_s - self._begin_s >= self.duration_s

    def position_rad(self, now_s: float) -> NDArray[np.float64]:
        """`[joints]` at `now_s` of the clock that `begin_s` is of."""
        share = min((now_s - self._begin_s) / self.duration_s, 1.0) if self.duration_s > 0 else 1.0
        return self._start_rad + (3.0 - 2.0 * share) * share**2 * self._way_rad
