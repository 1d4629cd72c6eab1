"""Chooses which of many lines of a plot are shown: those that have moved most of late."""

from __future__ import annotations

import collections

import numpy as np

from daydreamer.contract.portrayal import SHOWN_LINES

PAST_S = 30.0
CHANGE = 1.5
"""Others are shown only when they move this much more than those that are: who looks must be able to follow."""


class Selection:
    """Of one plot.

    Attributes:
      chosen: indices of the lines, at most `SHOWN_LINES`; None before the first measurement.
      number: of times that it was chosen.
    """

    def __init__(self) -> None:
        self.chosen: tuple[int, ...] | None = None
        self.number = 0
        self._past: collections.deque[np.ndarray] = collections.deque()

    def measure(self, robot_s: np.ndarray, values: np.ndarray) -> bool:
        """Takes `[points, lines]` into account; whether others are chosen now."""
        self._past.append(np.column_stack((robot_s, values)))
        while self._past[0][-1, 0] < robot_s[-1] - PAST_S:
            self._past.popleft()
        rows = np.concatenate(self._past)
        moves = np.nan_to_num(np.std(rows[rows[:, 0] >= robot_s[-1] - PAST_S, 1:], axis=0))
        # In the order of the robot, which is easier to find one's way in than one by movement.
        best = tuple(sorted(np.argsort(-moves, kind="stable")[:SHOWN_LINES].tolist()))
        if self.chosen is not None and moves[list(best)].sum() <= CHANGE * moves[list(self.chosen)].sum():
            return False
        self.chosen = best
        self.number += 1
        return True
