"""How the SO-101 lets go: it lies down first, because without torque it falls, and what it holds with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.robots.so101.constants import GRIPPER, LOWERING_RAD_S, PAN, REST_RAD, WRIST_FLEX, carried
from daydreamer.safety.ramp import Ramp
from daydreamer.safety.target_stream import TargetStream

RAISED_RAD = 0.2
"""Of the wrist, with the arm folded: the gripper points ahead, above the trays."""


class LoweringTargets(TargetStream):
    """Targets of the servos: those that are commanded, and once there are none the way to rest, and then none.

    So it is after a command to let go, and after the silence of whoever commands. An arm that has never been commanded
    is left as it is. It folds first, out of whatever it stands in, turns aside, and lies down there.
    """

    def reset(self) -> None:
        """See `TargetStream.reset`; the arm is left as it is."""
        super().reset()
        self._commanded = False
        self._legs: list[NDArray[np.float64]] = []
        self._ramp: Ramp | None = None

    def error(self, time_s: float, position_rad: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """See `TargetStream.error`; None once the arm lies."""
        error = super().error(time_s, position_rad)
        if error is not None:
            self._commanded, self._ramp = True, None
            return error
        if not self._commanded:
            return None
        if self._ramp is None:
            self._legs = _way_to_rest(position_rad)
            self._ramp = self._next_ramp(position_rad, time_s)
        elif self._ramp.is_done(time_s):
            self._ramp = self._next_ramp(self._ramp.position_rad(time_s), time_s) if self._legs else None
        if self._ramp is None:
            self._commanded = False
            return None
        return carried(self._ramp.position_rad(time_s)) - position_rad

    def _next_ramp(self, begin_rad: NDArray[np.float64], time_s: float) -> Ramp:
        return Ramp(begin_rad.copy(), self._legs.pop(0), LOWERING_RAD_S, time_s)


def _way_to_rest(begin_rad: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Joint angles `[6]` on the way; what the gripper holds it keeps until the end."""
    rest_rad = REST_RAD.copy()
    rest_rad[GRIPPER] = begin_rad[GRIPPER]
    aside_rad = rest_rad.copy()
    aside_rad[WRIST_FLEX] = RAISED_RAD
    folded_rad = aside_rad.copy()
    folded_rad[PAN] = begin_rad[PAN]
    return [folded_rad, aside_rad, rest_rad]
