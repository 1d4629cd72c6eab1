"""Moves an arm's tool within its workspace: in straight lines, no faster than it may, and along the faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.limits import WorkspaceBox

TRIES = 8
"""How often a step is shortened that the joints cannot make; after that there is none."""

ROUNDING_M = 1e-9


def beyond_m(box: WorkspaceBox, joints_rad: NDArray[np.float64]) -> float:
    """How far the tool is outside the box; 0 inside."""
    tool_m = box.tool_position_m(joints_rad)
    return float(np.linalg.norm(tool_m - np.clip(tool_m, box.lower_m, box.upper_m)))


class ToolPath:
    """The way of a tool towards where it is wanted, a step at a time.

    Every step ends inside the box, or nearer to it than it began: what is wanted is moved to the nearest place in the
    box, and the way there is straight. Where joints would leave their limits, or would have to be faster than they may,
    the step is shorter. Pitch, roll and all else come along in proportion.
    """

    def __init__(
        self,
        box: WorkspaceBox,
        lower_rad: NDArray[np.float64],
        upper_rad: NDArray[np.float64],
        largest_change_rad: NDArray[np.float64],
        rate_hz: float,
    ):
        """Args:
        lower_rad, upper_rad, largest_change_rad: `[joints]`, of a command, and from one to the next.
        """
        self._box = box
        joints = slice(box.tool_joints)
        self._joints = joints
        self._lower_rad, self._upper_rad = lower_rad[joints], upper_rad[joints]
        self._largest_change_rad = largest_change_rad[joints]
        self._farthest_m = box.tool_speed_m_s / rate_hz

    def towards(
        self, previous_rad: NDArray[np.float64], wanted_rad: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], bool]:
        """The next joint angles `[joints]` on the way, where those that do not move the tool are as wanted; and whether
        what is wanted is outside the box.
        """
        box = self._box
        assert box.joints_for_tool is not None, "without it there is no way along a face"
        begin_m, wanted_m = box.tool_position_m(previous_rad), box.tool_position_m(wanted_rad)
        end_m = np.clip(wanted_m, box.lower_m, box.upper_m)
        outside = bool(np.any(end_m != wanted_m))
        end_rad = box.joints_for_tool(wanted_rad, end_m) if outside else wanted_rad
        if end_rad is None:
            end_rad = wanted_rad  # for its pitch and roll
        way_m, way_rad = end_m - begin_m, end_rad - previous_rad
        way_rad[box.tool_joints :] = 0.0
        share = min(1.0, self._farthest_m / max(float(np.linalg.norm(way_m)), ROUNDING_M))
        for _ in range(TRIES):
            step_rad = box.joints_for_tool(previous_rad + share * way_rad, begin_m + share * way_m)
            shorter = 0.5 if step_rad is None else self._shorter(step_rad - previous_rad, step_rad)
            if step_rad is not None and shorter >= 1.0:
                break
            share *= shorter
        else:
            step_rad = previous_rad
        following = wanted_rad.copy()
        following[self._joints] = step_rad[self._joints]
        return following, outside

    def _shorter(self, change_rad: NDArray[np.float64], step_rad: NDArray[np.float64]) -> float:
        """By what share of itself a step can be made; 1 if it can."""
        joints = self._joints
        if np.any(step_rad[joints] < self._lower_rad) or np.any(step_rad[joints] > self._upper_rad):
            return 0.5
        excess = float(np.max(np.abs(change_rad[joints]) / self._largest_change_rad))
        return 1.0 if excess <= 1.0 else 0.95 / excess
