"""A one-way path for messages that may lose them, delay them, or let none through."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import numpy as np


class Link:
    """Perfect until it is told otherwise. The caller brings the clock.

    Attributes:
      drop_probability: of each message.
      delay_s: of each message sent from now on; messages never overtake each other.
      stalled: nothing gets through; what is sent meanwhile is lost, as on a best-effort topic of depth 1.
      lost: messages so far.
    """

    def __init__(self, random: np.random.Generator):
        self.drop_probability = 0.0
        self.delay_s = 0.0
        self.stalled = False
        self.lost = 0
        self._random = random
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, Any]] = []
        self._last_arrival_s = -np.inf

    def send(self, message: Any, time_s: float) -> None:
        """Takes in a message at `time_s`."""
        if self.stalled or (self.drop_probability and self._random.random() < self.drop_probability):
            self.lost += 1
            return
        self._last_arrival_s = max(self._last_arrival_s, time_s + self.delay_s)
        heapq.heappush(self._under_way, (self._last_arrival_s, next(self._order), message))

    def receive(self, time_s: float) -> list[Any]:
        """The messages that have arrived by `time_s` and were not handed out before, oldest first."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= time_s + 5e-10:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived
