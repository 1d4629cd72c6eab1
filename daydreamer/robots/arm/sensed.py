"""What the policies of an arm see: pictures, and what the arm senses of itself."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.robots.arm import grip
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.description import Arm
from daydreamer.spec import Space


def own_spaces(arm: Arm) -> dict[str, Space]:
    """What an arm senses of itself, see `sense`."""
    return {
        "joints": Space((len(arm.joints),)),
        "tool": Space((3,)),
        "opening": Space((1,)),
        "side": Space((5,), low=0.0, high=1.0),
    }


def spaces(arm: Arm, robot: Embodiment) -> dict[str, Space]:
    """What is observed by every task: the pictures of the arm's cameras, and `own_spaces`."""
    return {name: Space(camera.shape, "uint8", 0, 255) for name, camera in robot.cameras.items()} | own_spaces(arm)


def share(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Where values lie in their ranges, from -1 to 1."""
    return (2.0 * (values - lower) / (upper - lower) - 1.0).astype(np.float32)


def sense(
    arm: Arm, robot: Embodiment, measurement: Measurement, over: Side | None, held_from: Side | None
) -> dict[str, np.ndarray]:
    """Of `spaces`: pictures, the joints in units of their ranges, the tool in its workspace, how far the gripper is
    open, and over which tray it is (two numbers), and from which one it holds something, or none (three).
    """
    joints_rad = np.asarray(measurement[JOINT_POSITION], np.float64)
    limits = arm.limits
    flags = (over == "left", over == "right", held_from == "left", held_from == "right", held_from is None)
    return {
        **{name: measurement[name] for name in robot.cameras},
        "joints": share(joints_rad, limits.lower_rad, limits.upper_rad),
        "tool": share(arm.tool_position_m(joints_rad), limits.workspace.lower_m, limits.workspace.upper_m),
        "opening": np.array((2.0 * grip.opening(arm, measurement) - 1.0,), np.float32),
        "side": np.array(flags, np.float32),
    }
