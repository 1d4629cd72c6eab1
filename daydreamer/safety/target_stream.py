"""What a motor driver follows between two commands of a slow controller."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class TargetStream:
    """Turns joint targets that arrive now and then into one for every tick of a fast motor loop.

    A command takes effect `latency_s` after it arrived, the target then moves linearly to it within `interpolate_s`,
    and stays within `max_error_rad` of the measured angle. There is no target, which means damping, before the first
    command, when told so, and when no command arrived for `timeout_s` (0: never; the last one then holds for ever).
    Not thread-safe.

    Attributes:
      never_times_out: as with `timeout_s` 0; may be changed at any time.
    """

    def __init__(self, *, latency_s: float = 0.0, interpolate_s: float, timeout_s: float, max_error_rad: float):
        self._latency_s = latency_s
        self._interpolate_s = interpolate_s
        self._timeout_s = timeout_s
        self._max_error_rad = max_error_rad
        self.never_times_out = False
        self.reset()

    @property
    def damping(self) -> bool:
        """Whether there was no target at the last tick."""
        return self._target is None

    def reset(self) -> None:
        """Forgets all commands."""
        self._pending: deque[tuple[float, NDArray[np.float64] | None]] = deque()
        self._start = np.empty(0)  # where a target would set out; there is none
        self._target: NDArray[np.float64] | None = None
        self._start_time_s = 0.0
        self._last_arrival_s = 0.0

    def command(self, joint_targets_rad: NDArray[np.float64] | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: joint targets `[joints]`, or None to damp.

        Raises:
          ValueError: not finite.
        """
        if joint_targets_rad is not None:
            joint_targets_rad = np.array(joint_targets_rad, np.float64)
            if not np.isfinite(joint_targets_rad).all():
                raise ValueError(f"not {len(joint_targets_rad)} finite joint targets: {joint_targets_rad}")
        self._pending.append((time_s + self._latency_s, joint_targets_rad))

    def error(self, time_s: float, position_rad: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """How far the targets `[joints]` at `time_s` are from `position_rad`; None for damping."""
        # Half a nanosecond forgives the rounding of a simulation's clock.
        while self._pending and self._pending[0][0] <= time_s + 5e-10:
            self._accept(self._pending.popleft()[1], time_s, position_rad)
        target = self._target
        if target is None:
            return None
        if 0.0 < self._timeout_s < time_s - self._last_arrival_s and not self.never_times_out:
            self._target = None
            return None
        error = self._interpolated(target, time_s) - position_rad
        np.minimum(error, self._max_error_rad, out=error)
        np.maximum(error, -self._max_error_rad, out=error)
        return error

    def _accept(self, target: NDArray[np.float64] | None, time_s: float, position_rad: NDArray[np.float64]) -> None:
        self._last_arrival_s = time_s
        # From damping the target sets out where the joints are.
        self._start = position_rad.copy() if self._target is None else self._interpolated(self._target, time_s)
        self._start_time_s = time_s
        self._target = target

    def _interpolated(self, target: NDArray[np.float64], time_s: float) -> NDArray[np.float64]:
        elapsed_s = time_s - self._start_time_s
        if elapsed_s >= self._interpolate_s:
            return target
        return self._start + (target - self._start) * (elapsed_s / self._interpolate_s)
