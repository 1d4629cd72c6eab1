"""The reward of Wu et al. 2022 (DayDreamer) for rolling over, standing up and walking, term by term.

Each term counts only while the one before it is above `STAGE_THRESHOLD`, so the robot learns them in turn: about 5
on its back, 9 standing still, 14 walking straight ahead at `TARGET_SPEED_M_S` or faster.
"""

from __future__ import annotations

import math

import numpy as np

from daydreamer.robots.a1.constants import REWARD_STAND_POSE

TERMS = ("r_upright", "r_hip", "r_shoulder", "r_knee", "r_velocity")
STAGE_THRESHOLD = 0.7
TARGET_SPEED_M_S = 0.3
VELOCITY_WEIGHT = 5.0

_LARGEST_ERROR = np.maximum(1 - REWARD_STAND_POSE, 1 + REWARD_STAND_POSE)


def pose_errors(joint_position_normalised: np.ndarray) -> np.ndarray:
    """Distance to the stand pose `[4 legs, hip thigh calf]`, 0 at the pose and 1 at the far end of the range."""
    error = np.abs(joint_position_normalised - REWARD_STAND_POSE) / _LARGEST_ERROR
    return np.minimum(error, 1.0).reshape(4, 3)


def velocity_term(velocity_m_s: np.ndarray) -> float:
    """Share of the speed that points forward, times the forward speed in units of the target, at most 1."""
    forward, lateral, vertical = velocity_m_s.tolist()
    if forward <= 0.0:  # also keeps the division away from a robot at rest
        return 0.0
    speed = math.sqrt(forward * forward + lateral * lateral + vertical * vertical)
    return forward / speed * min(forward / TARGET_SPEED_M_S, 1.0)


def walk_reward(
    up_z: float, joint_position_normalised: np.ndarray, velocity_m_s: np.ndarray
) -> tuple[float, dict[str, float]]:
    """Reward and its terms.

    Args:
      up_z: cosine of the angle between the robot's up and the world's.
      joint_position_normalised: `[12]`, -1 to 1 over the range of the action.
      velocity_m_s: `[3]` of the base, base_link frame.

    Returns:
      The sum r_upright + r_hip + r_shoulder + r_knee + 5 (r_velocity + 1), and the terms by name.
    """
    hip_error, shoulder_error, knee_error = (pose_errors(joint_position_normalised).sum(axis=0) / 4).tolist()
    upright = up_z / 2 + 0.5
    hip = 1.0 - hip_error if upright > STAGE_THRESHOLD else 0.0
    shoulder = 1.0 - shoulder_error if hip > STAGE_THRESHOLD else 0.0
    knee = 1.0 - knee_error if shoulder > STAGE_THRESHOLD else 0.0
    velocity = velocity_term(velocity_m_s) if knee > STAGE_THRESHOLD else 0.0
    total = upright + hip + shoulder + knee + VELOCITY_WEIGHT * (velocity + 1.0)
    return total, dict(zip(TERMS, (upright, hip, shoulder, knee, velocity), strict=True))
