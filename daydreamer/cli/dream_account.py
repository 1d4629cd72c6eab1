"""What has been dreamed in `daydreamer dream`, in numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from daydreamer.instrument.dreaming import Frame, Imagined

RECENT_S = 2.0
"""Real time over which the rate of frames is told."""


class Account:
    """What has been dreamed, in numbers.

    Attributes:
      frames: how many.
      active_s: real time that they took, without pauses.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.active_s = 0.0
        self._work_ms: list[float] = []
        self._times_s: list[float] = []
        self._robots: list[Imagined] = []
        self._others = self._endings = 0

    def add(self, frame: Frame, work_s: float, total_s: float) -> None:
        """One frame, and how long it took without and with the wait for its time."""
        self.frames += 1
        self.active_s += total_s
        self._times_s.append(self.active_s)
        self._work_ms.append(1e3 * work_s)
        # Pictures of an hour would not fit into every memory.
        self._robots.append(dataclasses.replace(frame.robot, observation={}))
        self._others += frame.other is not None
        self._endings += frame.robot.is_over

    @property
    def rate_hz(self) -> float:
        """Frames per second, of late."""
        since = np.searchsorted(self._times_s, self.active_s - RECENT_S)
        span_s = min(RECENT_S, self.active_s)
        return (self.frames - int(since)) / span_s if span_s else 0.0

    def summary(self, period_s: float) -> dict[str, Any]:
        """For programs.

        Args:
          period_s: of dreamed time between frames.
        """
        p50, p95 = np.percentile(self._work_ms or [math.nan], (50, 95))
        quantities = self._robots[0].figures if self._robots else ()
        return {
            "dreamed_s": round(self.frames * period_s, 3),
            "frames": self.frames,
            "frames_per_s": _rounded(self.frames / self.active_s if self.frames else math.nan),
            "frame_ms": {"p50": _rounded(p50), "p95": _rounded(p95)},
            "reward": self._mean(lambda each: each.reward),
            "figures": {name: self._mean_figure(name) for name in quantities},
            "operated": self._mean(lambda each: each.operated),
            "outside": self._mean(lambda each: each.outside),
            "branched": _rounded(self._others / self.frames if self.frames else math.nan),
            "endings": self._endings,
        }

    def _mean(self, of: Callable[[Imagined], float]) -> float | None:
        return _rounded(float(np.mean([of(each) for each in self._robots])) if self._robots else math.nan)

    def _mean_figure(self, quantity: str) -> float | None:
        return self._mean(lambda each: each.figures[quantity])


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
