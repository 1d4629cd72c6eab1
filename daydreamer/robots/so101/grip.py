"""What the SO-101's gripper feels when it is told in small steps how far to be open."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.robots.arm.grip import HELD, holds, opening
from daydreamer.robots.so101.constants import GRIPPER, SO101

PRESS_RAD = 0.06
"""By which a gripper that presses on something is told to be narrower than it is: a bit more than its play, and less
than the guard lets it be told."""

LEAST_STEPS = 2
"""In which it must have been felt: a gripper that sets out to close has not moved yet, either."""

LET_GO = 0.08
"""By which the jaws are farther apart than they were when they have let go."""


class Hold:
    """Whether the gripper holds something, which by then may have been told to be open anyhow."""

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
        apart = opening(SO101, measurement)
        if self._apart is None:
            narrower_rad = float(measurement[JOINT_POSITION][GRIPPER] - sent[GRIPPER])
            presses = narrower_rad > PRESS_RAD and holds(SO101, measurement)
            self._steps = self._steps + 1 if presses else 0
            self._apart = apart if self._steps >= LEAST_STEPS else None
        elif apart > self._apart + LET_GO or apart < HELD[0]:
            self.forget()
        else:
            self._apart = min(self._apart, apart)
        return self._apart is not None
