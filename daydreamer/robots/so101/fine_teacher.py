"""A scripted teacher of `pick_place_fine` that knows where the cube is and how it is turned, as only a twin does."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from daydreamer.robots.arm.cells import Side
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import CUBE_M, JAWS_MIDDLE_M, TRAY_X_M, TRAY_Y_M
from daydreamer.robots.so101.pick_place_fine import (
    BEGIN_YAW_RAD,
    STEP_M,
    STEP_YAW_RAD,
    PickPlaceFine,
)
from daydreamer.robots.so101.reach import RIDGE_X_M, RIDGE_Y_M, YAW_RAD, within_reach

HIGH_M, LOW_M = 0.062, 0.014
"""Of the tool: above the trays' sides with a cube, and about a cube that lies."""
NEAR_M, NEAR_YAW_RAD = 0.006, 0.12
"""Of where it is to grasp, beside it, before the tool goes down; while it goes down twice that is near."""
CLOSING_STEPS = 12
"""In which jaws close about a cube; if they hold nothing then, they open again."""
DROP_OFF_M = 0.015
"""By which it lets go beside the middle of a tray."""
OPEN, CLOSE = 1.0, -1.0


class HasTurnedCube(Protocol):
    """A twin that knows where the cube is."""

    @property
    def cube_m(self) -> np.ndarray:
        """`[3]` of its middle."""

    @property
    def cube_yaw_rad(self) -> float:
        """How it is turned, within a quarter turn."""


class FineTeacher:
    """Goes above the cube, turns the jaws to its faces, goes down, grasps, and lets go over the other tray."""

    def __init__(self, task: PickPlaceFine, twin: HasTurnedCube, seed: int = 0) -> None:
        """`seed` is of where it lets go."""
        self._task = task
        self._twin = twin
        self._random = np.random.default_rng(seed)
        self._closing = 0
        self._lets_go = False
        self._drop_m: np.ndarray | None = None

    def action(self) -> np.ndarray:
        """See `Teacher.action`."""
        held_from = self._task.held_from
        return self._fetch() if held_from is None else self._carry("right" if held_from == "left" else "left")

    def _fetch(self) -> np.ndarray:
        task, cube_m = self._task, self._twin.cube_m
        self._drop_m = None
        if self._lets_go:  # and up, out of the camera's way
            self._lets_go = task.tool_m[2] < HIGH_M - STEP_M
            return self._towards(np.array((*task.tool_m[:2], HIGH_M)), task.yaw_rad, OPEN)
        yaw_rad = _turned_to(self._twin.cube_yaw_rad)
        aim_m = cube_m - JAWS_MIDDLE_M * kinematics.jaw_direction(yaw_rad)
        aim_m = within_reach(np.array((*aim_m[:2], LOW_M)), yaw_rad)
        if self._closing:
            self._closing = (self._closing + 1) % CLOSING_STEPS
            self._lets_go = self._closing == 0
            return self._towards(task.tool_m, task.yaw_rad, CLOSE)
        low = task.tool_m[2] < HIGH_M - STEP_M
        off_m, off_rad = math.dist(aim_m[:2], task.tool_m[:2]), abs(yaw_rad - task.yaw_rad)
        if off_m > NEAR_M * (1 + low) or off_rad > NEAR_YAW_RAD * (1 + low):
            aim_m[2] = HIGH_M
        elif task.tool_m[2] < LOW_M + STEP_M / 2:
            self._closing = 1
        return self._towards(aim_m, yaw_rad, OPEN)

    def _carry(self, side: Side) -> np.ndarray:
        task = self._task
        self._closing = 0
        if self._drop_m is None:
            y_m = TRAY_Y_M[0 if side == "left" else 1]
            self._drop_m = np.array((np.mean(TRAY_X_M), np.mean(y_m))) + self._random.uniform(-1.0, 1.0, 2) * DROP_OFF_M
        aim_m = np.array((*self._drop_m, HIGH_M)) - kinematics.jaw_direction(BEGIN_YAW_RAD) * CUBE_M / 2
        if task.tool_m[2] < HIGH_M - STEP_M:
            aim_m[:2] = task.tool_m[:2]
        elif task.tool_m[1] < RIDGE_Y_M[1] if side == "left" else task.tool_m[1] > RIDGE_Y_M[0]:
            aim_m[0] = np.mean(RIDGE_X_M)
        self._lets_go = math.dist(aim_m, task.tool_m) < NEAR_M * 2
        return self._towards(aim_m, BEGIN_YAW_RAD, OPEN if self._lets_go else CLOSE)

    def _towards(self, tool_m: np.ndarray, yaw_rad: float, gripper: float) -> np.ndarray:
        step = (tool_m - self._task.tool_m) / STEP_M
        turn = (yaw_rad - self._task.yaw_rad) / STEP_YAW_RAD
        return np.clip((*step, turn, gripper), -1.0, 1.0).astype(np.float32)


def _turned_to(cube_yaw_rad: float) -> float:
    """The yaw at which the jaws are turned to faces of the cube, or as nearly as they can be."""
    quarter = math.pi / 2
    yaw_rad = cube_yaw_rad + quarter * round((BEGIN_YAW_RAD - cube_yaw_rad) / quarter)
    return min(max(yaw_rad, YAW_RAD[0]), YAW_RAD[1])


def make_teacher(task: PickPlaceFine, twin: HasTurnedCube, seed: int) -> FineTeacher:
    """Of `pick_place_fine` in the arm's twin."""
    return FineTeacher(task, twin, seed)
