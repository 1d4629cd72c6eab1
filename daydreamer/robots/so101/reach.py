"""Where the SO-101's tool moves over its trays when it is moved in small steps, within the workspace that every task
has: where it can point at the table, turned in any way, and where nothing is pushed out of the trays.
"""

from __future__ import annotations

import numpy as np

from daydreamer.robots.so101.constants import JAWS_MIDDLE_M
from daydreamer.robots.so101.kinematics import jaw_direction

LOWER_M, UPPER_M = np.array((0.155, -0.122, 0.010)), np.array((0.22, 0.10, 0.066))
"""Nearer to the base, and farther to the right, its back would push a cube over a tray's side."""
YAW_RAD = (-1.0, 0.2)
"""Farther to the left the wrist's roll ends when the tool is in the right-hand corner; farther to the right the jaw
opens across the trays' shorter side. A cube looks the same after a quarter turn, and jaws that are turned to it but for
0.2 rad turn it as they close."""

JAW_UPPER_M = (0.226, 0.128)
"""Farthest forward and left of the jaw that moves, wide open: what it pushes stays on the trays' slopes."""

RIDGE_Y_M = (-0.045, 0.024)
"""How far right and left the tool is over the ridge between the trays."""
RIDGE_X_M, RIDGE_Z_M = (0.175, 0.200), 0.050
"""The tool crosses the ridge in its middle, and high: at the ridge's ends a cube would come to lie on it."""


def within_reach(tool_m: np.ndarray, yaw_rad: float) -> np.ndarray:
    """The nearest place of the tool `[3]`, so turned, that is within its reach, and its jaw, too."""
    upper_m = UPPER_M.copy()
    jaw_m = 2.0 * JAWS_MIDDLE_M * np.maximum(jaw_direction(yaw_rad)[:2], 0.0)
    upper_m[:2] = np.minimum(upper_m[:2], JAW_UPPER_M - jaw_m)
    return np.clip(tool_m, LOWER_M, upper_m)


def slid(begin_m: np.ndarray, wanted_m: np.ndarray, holds: bool) -> np.ndarray:
    """Where a step of the tool ends, `[3]`: it slides along the ridge, which it crosses only with something held."""
    if not _over_ridge(wanted_m):
        return wanted_m
    x, y, z = wanted_m
    high = RIDGE_X_M[0] <= x <= RIDGE_X_M[1] and z >= RIDGE_Z_M
    if _over_ridge(begin_m):
        return wanted_m if high else np.array((*np.clip((x,), *RIDGE_X_M), y, max(z, RIDGE_Z_M)))
    return wanted_m if high and holds else np.array((x, begin_m[1], z))


def _over_ridge(tool_m: np.ndarray) -> bool:
    return bool(RIDGE_Y_M[0] < tool_m[1] < RIDGE_Y_M[1])
