"""What is to be known of an arm with a gripper and of its table: its figures, in one place.

The base frame follows REP-103: x forward, y to the left, z up; the base stands on the table, or the table's height is
z = 0. Before the arm are two trays side by side, out of and into which it carries a cube.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from daydreamer.contract.limits import JointLimits
from daydreamer.robots.arm.cells import Grid, Side


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """The trays, what is carried, and where the camera before and above the trays sees them.

    Attributes:
      cube_m: length of the red cube's edges.
      tray_x_m: nearest and farthest of the trays' flat part, forward of the base.
      left_tray_y_m, right_tray_y_m: rightmost and leftmost of the flat part of each.
      slope_m: width and height of the trays' sides, all around the flat part.
      beyond_right, beyond_down: right and down in the picture, from 0 to 1, beyond which a cube lies outside the trays;
        likewise on the left.
    """

    cube_m: float
    tray_x_m: tuple[float, float]
    left_tray_y_m: tuple[float, float]
    right_tray_y_m: tuple[float, float]
    slope_m: float
    beyond_right: float
    beyond_down: float

    def tray_y_m(self, side: Side) -> tuple[float, float]:
        """Rightmost and leftmost of the flat part of a tray."""
        return self.left_tray_y_m if side == "left" else self.right_tray_y_m

    def is_outside(self, cube_m: np.ndarray) -> bool:
        """Whether a cube with its middle there `[3]` lies beside both trays, or is held there."""
        x_m, y_m, _ = cube_m
        margin_m = self.slope_m + self.cube_m / 4
        near_m, far_m = self.tray_x_m[0] - margin_m, self.tray_x_m[1] + margin_m
        right_m, left_m = self.right_tray_y_m[0] - margin_m, self.left_tray_y_m[1] + margin_m
        return not (near_m < x_m < far_m and right_m < y_m < left_m)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Arm:
    """One arm.

    Attributes:
      name: of the robot's folder.
      joints: their names, in the order of commands; the gripper's is the last.
      limits: what the safety supervisor enforces; with a workspace, in which the tool is observed.
      closed_rad, open_rad: of the gripper's joint, as the task closes and opens it.
      jaws_middle_m: from the tool to the middle between the open jaws, to the left of the base when the gripper points
        at the table, unturned.
      tool_position_m: where the tool is `[3]`, of joint angles `[joints]`.
      downwards: joint angles `[joints but the gripper's]` of a tool that points at the table, of where it is `[3]` and
        of its yaw, to the left about the upright.
      points_m: a line `[points, 3]` from the base to the tool, of joint angles `[joints]`; to draw it.
      grid: cells over the trays.
      table: trays and cube.
    """

    name: str
    joints: tuple[str, ...]
    limits: JointLimits
    closed_rad: float
    open_rad: float
    jaws_middle_m: float
    tool_position_m: Callable[[np.ndarray], np.ndarray]
    downwards: Callable[[np.ndarray, float], np.ndarray]
    points_m: Callable[[np.ndarray], np.ndarray]
    grid: Grid
    table: Table

    @property
    def gripper(self) -> int:
        """Index of the gripper's joint."""
        return len(self.joints) - 1
