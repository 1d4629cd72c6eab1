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

LONGEST_S = 14.0
"""Of the way, whatever is blocked or lags: the longest one takes 12 s."""


class Lowering:
    """The way of an arm that nobody commands any more: it folds, out of whatever it stands in, turns aside, and lies
    down there.
    """

    def __init__(self) -> None:
        self._ramp: Ramp | None = None
        self._until_s = 0.0
        self.rest()

    @property
    def rests(self) -> bool:
        """Whether the arm is left as it is: it lies, or has never been commanded."""
        return self._legs is None

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
            self._until_s = time_s + LONGEST_S
        elif self._ramp.is_done(time_s) and self._legs:
            self._ramp = Ramp(self._ramp.position_rad(time_s), self._legs.pop(0), LOWERING_RAD_S, time_s)
        wanted_rad = self._ramp.position_rad(time_s)
        # A joint that lags, because its driver seldom comes to tell it, is waited for.
        follows = np.abs(wanted_rad - position_rad)[:GRIPPER].max() <= LOWERING_REACH_RAD
        if time_s > self._until_s or (follows and not self._legs and self._ramp.is_done(time_s)):
            self.rest()
            return None
        # What blocks a joint is not pressed the harder the longer it does.
        return np.clip(wanted_rad, position_rad - LOWERING_REACH_RAD, position_rad + LOWERING_REACH_RAD)


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
