"""What the MuJoCo twins of arms at their tables have in common."""

from __future__ import annotations

import functools
import math

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.robots.arm.cells import SIDES
from daydreamer.robots.arm.description import Table
from sim.description import InitialState, TwinDescription
from sim.exposure import Exposure
from sim.twin import Twin

CUBE_MARGIN_M = 0.01
"""Beyond half its size, of a cube that is put into a tray, from where the sides begin."""

TOUCHED_M = 0.005
"""By which a cube that the arm has touched has moved."""
MOVES_RAD_S = 0.05
"""An arm whose joints all turn more slowly than this waits, or holds the cube."""
UNTOUCHED = 2.0
"""Times `attended_s`, for which the arm has moved in vain: somebody then lays the cube elsewhere, as out of a corner in
which the jaws do not get about it. It is when a live session asks its operator to intervene, too."""


def place_cube(table: Table, twin: Twin, random: np.random.Generator) -> None:
    """Puts the cube anywhere into either tray, turned anyhow."""
    margin_m = table.cube_m / 2 + CUBE_MARGIN_M
    low_m, high_m = table.tray_y_m(SIDES[random.integers(2)])
    x_m = random.uniform(table.tray_x_m[0] + margin_m, table.tray_x_m[1] - margin_m)
    y_m = random.uniform(low_m + margin_m, high_m - margin_m)
    turn_rad = random.uniform(-math.pi, math.pi)
    pose = (x_m, y_m, table.cube_m / 2, math.cos(turn_rad / 2), 0.0, 0.0, math.sin(turn_rad / 2))
    twin.data.joint("cube").qpos[:] = pose


def initial_states(table: Table, ready_rad: np.ndarray, rest_rad: np.ndarray) -> dict[str, InitialState]:
    """Above the trays with joint angles `ready_rad` `[joints]`, or at rest; the cube lies in either tray."""
    return {
        "ready": InitialState(functools.partial(_place, table, ready_rad), command=ready_rad, settle_s=0.5),
        "at_rest": InitialState(functools.partial(_place, table, rest_rad), settle_s=0.5),
    }


def _place(table: Table, joints_rad: np.ndarray, twin: Twin, random: np.random.Generator) -> None:
    twin.place_joints(joints_rad)
    place_cube(table, twin, random)


class ArmTwin(Twin):
    """An arm at its table, whose pictures have noise.

    Attributes:
      put_back: how often somebody has put the cube back into a tray, see `TwinConfig.attended_s`.
    """

    def __init__(self, description: TwinDescription, config: TwinConfig, seed: int, table: Table) -> None:
        """See `Twin`."""
        self._table = table
        super().__init__(description, config, seed)

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """See `Twin.reset`."""
        self._exposure = Exposure()
        self._inside_s = self._looked_s = self._in_vain_s = 0.0
        self._lay_m = np.full(3, np.inf)
        self.put_back = 0
        super().reset(state, seed)

    def read(self) -> dict[str, np.ndarray]:
        """See `Twin.read`."""
        self._attend()
        signals = super().read()
        self._exposure.expose(self.cameras, signals, self._random)
        return signals

    def _attend(self) -> None:
        """Puts the cube back once it has been out of the trays for a while, as whoever reads the notice would, or lays
        it elsewhere once the arm has moved for longer without moving it.
        """
        time_s, patience_s, cube_m = self.data.time, self.config.attended_s, self.cube_m
        if not self._table.is_outside(cube_m):
            self._inside_s = time_s
        if np.linalg.norm(cube_m - self._lay_m) > TOUCHED_M:
            self._lay_m, self._in_vain_s = cube_m, 0.0
        elif np.abs(self.data.qvel[self.velocity_at]).max() > MOVES_RAD_S:
            self._in_vain_s += time_s - self._looked_s
        self._looked_s = time_s
        is_lost = time_s - self._inside_s > patience_s or self._in_vain_s > UNTOUCHED * patience_s
        if patience_s > 0.0 and is_lost:
            place_cube(self._table, self, self._random)
            self.data.joint("cube").qvel[:] = 0.0
            self._inside_s = time_s
            self.put_back += 1

    @property
    def cube_m(self) -> np.ndarray:
        """`[3]` of its middle."""
        return self.data.joint("cube").qpos[:3].copy()

    @property
    def cube_yaw_rad(self) -> float:
        """By how much one of the cube's upright faces is turned about the upright, if the cube lies flat: within a
        quarter turn, after which it looks the same.
        """
        axes = self.data.body("cube").xmat.reshape(3, 3)
        level = axes[:, int(np.abs(axes[2]).argmin())]
        return math.atan2(level[1], level[0]) % (math.pi / 2)
