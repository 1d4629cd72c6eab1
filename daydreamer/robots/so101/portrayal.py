"""How the SO-101 is drawn by dashboard and report, from what is logged: lines of the arm, of its trays, and plots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daydreamer.contract.portrayal import Observation, Portrayal
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import JOINTS, LIMITS, TRAY_X_M, TRAY_Y_M

_AROUND = ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))


def skeleton_m(observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lines `[points, 3]` of the arm on its table, base frame; `observation` as in `PickPlace`."""
    share = np.asarray(observation["joints"], np.float64)
    joints_rad = LIMITS.lower_rad + (share + 1.0) / 2 * (LIMITS.upper_rad - LIMITS.lower_rad)
    return {"arm": kinematics.points_m(joints_rad)} | {
        name: np.array([(TRAY_X_M[x], y_m[y], 0.0) for x, y in _AROUND])
        for name, y_m in zip(("left_tray", "right_tray"), TRAY_Y_M, strict=True)
    }


def _signals(observation: Observation) -> dict[str, dict[str, np.ndarray]]:
    names = [name.replace("_", " ") for name in JOINTS]
    return {
        "joints": dict(zip(names, observation["joints"].T, strict=True)),
        "tool": dict(zip(("forward", "left", "up"), observation["tool"].T, strict=True)),
        "opening": {"opening": observation["opening"][:, 0]},
    }


PORTRAYAL = Portrayal(
    plots={
        "joints": ("Joints", (-1.0, 1.0)),
        "tool": ("Tool in its workspace", (-1.2, 1.2)),
        "opening": ("Opening of the gripper", (-1.2, 1.2)),
    },
    signals=_signals,
    skeleton_m=skeleton_m,
    single_lines=frozenset(("opening",)),
    needs=frozenset(("joints", "tool", "opening")),
)
