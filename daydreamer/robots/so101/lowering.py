"""How the SO-101 lets go: it lies down first, because without torque it falls, and what it holds with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.robots.so101.constants import (
    GRIPPER,
    LOWERING_RAD_S,
    LOWERING_REACH_RAD,
    PAN,
    REST_RAD,
    WRIST_FLEX,
    carried,
)
from daydreamer.safety.ramp import Ramp
from daydreamer.safety.target_stream import TargetStream

RAISED_RAD = 0.2
"""Of the wrist, with the arm folded: the gripper points ahead, above the trays."""

NEAR_RAD, WAITS_S = 0.1, 2.0
"""A part of the way has been gone once every joint is so near to its end; what is blocked is waited for so long."""


class Lowering:
    """The way of an arm that nobody commands any more: it folds, out of whatever it stands in, turns aside, and lies
    down there.
    """

    def __init__(self) -> None:
        self._ramp: Ramp | None = None
        self.rest()

    def rest(self) -> None:
        """The arm is left as it is: it has never been commanded."""
        self._legs: list[NDArray[np.float64]] | None = None

    def stand_by(self) -> None:
        """The arm is commanded; when it no longer is, the way begins."""
        self._legs, self._ramp = [], None

    def begin_anew(self) -> None:
        """Nobody knows how far the arm has come: if it is on its way, the way begins where it will be found."""
        self._ramp = None

    def target(self, time_s: float, position_rad: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Joint angles `[6]` at this time, for an arm that is at `position_rad`; None once it lies, and for one that is
        left as it is. The way begins where it was when it was commanded no more.
        """
        if self._legs is None:
            return None
        if self._ramp is None:
            self._legs = _way_to_rest(position_rad)
            self._ramp = Ramp(position_rad.copy(), self._legs.pop(0), LOWERING_RAD_S, time_s)
        elif self._ramp.is_done(time_s) and (
            self._is_near(self._ramp.position_rad(time_s), position_rad) or self._ramp.is_done(time_s - WAITS_S)
        ):
            if not self._legs:
                self.rest()
                return None
            self._ramp = Ramp(self._ramp.position_rad(time_s), self._legs.pop(0), LOWERING_RAD_S, time_s)
        # What blocks a joint is not pressed the harder the longer it does.
        return np.clip(
            self._ramp.position_rad(time_s), position_rad - LOWERING_REACH_RAD, position_rad + LOWERING_REACH_RAD
        )

    @staticmethod
    def _is_near(end_rad: NDArray[np.float64], position_rad: NDArray[np.float64]) -> bool:
        return bool(np.abs(end_rad - position_rad)[:GRIPPER].max() < NEAR_RAD)


class LoweringTargets(TargetStream):
    """Targets of the servos: those that are commanded, and once there are none the way to rest, and then none.

    So it is after a command to let go, and after the silence of whoever commands.
    """

    def reset(self) -> None:
        """See `TargetStream.reset`; the arm is left as it is."""
        super().reset()
        self._lowering = Lowering()

    def error(self, time_s: float, position_rad: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """See `TargetStream.error`; None once the arm lies."""
        error = super().error(time_s, position_rad)
        if error is not None:
            self._lowering.stand_by()
            return error
        target_rad = self._lowering.target(time_s, position_rad)
        return None if target_rad is None else carried(target_rad) - position_rad


def _way_to_rest(begin_rad: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Joint angles `[6]` on the way; what the gripper holds it keeps until the end."""
    rest_rad = REST_RAD.copy()
    rest_rad[GRIPPER] = begin_rad[GRIPPER]
    aside_rad = rest_rad.copy()
    aside_rad[WRIST_FLEX] = RAISED_RAD
    folded_rad = aside_rad.copy()
    folded_rad[PAN] = begin_rad[PAN]
    return [folded_rad, aside_rad, rest_rad]
