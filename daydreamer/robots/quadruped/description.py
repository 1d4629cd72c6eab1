"""What is to be known of a four-legged robot with three joints in each leg: its figures, in one place.

Joints are in Unitree's motor order: legs front right, front left, rear right, rear left; in each leg hip (abduction,
about x), thigh (about y), calf (about y). Feet are in the same order of legs. Frames follow REP-103: base_link lies in
the middle of the trunk, x forward, y left, z up; all angles are zero when the legs hang straight.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, TypeVar

import numpy as np

from daydreamer.contract.limits import JointLimits

LEG_NAMES = ("FR", "FL", "RR", "RL")
JOINT_NAMES = tuple(f"{leg}_{part}_joint" for leg in LEG_NAMES for part in ("hip", "thigh", "calf"))
FOOT_NAMES = tuple(f"{leg}_foot" for leg in LEG_NAMES)
JOINTS = len(JOINT_NAMES)

_Angles = TypeVar("_Angles", bound=Any)


def constant(values: object) -> np.ndarray:
    """`values` as an array that nobody can change."""
    array = np.array(values, np.float64)
    array.flags.writeable = False
    return array


def each_leg(hip: float, thigh: float, calf: float) -> np.ndarray:
    """`[12]` with the same values in every leg."""
    return constant([hip, thigh, calf] * len(LEG_NAMES))


def front_and_rear(front: tuple[float, float, float], rear: tuple[float, float, float]) -> np.ndarray:
    """`[12]` of hip, thigh and calf of the front legs, and of the rear legs."""
    return constant([*front, *front, *rear, *rear])


@dataclasses.dataclass(frozen=True, eq=False)
class JointRange:
    """Joint angles in units in which -1 and 1 are the ends of a range.

    Attributes:
      lower_rad, upper_rad: `[12]`, the ends.
    """

    lower_rad: np.ndarray
    upper_rad: np.ndarray

    @functools.cached_property
    def _centre_rad(self) -> np.ndarray:
        return (self.upper_rad + self.lower_rad) / 2

    @functools.cached_property
    def _half_rad(self) -> np.ndarray:
        return (self.upper_rad - self.lower_rad) / 2

    def normalise(self, joint_position_rad: _Angles) -> _Angles:
        """Joint angles `[..., 12]`, of NumPy or of JAX, in units of the range."""
        normalised: _Angles = (joint_position_rad - self._centre_rad) / self._half_rad
        return normalised

    def denormalise(self, joint_position: _Angles) -> _Angles:
        """Joint angles `[..., 12]` in rad: the inverse of `normalise`."""
        angles_rad: _Angles = self._centre_rad + self._half_rad * joint_position
        return angles_rad


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Quadruped:
    """One robot, legs, joints and axes as this module says.

    Attributes:
      name: of the robot's folder.
      hip_position_m: `[4, 3]`, where hips turn, base_link.
      thigh_offset_m: `[4]`, how far to the left of its hip each leg hangs.
      thigh_length_m, calf_length_m: between the axes, and from knee to the middle of the spherical foot.
      foot_radius_m: of that sphere.
      trunk_size_m: `[3]`, length, width and height.
      head_m: `[points, 3]`, a line from the trunk's front to the nose, base_link.
      mass_kg: of everything, with battery.
      limits: what the safety supervisor enforces.
      joint_range: joint angles are observed and rewarded in its units.
      action_lower_rad, action_upper_rad: `[12]`, joint targets that the actions -1 and 1 stand for.
      near_rad: `[12]`, how far half-hearted actions reach around the rewarded pose.
      reward_stand_pose: `[12]`, the pose that the reward asks for, in units of `joint_range`; the action 0.
      stand_pose_rad: `[12]`, standing still.
      stand_height_m: of base_link in that pose, above the ground.
      rest_pose_rad: `[12]`, legs folded: on its belly as on its back the robot keeps its place, and from standing it
        sits down.
    """

    name: str
    hip_position_m: np.ndarray
    thigh_offset_m: np.ndarray
    thigh_length_m: float
    calf_length_m: float
    foot_radius_m: float
    trunk_size_m: np.ndarray
    head_m: np.ndarray
    mass_kg: float
    limits: JointLimits
    joint_range: JointRange
    action_lower_rad: np.ndarray
    action_upper_rad: np.ndarray
    near_rad: np.ndarray
    reward_stand_pose: np.ndarray
    stand_pose_rad: np.ndarray
    stand_height_m: float
    rest_pose_rad: np.ndarray
