"""What LeRobot's tools record of an SO-101, as `pick_place_fine` takes it.

A frame has the positions of the joints: where they are, and where the leader arm wanted them. LeRobot calibrates an arm
by moving each joint through its range, and counts from the middle of it, in degrees or in hundredths of half of it; the
gripper goes from 0, shut, to 100. The zeros of this folder's driver are the same. The roll of the wrist turns all
around, and has the whole turn for a range. NOT YET COMPARED WITH AN ARM.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.contract.recording import RecordingOptions
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.contract.task import TaskState
from daydreamer.errors import UserError
from daydreamer.robots.arm.carrying import Change
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import COUNT_RAD, COUNTS_PER_TURN, GRIPPER, JOINTS, LIMITS
from daydreamer.robots.so101.pick_place_fine import STEP_GRIPPER_RAD, STEP_M, STEP_YAW_RAD, PickPlaceFine
from daydreamer.robots.so101.placing import make_rule
from daydreamer.robots.so101.reach import LOWER_M, UPPER_M
from daydreamer.robots.so101.servos import ROLL, read_calibration

LARGEST = {"degrees": 200.0, "normalised": 101.0}
"""Magnitude of a number of a joint but the gripper, by unit: half a turn, or half of its range, and a bit more."""
LARGEST_GRIPPER = (-5.0, 105.0)
RADIANS = 3.2
"""An arm that stays within so many degrees in all of its joints does nothing: these are not degrees."""

TILTED_RAD, OUTSIDE_M = math.radians(20.0), 0.01
"""Farther from pointing at the table, or from where the task may have the tool, the task does not come."""


class RecordedPickPlaceFine:
    """See `RecordedTask`."""

    robots = ("so101_follower", "so_follower", "so101")
    names = tuple(f"{joint}.pos" for joint in JOINTS)

    def __init__(self, config: SessionConfig, options: RecordingOptions) -> None:
        """Raises UserError: the calibration cannot be used, or see `make_rule`."""
        self._told = _Told() if options.success == "last" else None
        self.task = PickPlaceFine(config.seed, config.twin.extra_cameras, self._told or make_rule(config))
        self._units = options.units
        self._ranges_rad = _ranges_rad(options.calibration)
        self._steps = self._tilted = self._outside = 0

    def setpoints(self, values: np.ndarray) -> np.ndarray:
        """See `RecordedTask`."""
        self._require_units(values)
        if self._units == "degrees":
            joints_rad = values * ((COUNTS_PER_TURN - 1) / 360.0 * COUNT_RAD)
        else:
            joints_rad = values / 100.0 * (self._ranges_rad / 2)
        joints_rad[:, GRIPPER] = LIMITS.lower_rad[GRIPPER] + values[:, GRIPPER] / 100.0 * self._ranges_rad[GRIPPER]
        return joints_rad

    def motions(self, setpoints: np.ndarray) -> np.ndarray:
        """See `RecordedTask`."""
        return motions(setpoints)

    def observe(self, measurement: Measurement, sent: np.ndarray, is_last: bool) -> TaskState:
        """See `RecordedTask`."""
        joints_rad = measurement[JOINT_POSITION]
        tool_m = kinematics.tool_position_m(joints_rad)
        self._steps += 1
        self._tilted += abs(kinematics.pitch_rad(joints_rad) - kinematics.DOWN_RAD) > TILTED_RAD
        self._outside += bool(np.any((tool_m < LOWER_M - OUTSIDE_M) | (tool_m > UPPER_M + OUTSIDE_M)))
        if self._told is not None:
            self._told.placed = is_last
        return self.task.observe(measurement, sent)

    def remarks(self) -> list[str]:
        """See `RecordedTask`."""
        found = {
            "the gripper points more than 20 degrees away from the table": self._tilted,
            "the tool is farther than 1 cm outside of where the task may have it": self._outside,
        }
        return [
            f"In {count / self._steps:.0%} of the steps {what}, where a policy of this task never comes."
            for what, count in found.items()
            if count
        ]

    def _require_units(self, values: np.ndarray) -> None:
        body, gripper = np.delete(values, GRIPPER, axis=1), values[:, GRIPPER]
        largest = np.abs(body).max(axis=0)
        joint = int(largest.argmax())
        if largest[joint] > LARGEST[self._units]:
            others = "degrees" if self._units == "normalised" and largest[joint] <= LARGEST["degrees"] else ""
            cure = f"choose --units {others}" if others else "record it as lerobot-record does"
            raise UserError(f"{self.names[joint]} comes to {largest[joint]:.0f}, which is not {self._units}; {cure}.")
        if largest[joint] < RADIANS and np.ptp(gripper) < RADIANS:
            raise UserError(
                f"all of its joints stay within {largest[joint]:.2f}: these are radians, or the arm did nothing; "
                "record it as lerobot-record does, in degrees or from -100 to 100."
            )
        if not (LARGEST_GRIPPER[0] <= gripper.min() and gripper.max() <= LARGEST_GRIPPER[1]):
            raise UserError(
                f"{self.names[GRIPPER]} goes from {gripper.min():.0f} to {gripper.max():.0f}, and not from 0 to 100; "
                "record it as lerobot-record does."
            )


def motions(setpoints: np.ndarray) -> np.ndarray:
    """Actions `[n - 1, 5]`, however large, that lead from each of the joints' angles `[n, 6]` to the next ones."""
    places = [(*kinematics.tool_position_m(each), kinematics.yaw_rad(each), each[GRIPPER]) for each in setpoints]
    return np.diff(np.array(places), axis=0) / (STEP_M, STEP_M, STEP_M, STEP_YAW_RAD, STEP_GRIPPER_RAD)


class _Told:
    """A `PlacementRule` that goes by what it is told.

    Attributes:
      placed: what it says next.
    """

    placed = False
    waited = 0.0

    def forget(self) -> None:
        """See `PlacementRule`."""
        self.placed = False

    def is_placed(self, change: Change, holds: bool, side: Side, picture: np.ndarray) -> bool:
        """See `PlacementRule`."""
        return self.placed


def _ranges_rad(calibration: Path | None) -> np.ndarray:
    """How far each joint was moved when the arm was calibrated `[6]`."""
    ranges_rad = LIMITS.upper_rad - LIMITS.lower_rad
    ranges_rad[ROLL] = (COUNTS_PER_TURN - 1) * COUNT_RAD
    if calibration is not None:
        file = read_calibration(calibration)
        ranges_rad = np.array([(file[joint].range_max - file[joint].range_min) * COUNT_RAD for joint in JOINTS])
        if not ranges_rad.min() > 0.0:
            joint = JOINTS[int(ranges_rad.argmin())]
            raise UserError(f"The calibration {calibration} has no range for {joint}; calibrate the arm again.")
    return ranges_rad


def make_recorded(config: SessionConfig, options: RecordingOptions) -> RecordedPickPlaceFine:
    """Of `pick_place_fine`, as it is set."""
    return RecordedPickPlaceFine(config, options)
