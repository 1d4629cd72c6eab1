"""How the SO-101 lets go: it lies down first, because without torque it falls, and what it holds with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.robots.so101.constants import GRIPPER, LOWERING_RAD_S, REST_RAD, carried
from daydreamer.safety.ramp import Ramp
from daydreamer.safety.target_stream import TargetStream


class LoweringTargets(TargetStream):
    """Targets of the servos: those that are commanded, and once there are none the way to rest, and then none.

    So it is after a command to let go, and after the silence of whoever commands. An arm that has never been commanded
    is left as it is.
    """

    _ramp: Ramp | None = None

    def reset(self) -> None:
        """See `TargetStream.reset`; the arm is left as it is."""
        super().reset()
        self._commanded = False
        self._ramp = None

    def error(self, time_s: float, position_rad: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """See `TargetStream.error`; None once the arm lies."""
        error = super().error(time_s, position_rad)
        if error is not None:
            self._commanded, self._ramp = True, None
            return error
        if not self._commanded:
            return None
        if self._ramp is None:
            end_rad = REST_RAD.copy()
            end_rad[GRIPPER] = position_rad[GRIPPER]  # what it holds it keeps until then
            self._ramp = Ramp(position_rad.copy(), end_rad, LOWERING_RAD_S, time_s)
        if self._ramp.is_done(time_s):
            self._commanded = False
            return None
        return carried(self._ramp.position_rad(time_s)) - position_rad
