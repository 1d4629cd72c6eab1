"""How often an arm grasps and places of late, and how that is told."""

from __future__ import annotations

import collections

from daydreamer.presentation import Figure

RECENT_S = 120.0
"""Rates are told of what happened in so much robot time."""

PLACEMENTS = Figure(
    quantity="info/placements_per_minute",
    name="placements per minute",
    short="placements a minute",
    source="the gripper",
    decimals=1,
    plot_range=(0.0, 10.0),
)
GRASPS = Figure(
    quantity="info/grasps_per_minute",
    name="grasps per minute",
    short="grasps a minute",
    source="the gripper",
    decimals=1,
    plot_range=(0.0, 20.0),
)


class Recent:
    """Of each of the last steps, what happened in it."""

    def __init__(self, control_rate_hz: float) -> None:
        steps = round(RECENT_S * control_rate_hz)
        self._per_minute = 60.0 * control_rate_hz / steps
        self._steps: collections.deque[tuple[bool, ...]] = collections.deque(maxlen=steps)

    def add(self, *happened: bool) -> None:
        """A step, with as many kinds of things as every other one."""
        self._steps.append(happened)

    def counts(self) -> list[int]:
        """How often each kind of thing has happened."""
        return [sum(column) for column in zip(*self._steps, strict=True)]

    def per_minute(self) -> list[float]:
        """How often a minute each kind of thing has happened."""
        return [self._per_minute * count for count in self.counts()]
