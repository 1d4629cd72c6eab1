"""How an arm begins an episode by itself: up, over to the cube's tray, where it opens, and on to where it begins.

The published arm swept the corners of its bins; here the trays' sides slope, so that what is pushed up slides back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.robots.arm import grip
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.description import Arm
from daydreamer.robots.arm.sight import ABOVE, side_of_cube

NEAR_M, NEAR_OPENING = 0.012, 0.1
"""A place on the way counts as reached within so many metres, and such a share of the gripper's turn."""
PATIENCE_S = 3.0
"""After which a place that is not reached is given up."""


@dataclasses.dataclass(frozen=True)
class _Place:
    """Somewhere on the way: where the tool is to be, how the gripper is turned, and its angle."""

    arm: Arm
    tool_m: np.ndarray
    yaw_rad: float
    gripper_rad: float

    @property
    def setpoint(self) -> np.ndarray:
        return np.array((*self.arm.downwards(self.tool_m, self.yaw_rad), self.gripper_rad))

    def is_reached(self, measurement: Measurement, holds: bool) -> bool:
        arm, joints_rad = self.arm, measurement[JOINT_POSITION]
        far_m = float(np.linalg.norm(arm.tool_position_m(joints_rad) - self.tool_m))
        turn = abs((float(joints_rad[arm.gripper]) - self.gripper_rad) / (arm.open_rad - arm.closed_rad))
        return far_m < NEAR_M and (holds or turn < NEAR_OPENING)


class Beginning:
    """The way to where an episode begins. A place on it that cannot be reached is given up after a while."""

    def __init__(self, arm: Arm, choose_end: Callable[[Side], np.ndarray], yaw_rad: float = 0.0) -> None:
        """Args:
        arm: that begins.
        choose_end: where the tool is to be in the end `[3]`, over a tray; asked when it is on its way there.
        yaw_rad: of the gripper.
        """
        self._arm = arm
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
        holds = self._closed and grip.holds(self._arm, measurement)
        while self._place is not None:
            if not self._place.is_reached(measurement, holds) and elapsed_s - self._since_s < PATIENCE_S:
                return self._place.setpoint
            self._place, self._since_s = next(self._way, None), elapsed_s
        return None

    def _places(self, measurement: Measurement, let_go_in: Side | None) -> Iterator[_Place]:
        arm, grid = self._arm, self._arm.grid
        tool_m = arm.tool_position_m(measurement[JOINT_POSITION])
        here = grid.nearest(tool_m).side
        if self._closed and grip.holds(arm, measurement):
            side = here
        else:
            side = side_of_cube(measurement[ABOVE]) or let_go_in or here
        gripper_rad = arm.closed_rad if self._closed else arm.open_rad
        first_m, last_m = (grid.x_m[0], grid.y_m[0]), (grid.x_m[-1], grid.y_m[-1])
        above_m = np.array((*np.clip(tool_m[:2], first_m, last_m), grid.high_m))
        middle_m = np.mean([cell.tool_m for cell in grid.cells_over(side)], axis=0)
        yield self._at(above_m, gripper_rad)
        yield self._at(middle_m, gripper_rad)
        yield self._at(middle_m, arm.open_rad)
        self._closed = False
        yield self._at(self._choose_end(side), arm.open_rad)

    def _at(self, tool_m: np.ndarray, gripper_rad: float) -> _Place:
        return _Place(self._arm, tool_m, self._yaw_rad, gripper_rad)
