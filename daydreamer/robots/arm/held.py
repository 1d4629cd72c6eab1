"""Positions for controllers that hold for ever what they were told last, as those of ros2_control do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.limits import JointLimits
from daydreamer.safety.limiter import POSITION_MARGIN_RAD

REPEATS = 10
"""Of the position in which an arm is held, in case a message is lost; after that nothing more is said."""


class HeldPositions:
    """What an arm is told, tick by tick: what somebody commands, and once nobody does, to stay where it is.

    It comes to rest where it was measured when commands ceased, no faster than it may be commanded. What a gripper was
    told it is told on, so that it keeps what it holds. Where nobody knows where the joints are nothing is said: the
    controller then holds what it was told last, which was near. Not thread-safe.
    """

    def __init__(self, limits: JointLimits, gripper: int) -> None:
        """`gripper` is the index of its joint."""
        self._rate_rad_s = limits.command_rate_rad_s
        self._lower_rad = limits.lower_rad + POSITION_MARGIN_RAD
        self._upper_rad = limits.upper_rad - POSITION_MARGIN_RAD
        self._gripper = gripper
        self._told_rad: NDArray[np.float64] | None = None
        self._held_rad: NDArray[np.float64] | None = None
        self._repeats = 0

    @property
    def holds(self) -> bool:
        """Whether the arm is being held where it was when commands ceased."""
        return self._held_rad is not None

    def next(
        self, target_rad: NDArray[np.float64] | None, measured_rad: NDArray[np.float64] | None, elapsed_s: float
    ) -> NDArray[np.float64] | None:
        """Joint angles `[joints]` to tell; None for nothing.

        Args:
          target_rad: `[joints]` that somebody commands, within the limits; None where nobody does.
          measured_rad: `[joints]`, where they are; None where that is not known any more.
          elapsed_s: since the last tick.
        """
        if measured_rad is None:
            self._told_rad = self._held_rad = None
            return None
        if target_rad is not None:
            self._held_rad = None
            begin_rad = target_rad if self._told_rad is None else self._told_rad
            self._told_rad = self._nearer(begin_rad, target_rad, elapsed_s)
            return self._told_rad
        if self._told_rad is None:
            return None
        if self._held_rad is None:
            self._held_rad = np.clip(measured_rad, self._lower_rad, self._upper_rad)
            self._held_rad[self._gripper] = self._told_rad[self._gripper]
            self._repeats = REPEATS
        self._told_rad = self._nearer(self._told_rad, self._held_rad, elapsed_s)
        told_rad = self._told_rad
        if np.array_equal(told_rad, self._held_rad):
            self._repeats -= 1
            if not self._repeats:
                self._told_rad = self._held_rad = None
        return told_rad

    def _nearer(
        self, from_rad: NDArray[np.float64], to_rad: NDArray[np.float64], elapsed_s: float
    ) -> NDArray[np.float64]:
        change_rad = self._rate_rad_s * elapsed_s
        return np.clip(to_rad, from_rad - change_rad, from_rad + change_rad)
