"""The tick grid of the control loop, and what became of its deadlines."""

from __future__ import annotations

import math


class Pacer:
    """A fixed grid of ticks on a steady clock. Tick k is missed when its command leaves after the start of k+1.

    A loop that has fallen behind by more than a period skips ticks: commands that bunch up to catch up would
    tell the robot things that belong to the past.

    Attributes:
      tick_s: start of the next (or the current) tick.
      deadline_misses: commands that left late, and ticks skipped without one.
      skipped_ticks: the latter alone.
    """

    def __init__(self, period_s: float, start_s: float):
        self.period_s = period_s
        self.deadline_misses = 0
        self.skipped_ticks = 0
        self._start_s = start_s
        self._tick = 0

    @property
    def tick_s(self) -> float:
        # Multiplied, not summed up, so that the grid does not drift.
        return self._start_s + self._tick * self.period_s

    def restart(self, now_s: float) -> None:
        """The next tick is now; call after a wait that is nobody's miss."""
        self._start_s = now_s - self._tick * self.period_s

    def begin(self, now_s: float) -> None:
        """Call before a tick's work; moves on to the current tick when earlier ones were slept through."""
        late = math.floor((now_s - self.tick_s) / self.period_s)
        if late > 0:
            self._tick += late
            self.skipped_ticks += late
            self.deadline_misses += late

    def finish(self, now_s: float) -> None:
        """Call when the tick's command has left."""
        self._tick += 1
        if now_s > self.tick_s:
            self.deadline_misses += 1
