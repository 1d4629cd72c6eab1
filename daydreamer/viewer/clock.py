"""Tells the robot time of a session: of a step by its identity, of anything else by its wall time."""

from __future__ import annotations

import bisect

import numpy as np

from daydreamer.telemetry.columns import StepColumns


class RobotClock:
    """Learns from the experience as it comes.

    Attributes:
      now_s: robot time of the newest step.
    """

    def __init__(self, control_period_s: float):
        self.now_s = 0.0
        self._period_s = control_period_s
        self._life_begin_s: dict[int, float] = {}
        self._wall_s: list[float] = []
        self._robot_s: list[float] = []

    def add(self, steps: StepColumns) -> None:
        for life in np.unique(steps.actor_life):
            if int(life) not in self._life_begin_s:
                first = int(np.argmax(steps.actor_life == life))
                before_s = (int(steps.sequence[first]) + 1) * self._period_s
                self._life_begin_s[int(life)] = float(steps.robot_s[first]) - before_s
        stride = max(1, round(1.0 / self._period_s))
        # A clock that was set back says nothing new until it is where it was.
        latest_s = self._wall_s[-1] if self._wall_s else 0.0
        self._wall_s += np.maximum.accumulate(np.maximum(steps.wall_ns[::stride] * 1e-9, latest_s)).tolist()
        self._robot_s += steps.robot_s[::stride].tolist()
        self.now_s = float(steps.robot_s[-1])

    @property
    def newest_life(self) -> int:
        """The newest actor life of which something has been read; 0 if nothing has."""
        return max(self._life_begin_s, default=0)

    def of_step(self, actor_life: int, sequence: int) -> float | None:
        """None while nothing of that life has been read."""
        begin_s = self._life_begin_s.get(actor_life)
        return None if begin_s is None else begin_s + (sequence + 1) * self._period_s

    def of_wall(self, wall_s: float) -> float:
        """Robot time at a wall time: it stands still while the robot does not run."""
        index = bisect.bisect(self._wall_s, wall_s)
        if index == 0:
            return 0.0
        elapsed_s = min(wall_s - self._wall_s[index - 1], 1.0)
        return min(self._robot_s[index - 1] + max(0.0, elapsed_s), self.now_s)
