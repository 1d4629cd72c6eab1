"""How an arm is drawn by dashboard and report, from what is logged: lines of the arm, of its trays, and plots."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np

from daydreamer.contract.portrayal import Observation, Portrayal
from daydreamer.robots.arm.cells import SIDES
from daydreamer.robots.arm.description import Arm

_AROUND = ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))


def skeleton_m(arm: Arm, observation: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lines `[points, 3]` of the arm on its table, base frame; `observation` as in `ArmPickPlace`."""
    share = np.asarray(observation["joints"], np.float64)
    limits, table = arm.limits, arm.table
    joints_rad = limits.lower_rad + (share + 1.0) / 2 * (limits.upper_rad - limits.lower_rad)
    return {"arm": arm.points_m(joints_rad)} | {
        f"{side}_tray": np.array([(table.tray_x_m[x], table.tray_y_m(side)[y], 0.0) for x, y in _AROUND])
        for side in SIDES
    }


def _signals(arm: Arm, observation: Observation) -> dict[str, dict[str, np.ndarray]]:
    names = [name.replace("_", " ") for name in arm.joints]
    return {
        "joints": dict(zip(names, observation["joints"].T, strict=True)),
        "tool": dict(zip(("forward", "left", "up"), observation["tool"].T, strict=True)),
        "opening": {"opening": observation["opening"][:, 0]},
    }


def portrayal(arm: Arm) -> Portrayal:
    """Its joints, its tool and its gripper over time, and the arm as a line over its trays."""
    return Portrayal(
        plots={
            "joints": ("Joints", (-1.0, 1.0)),
            "tool": ("Tool in its workspace", (-1.2, 1.2)),
            "opening": ("Opening of the gripper", (-1.2, 1.2)),
        },
        signals=functools.partial(_signals, arm),
        skeleton_m=functools.partial(skeleton_m, arm),
        single_lines=frozenset(("opening",)),
        needs=frozenset(("joints", "tool", "opening")),
    )
