"""How the SO-101 begins an episode by itself: up, over to the cube's tray, where it opens, and on to where it begins.

The published arm swept the corners of its bins; here the trays' sides slope, so that what is pushed up slides back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.robots.so101 import grip, kinematics
from daydreamer.robots.so101.cells import HIGH_M, X_M, Y_M, Side, cells_over, nearest
from daydreamer.robots.so101.constants import CLOSED_RAD, GRIPPER, OPEN_RAD
from daydreamer.robots.so101.embodiment import ABOVE
from daydreamer.robots.so101.sight import side_of_cube

NEAR_M, NEAR_OPENING = 0.012, 0.1
"""A place on the way counts as reached within so many metres, and such a share of the gripper's turn."""
PATIENCE_S = 3.0
"""After which a place that is not reached is given up."""


@dataclasses.dataclass(frozen=True)
class _Place:
    """Somewhere on the way: where the tool is to be, how the gripper is turned, and its angle."""

    tool_m: np.ndarray
    yaw_rad: float
    gripper_rad: float

    @property
    def setpoint(self) -> np.ndarray:
        return np.array((*kinematics.downwards(self.tool_m, self.yaw_rad), self.gripper_rad))

    def is_reached(self, measurement: Measurement, holds: bool) -> bool:
        joints_rad = measurement[JOINT_POSITION]
        far_m = float(np.linalg.norm(kinematics.tool_position_m(joints_rad) - self.tool_m))
        turn = abs(float(joints_rad[GRIPPER]) - self.gripper_rad) / (OPEN_RAD - CLOSED_RAD)
        return far_m < NEAR_M and (holds or turn < NEAR_OPENING)


class Beginning:
    """The way to where an episode begins. A place on it that cannot be reached is given up after a while."""

    def __init__(self, choose_end: Callable[[Side], np.ndarray], yaw_rad: float = 0.0) -> None:
        """Args:
        choose_end: where the tool is to be in the end `[3]`, over a tray; asked when it is on its way there.
        yaw_rad: of the gripper.
        """
        self._choose_end = choose_end
        self._yaw_rad = yaw_rad
        self._way: Iterator[_Place] = iter(())
        self._place: _Place | None = None

    def begin(self, measurement: Measurement, closed: bool, let_go_in: Side | None) -> None:
        """Sets out.

        Args:
          closed: whether the gripper is told to be.
          let_go_in: where the cube was let go of, if that is known: it is there when the camera does not see it.
        """
        self._closed = closed
        self._way = self._places(measurement, let_go_in)
        self._place, self._since_s = next(self._way), 0.0

    def setpoint(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        """What the arm is told, `elapsed_s` after it set out `[6]`; None once it is there."""
        holds = self._closed and grip.holds(measurement)
        while self._place is not None:
            if not self._place.is_reached(measurement, holds) and elapsed_s - self._since_s < PATIENCE_S:
                return self._place.setpoint
            self._place, self._since_s = next(self._way, None), elapsed_s
        return None

    def _places(self, measurement: Measurement, let_go_in: Side | None) -> Iterator[_Place]:
        tool_m = kinematics.tool_position_m(measurement[JOINT_POSITION])
        here = nearest(tool_m).side
        if self._closed and grip.holds(measurement):
            side = here
        else:
            side = side_of_cube(measurement[ABOVE]) or let_go_in or here
        gripper_rad = CLOSED_RAD if self._closed else OPEN_RAD
        above_m = np.array((*np.clip(tool_m[:2], (X_M[0], Y_M[0]), (X_M[-1], Y_M[-1])), HIGH_M))
        middle_m = np.mean([cell.tool_m for cell in cells_over(side)], axis=0)
        yield self._at(above_m, gripper_rad)
        yield self._at(middle_m, gripper_rad)
        yield self._at(middle_m, OPEN_RAD)
        self._closed = False
        yield self._at(self._choose_end(side), OPEN_RAD)

    def _at(self, tool_m: np.ndarray, gripper_rad: float) -> _Place:
        return _Place(tool_m, self._yaw_rad, gripper_rad)
