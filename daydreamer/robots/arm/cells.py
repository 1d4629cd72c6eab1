"""The cells among which an arm's tool moves over its two trays, and where an action leads from each."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")

CELL_M = 0.04
"""By which an action moves the tool, as published: Wu et al. 2022, danijar/daydreamer, embodied/envs."""

FORWARD, BACK, LEFT, RIGHT, GRIP, LIFT = range(6)
"""What an action does; the last goes down, or up with something held."""
ACTIONS = 6

_MOVES = {FORWARD: (1, 0), BACK: (-1, 0), LEFT: (0, 1), RIGHT: (0, -1)}


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where cells are.

    Attributes:
      x_m, y_m: of the tool, `CELL_M` apart, from the nearest to the farthest and from right to left.
      low_m, high_m: of the tool: about something that lies in a tray, and with it above the trays' sides.
      over_right, over_left: indices into `y_m` of the rows over each tray; those between are above the ridge.
    """

    x_m: tuple[float, ...]
    y_m: tuple[float, ...]
    low_m: float
    high_m: float
    over_right: tuple[int, ...]
    over_left: tuple[int, ...]

    def cell(self, x: int, y: int, low: bool) -> Cell:
        """One of them, see `Cell`."""
        return Cell(self, x, y, low)

    def nearest(self, tool_m: np.ndarray) -> Cell:
        """The cell that a tool `[3]` is in."""
        x, y, z = tool_m.tolist()
        return Cell(self, _index(x, self.x_m), _index(y, self.y_m), z < (self.low_m + self.high_m) / 2)

    def cells_over(self, side: Side) -> list[Cell]:
        """The cells above a tray."""
        return [Cell(self, x, y, False) for x in range(len(self.x_m)) for y in self.rows_over(side)]

    def rows_over(self, side: Side) -> tuple[int, ...]:
        """Indices into `y_m` of the rows over a tray."""
        return self.over_left if side == "left" else self.over_right


@dataclasses.dataclass(frozen=True)
class Cell:
    """Where the tool is.

    Attributes:
      grid: whose cell it is.
      x, y: index into the grid's `x_m` and `y_m`.
      low: at the grid's `low_m`.
    """

    grid: Grid = dataclasses.field(repr=False)
    x: int
    y: int
    low: bool

    @property
    def tool_m(self) -> np.ndarray:
        grid = self.grid
        return np.array((grid.x_m[self.x], grid.y_m[self.y], grid.low_m if self.low else grid.high_m))

    @property
    def side(self) -> Side:
        """The nearer tray."""
        return "left" if self.y >= len(self.grid.y_m) // 2 else "right"

    @property
    def over_tray(self) -> bool:
        return self.y in self.grid.over_left or self.y in self.grid.over_right

    def after(self, action: int, held_from: Side | None) -> Cell:
        """Where an action leads; here, if it cannot be done.

        As published, the tool leaves a tray only with something held; any action but the gripper's lifts that first,
        and one carries it all the way over the ridge.

        Args:
          held_from: the tray that what it holds is from; None if it holds nothing.
        """
        holds = held_from is not None
        if held_from is not None and not self.low and not self.over_tray:  # on its way, which takes more than a step
            return self._beyond_ridge(held_from)
        if action == LIFT:
            return dataclasses.replace(self, low=not holds and self.over_tray)
        if action not in _MOVES:
            return self
        if holds and self.low:
            return dataclasses.replace(self, low=False)
        ahead, left = _MOVES[action]
        there = dataclasses.replace(self, x=self.x + ahead, y=self.y + left)
        if not (0 <= there.x < len(self.grid.x_m) and 0 <= there.y < len(self.grid.y_m)):
            return self
        if self.over_tray and not there.over_tray:
            return self._beyond_ridge(self.side) if holds else self
        return there

    def _beyond_ridge(self, side: Side) -> Cell:
        """The first one over the tray that is not on this side."""
        y = self.grid.over_left[0] if side == "right" else self.grid.over_right[-1]
        return dataclasses.replace(self, y=y)


def _index(value_m: float, places_m: tuple[float, ...]) -> int:
    return min(max(round((value_m - places_m[0]) / CELL_M), 0), len(places_m) - 1)
