"""What the MuJoCo twins of arms at their tables have in common."""

from __future__ import annotations

import math

import numpy as np

from daydreamer.robots.arm.cells import SIDES
from daydreamer.robots.arm.description import Table
from sim.exposure import Exposure
from sim.twin import Twin

CUBE_MARGIN_M = 0.01
"""Beyond half its size, of a cube that is put into a tray, from where the sides begin."""


def place_cube(table: Table, twin: Twin, random: np.random.Generator) -> None:
    """Puts the cube anywhere into either tray, turned anyhow."""
    margin_m = table.cube_m / 2 + CUBE_MARGIN_M
    low_m, high_m = table.tray_y_m(SIDES[random.integers(2)])
    x_m = random.uniform(table.tray_x_m[0] + margin_m, table.tray_x_m[1] - margin_m)
    y_m = random.uniform(low_m + margin_m, high_m - margin_m)
    turn_rad = random.uniform(-math.pi, math.pi)
    pose = (x_m, y_m, table.cube_m / 2, math.cos(turn_rad / 2), 0.0, 0.0, math.sin(turn_rad / 2))
    twin.data.joint("cube").qpos[:] = pose


class ArmTwin(Twin):
    """An arm at its table, whose pictures have noise."""

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """See `Twin.reset`."""
        self._exposure = Exposure()
        super().reset(state, seed)

    def read(self) -> dict[str, np.ndarray]:
        """See `Twin.read`."""
        signals = super().read()
        self._exposure.expose(self.cameras, signals, self._random)
        return signals

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
