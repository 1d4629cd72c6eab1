"""What the policies of the SO-101 see: pictures, and what the arm senses of itself."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.robots.so101 import grip, kinematics
from daydreamer.robots.so101.cells import Side
from daydreamer.robots.so101.constants import JOINTS, LIMITS, TOOL_LOWER_M, TOOL_UPPER_M
from daydreamer.spec import Space

OWN_SPACES = {
    "joints": Space((len(JOINTS),)),
    "tool": Space((3,)),
    "opening": Space((1,)),
    "side": Space((5,), low=0.0, high=1.0),
}


def spaces(robot: Embodiment) -> dict[str, Space]:
    """What is observed by every task: the pictures of the arm's cameras, and `OWN_SPACES`."""
    return {name: Space(camera.shape, "uint8", 0, 255) for name, camera in robot.cameras.items()} | OWN_SPACES


def share(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Where values lie in their ranges, from -1 to 1."""
    return (2.0 * (values - lower) / (upper - lower) - 1.0).astype(np.float32)


def sense(
    robot: Embodiment, measurement: Measurement, over: Side | None, held_from: Side | None
) -> dict[str, np.ndarray]:
    """Of `spaces`: pictures, the joints in units of their ranges, the tool in its workspace, how far the gripper is
    open, and over which tray it is (two numbers), and from which one it holds something, or none (three).
    """
    joints_rad = np.asarray(measurement[JOINT_POSITION], np.float64)
    flags = (over == "left", over == "right", held_from == "left", held_from == "right", held_from is None)
    return {
        **{name: measurement[name] for name in robot.cameras},
        "joints": share(joints_rad, LIMITS.lower_rad, LIMITS.upper_rad),
        "tool": share(kinematics.tool_position_m(joints_rad), TOOL_LOWER_M, TOOL_UPPER_M),
        "opening": np.array((2.0 * grip.opening(measurement) - 1.0,), np.float32),
        "side": np.array(flags, np.float32),
    }
