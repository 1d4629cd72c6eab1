"""Rewards for rolling over, standing up and walking, term by term: the one that is learned from and the published.

Both are about 5 on the back, 9 standing still, 14 walking straight ahead, and each term waits for the one before it.
The published one (Wu et al. 2022, DayDreamer) is what results are compared by. It is a staircase: a term appears
whole once the one before exceeds a threshold, and going backwards costs nothing. The one that is learned from has
ramps in place of the steps, because a policy that climbs the gradient of a learned reward sees no steps; it takes
away for going backwards what it gives for going forwards; it pays up to a speed that leaves a margin over the
published target; and it pays less beyond a speed at which robots of this size walk, and nothing for leaping, which
otherwise earns the most until the fall.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

TERMS = ("r_upright", "r_hip", "r_shoulder", "r_knee", "r_velocity")
STAGE_THRESHOLD = 0.7
RAMP = (0.5, 0.8)
"""Where the learned reward's ramp begins, and where the term after it counts in full."""
UPRIGHT_RAMP = (0.5, 1.0)
"""The same of r_upright: a robot that leans or sits on its haunches misses much of what standing pays."""
TARGET_SPEED_M_S = 0.4
HASTE_M_S = (0.6, 1.2)
"""Where the learned reward for going forwards begins to fade, and where nothing is left of it."""
PUBLISHED_TARGET_SPEED_M_S = 0.3
VELOCITY_WEIGHT = 5.0


def pose_errors(joint_position: np.ndarray, stand_pose: np.ndarray) -> list[float]:
    """Distance of hips, thighs and calves to the stand pose, each the mean of four legs.

    It is 0 at the pose and 1 at the far end of the range.

    Args:
      joint_position, stand_pose: `[12]`, -1 to 1 over the range.
    """
    error = np.abs(joint_position - stand_pose) / (1.0 + np.abs(stand_pose))
    return (np.minimum(error, 1.0).reshape(4, 3).sum(axis=0) / 4).tolist()


def walk_reward(up_z: float, errors: Sequence[float], velocity_m_s: np.ndarray) -> tuple[float, dict[str, float]]:
    """The reward that is learned from, and its terms.

    Args:
      up_z: cosine of the angle between the robot's up and the world's.
      errors: of `pose_errors`.
      velocity_m_s: `[3]` of the base, base_link frame.

    Returns:
      The sum r_upright + r_hip + r_shoulder + r_knee + 5 (r_velocity + 1), and the terms by name; all lie in [0, 1]
      but r_velocity, which lies in [-1, 1].
    """
    hip_error, shoulder_error, knee_error = errors
    upright = up_z / 2 + 0.5
    hip = ramp(upright, UPRIGHT_RAMP) * (1.0 - hip_error)
    shoulder = ramp(hip) * (1.0 - shoulder_error)
    knee = ramp(shoulder) * (1.0 - knee_error)
    velocity = ramp(knee) * velocity_term(velocity_m_s)
    total = upright + hip + shoulder + knee + VELOCITY_WEIGHT * (velocity + 1.0)
    return total, dict(zip(TERMS, (upright, hip, shoulder, knee, velocity), strict=True))


def posture_terms(up_z: Any, joint_position: Any, stand_pose: np.ndarray) -> tuple[Any, Any, Any, Any]:
    """The first four terms of `walk_reward`, each `[...]`, of many moments at once: arrays of NumPy or JAX.

    Args:
      up_z: `[...]`, see there.
      joint_position: `[..., 12]`, see `pose_errors`, as `stand_pose`.
    """
    errors = (abs(joint_position - stand_pose) / (1.0 + abs(stand_pose))).clip(max=1.0)
    errors = errors.reshape(*errors.shape[:-1], 4, 3).mean(-2)
    upright = up_z / 2 + 0.5
    hip = ramps(upright, UPRIGHT_RAMP) * (1.0 - errors[..., 0])
    shoulder = ramps(hip) * (1.0 - errors[..., 1])
    return upright, hip, shoulder, ramps(shoulder) * (1.0 - errors[..., 2])


def ramps(terms: Any, ends: tuple[float, float] = RAMP) -> Any:
    """What `ramp` says of each of `terms` `[...]`, an array of NumPy or JAX."""
    begin, end = ends
    return ((terms - begin) / (end - begin)).clip(0.0, 1.0)


def ramp(term: float, ends: tuple[float, float] = RAMP) -> float:
    """How much the term after `term` counts: 0 to 1."""
    begin, end = ends
    return min(max((term - begin) / (end - begin), 0.0), 1.0)


def velocity_term(velocity_m_s: np.ndarray) -> float:
    """Forward speed in units of the target, or of the whole speed where that is larger: -1 to 1."""
    speed = math.sqrt(float(velocity_m_s @ velocity_m_s))
    forward = float(velocity_m_s[0]) / max(speed, TARGET_SPEED_M_S)
    return forward * (1.0 - ramp(speed, HASTE_M_S)) if forward > 0.0 else forward


def published_reward(up_z: float, errors: Sequence[float], velocity_m_s: np.ndarray) -> float:
    """The reward of Wu et al. 2022; arguments as for `walk_reward`."""
    hip_error, shoulder_error, knee_error = errors
    upright = up_z / 2 + 0.5
    hip = 1.0 - hip_error if upright > STAGE_THRESHOLD else 0.0
    shoulder = 1.0 - shoulder_error if hip > STAGE_THRESHOLD else 0.0
    knee = 1.0 - knee_error if shoulder > STAGE_THRESHOLD else 0.0
    velocity = published_velocity_term(velocity_m_s) if knee > STAGE_THRESHOLD else 0.0
    return upright + hip + shoulder + knee + VELOCITY_WEIGHT * (velocity + 1.0)


def published_velocity_term(velocity_m_s: np.ndarray) -> float:
    """Share of the speed that points forward, times the forward speed in units of the target, at most 1."""
    forward = float(velocity_m_s[0])
    speed = math.sqrt(float(velocity_m_s @ velocity_m_s))
    if forward <= 0.0 or speed == 0.0:  # the square of what an odometry at rest is left with may be 0
        return 0.0
    return forward / speed * min(forward / PUBLISHED_TARGET_SPEED_M_S, 1.0)
