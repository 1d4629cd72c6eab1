"""How long things take: percentiles over the latest measurements, cheap enough for a control loop."""

from __future__ import annotations

import time

import msgspec
import numpy as np


def suspended_s() -> float:
    """Time for which the machine has been suspended since it was started: the steady clock stands still meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class LatencySummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Percentiles and maximum of the remembered latencies in ms; None before the first measurement."""

    p50: float | None = None
    p99: float | None = None
    max: float | None = None


class LatencyStatistics:
    """The latest `capacity` latencies.

    One thread adds, any thread may read: adding allocates nothing and takes no lock, and a reader that
    comes in between sees at worst one measurement replaced by its successor.
    """

    def __init__(self, capacity: int = 2048):
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._ring_ms = np.zeros(capacity)
        self._count = 0

    @property
    def count(self) -> int:
        """Measurements so far, forgotten ones included."""
        return self._count

    def add(self, value_s: float) -> None:
        self._ring_ms[self._count % len(self._ring_ms)] = value_s * 1e3
        self._count += 1

    def summary(self) -> dict[str, float | None]:
        """`{p50, p99, max}` in ms of the remembered measurements; None before the first."""
        remembered_ms = self._ring_ms[: self._count].copy()
        if not remembered_ms.size:
            return {"p50": None, "p99": None, "max": None}
        p50, p99 = np.percentile(remembered_ms, (50, 99))
        return {"p50": float(p50), "p99": float(p99), "max": float(remembered_ms.max())}
