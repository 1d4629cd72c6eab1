"""A scripted teacher that knows where the cube is, as only a twin does: it shows what the task can come to."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from daydreamer.robots.arm.cells import BACK, FORWARD, GRIP, LEFT, LIFT, RIGHT
from daydreamer.robots.arm.pick_place import ArmPickPlace


class HasCube(Protocol):
    """A twin that knows where the cube is."""

    @property
    def cube_m(self) -> np.ndarray:
        """`[3]` of its middle."""


class PickPlaceTeacher:
    """Chooses the action of `ArmPickPlace` that brings the cube to the other tray.

    A cube that lies between two cells slips out of the jaws; so after a grasp that failed it pushes somewhere.
    """

    def __init__(self, task: ArmPickPlace, twin: HasCube, seed: int = 0) -> None:
        """`seed` is of the pushes."""
        self._task = task
        self._twin = twin
        self._random = np.random.default_rng(seed)
        self._pushes = False

    def action(self) -> np.ndarray:
        """See `Teacher.action`."""
        return np.asarray(self._choose(self._twin.cube_m), np.int32)

    def _choose(self, cube_m: np.ndarray) -> int:
        task = self._task
        cell = task.cell
        if task.held_from is not None:
            if cell.low:
                return LIFT
            if cell.over_tray and cell.side != task.held_from:
                return GRIP
            return RIGHT if task.held_from == "left" else LEFT
        if task.closed:
            self._pushes = cell.low
            return GRIP
        if self._pushes:
            self._pushes = False
            return int(self._random.choice((FORWARD, BACK, LEFT, RIGHT)))
        rows = task.arm.grid.rows_over(cell.side)
        wanted = task.arm.grid.nearest(cube_m - (0.0, task.arm.jaws_middle_m, 0.0))
        ahead, left = wanted.x - cell.x, min(max(wanted.y, rows[0]), rows[1]) - cell.y
        if ahead:
            return FORWARD if ahead > 0 else BACK
        if left:
            return LEFT if left > 0 else RIGHT
        return GRIP if cell.low else LIFT


def make_teacher(task: ArmPickPlace, twin: HasCube, seed: int) -> PickPlaceTeacher:
    """Of `pick_place` in the arm's twin."""
    return PickPlaceTeacher(task, twin, seed)
