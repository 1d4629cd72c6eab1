"""What the SO-101's gripper feels: whether it holds something, by nothing but how far it is open."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.robots.so101.constants import CLOSED_RAD, GRIPPER, OPEN_RAD

HELD = (0.1, 0.85)
"""Openings between which a gripper that was told to close, and has come to rest, has something between its jaws: a cube
of 3 cm is 0.4."""

AT_REST_RAD_S = 0.2


def opening(measurement: Measurement) -> float:
    """From 0, closed, to 1, as open as the task opens it."""
    return (float(measurement[JOINT_POSITION][GRIPPER]) - CLOSED_RAD) / (OPEN_RAD - CLOSED_RAD)


def holds(measurement: Measurement) -> bool:
    """Whether a gripper that was told to close holds something."""
    at_rest = abs(float(np.asarray(measurement[JOINT_VELOCITY])[GRIPPER])) < AT_REST_RAD_S
    return at_rest and HELD[0] < opening(measurement) < HELD[1]
