"""How a figure spreads over runs of which some never got there."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable

NOT_WITHIN = "not within"


@dataclasses.dataclass(frozen=True)
class Spread:
    """Over runs, where None counts as later than anything: the median of 5, 8 and None is 8, of 5 and None is None."""

    median: float | None
    lowest: float | None
    highest: float | None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Spread:
        values = [math.inf if value is None else value for value in values]
        figures = (statistics.median(values), min(values), max(values))
        return cls(*(figure if math.isfinite(figure) else None for figure in figures))

    def describe(self, digits: int = 1) -> str:
        """'median [lowest, highest]'."""
        if self.lowest is None:
            return NOT_WITHIN
        median, lowest, highest = (
            NOT_WITHIN if value is None else f"{value:.{digits}f}" for value in (self.median, self.lowest, self.highest)
        )
        return f"{median} [{lowest}, {highest}]"
