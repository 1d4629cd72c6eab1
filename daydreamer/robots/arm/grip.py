"""What an arm's gripper feels: whether it holds something, by nothing but how far it is open."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.robots.arm.description import Arm

HELD = (0.1, 0.85)
"""Openings between which a gripper that was told to close, and has come to rest, has something between its jaws."""

AT_REST_RAD_S = 0.2


def opening(arm: Arm, measurement: Measurement) -> float:
    """From 0, closed, to 1, as open as the task opens it."""
    return (float(measurement[JOINT_POSITION][arm.gripper]) - arm.closed_rad) / (arm.open_rad - arm.closed_rad)


def holds(arm: Arm, measurement: Measurement) -> bool:
    """Whether a gripper that was told to close holds something."""
    at_rest = abs(float(np.asarray(measurement[JOINT_VELOCITY])[arm.gripper])) < AT_REST_RAD_S
    return at_rest and HELD[0] < opening(arm, measurement) < HELD[1]
