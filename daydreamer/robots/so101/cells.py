"""The cells among which the SO-101's tool moves over its two trays, and where an action leads from each."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from daydreamer.robots.so101.constants import CELL_M

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")

X_M = (0.17, 0.21)
Y_M = (-0.1265, -0.0865, -0.0465, -0.0065, 0.0335, 0.0735)
"""Of the tool, `CELL_M` apart. Two rows are over the right tray, two above the ridge, two over the left one; the jaw
opens to the left of the tool."""
LOW_M, HIGH_M = 0.014, 0.065
"""Of the tool: about a cube that lies in a tray, and with one above the trays' sides."""

OVER_RIGHT, OVER_LEFT = (0, 1), (4, 5)

FORWARD, BACK, LEFT, RIGHT, GRIP, LIFT = range(6)
"""What an action does; the last goes down, or up with something held."""
ACTIONS = 6

_MOVES = {FORWARD: (1, 0), BACK: (-1, 0), LEFT: (0, 1), RIGHT: (0, -1)}


@dataclasses.dataclass(frozen=True)
class Cell:
    """Where the tool is.

    Attributes:
      x, y: index into `X_M` and `Y_M`.
      low: at `LOW_M`.
    """

    x: int
    y: int
    low: bool

    @property
    def tool_m(self) -> np.ndarray:
        return np.array((X_M[self.x], Y_M[self.y], LOW_M if self.low else HIGH_M))

    @property
    def side(self) -> Side:
        """The nearer tray."""
        return "left" if self.y >= len(Y_M) // 2 else "right"

    @property
    def over_tray(self) -> bool:
        return self.y in OVER_LEFT or self.y in OVER_RIGHT

    def after(self, action: int, holds: bool) -> Cell:
        """Where an action leads; here, if it cannot be done. From tray to tray the tool goes high, and with something
        held.
        """
        if action == LIFT:
            if holds or not self.over_tray:
                return dataclasses.replace(self, low=False)
            return dataclasses.replace(self, low=True)
        if action not in _MOVES:
            return self
        ahead, left = _MOVES[action]
        there = Cell(self.x + ahead, self.y + left, self.low)
        if not (0 <= there.x < len(X_M) and 0 <= there.y < len(Y_M)):
            return self
        crosses = self.over_tray and not there.over_tray
        return self if crosses and (self.low or not holds) else there


def nearest(tool_m: np.ndarray) -> Cell:
    """The cell that a tool `[3]` is in."""
    x, y, z = tool_m.tolist()
    return Cell(_index(x, X_M), _index(y, Y_M), z < (LOW_M + HIGH_M) / 2)


def cells_over(side: Side) -> list[Cell]:
    """The cells above a tray."""
    rows = OVER_LEFT if side == "left" else OVER_RIGHT
    return [Cell(x, y, False) for x in range(len(X_M)) for y in rows]


def _index(value_m: float, places_m: tuple[float, ...]) -> int:
    return min(max(round((value_m - places_m[0]) / CELL_M), 0), len(places_m) - 1)
