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


PRESS_RAD = 0.06
"""By which a gripper that presses on something is told to be narrower than it is: a bit more than its play, and less
than the guard lets it be told."""

LEAST_STEPS = 2
"""In which it must have been felt: a gripper that sets out to close has not moved yet, either."""

LET_GO = 0.08
"""By which the jaws are farther apart than they were when they have let go."""


class Hold:
    """What a gripper feels that is told in small steps how far to be open: by then it may have been told anything."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """It is not known to hold anything."""
        self._steps = 0
        self._apart: float | None = None

    def update(self, measurement: Measurement, sent: np.ndarray) -> bool:
        """Whether it holds something.

        Args:
          sent: `[6]`, what it has been told.
        """
        apart = opening(measurement)
        if self._apart is None:
            presses = float(measurement[JOINT_POSITION][GRIPPER] - sent[GRIPPER]) > PRESS_RAD and holds(measurement)
            self._steps = self._steps + 1 if presses else 0
            self._apart = apart if self._steps >= LEAST_STEPS else None
        elif apart > self._apart + LET_GO or apart < HELD[0]:
            self.forget()
        else:
            self._apart = min(self._apart, apart)
        return self._apart is not None
