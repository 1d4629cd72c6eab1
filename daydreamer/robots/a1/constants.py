"""Figures of the Unitree A1, each with unit and source.

Joints are in Unitree's motor order: legs front right, front left, rear right, rear left; in each leg hip
(abduction, about x), thigh (about y), calf (about y). Feet are in the same order of legs. Frames follow REP-103:
base_link lies in the middle of the trunk, x forward, y left, z up; all angles are zero when the legs hang straight.

Sources: [urdf] unitreerobotics/unitree_ros, a1_description; [menagerie] google-deepmind/mujoco_menagerie,
unitree_a1; [daydreamer] Wu et al. 2022, danijar/daydreamer; [sheet] Unitree A1 product sheet; [park] Smith et al.
2022, "A Walk in the Park" (arXiv:2208.07860).
"""

from __future__ import annotations

import numpy as np

LEG_NAMES = ("FR", "FL", "RR", "RL")
JOINT_NAMES = tuple(f"{leg}_{part}_joint" for leg in LEG_NAMES for part in ("hip", "thigh", "calf"))
FOOT_NAMES = tuple(f"{leg}_foot" for leg in LEG_NAMES)
JOINTS = len(JOINT_NAMES)


def _constant(values: object) -> np.ndarray:
    array = np.array(values, np.float64)
    array.flags.writeable = False
    return array


def _each_leg(hip: float, thigh: float, calf: float) -> np.ndarray:
    return _constant([hip, thigh, calf] * len(LEG_NAMES))


# Geometry, m [urdf].
HIP_POSITION_M = _constant([(0.183, -0.047, 0.0), (0.183, 0.047, 0.0), (-0.183, -0.047, 0.0), (-0.183, 0.047, 0.0)])
THIGH_OFFSET_M = _constant([-0.08505, 0.08505, -0.08505, 0.08505])
THIGH_LENGTH_M = 0.2
CALF_LENGTH_M = 0.2
FOOT_RADIUS_M = 0.02

# Masses, kg [urdf]; the calf includes its foot.
TRUNK_MASS_KG, HIP_MASS_KG, THIGH_MASS_KG, CALF_MASS_KG = 4.713, 0.696, 1.013, 0.226
TOTAL_MASS_KG = TRUNK_MASS_KG + 4 * (HIP_MASS_KG + THIGH_MASS_KG + CALF_MASS_KG)

# Mechanical limits, rad [urdf, menagerie], and what the motors can do [sheet].
JOINT_LOWER_RAD = _each_leg(-0.802851, -1.0472, -2.69653)
JOINT_UPPER_RAD = _each_leg(0.802851, 4.18879, -0.916298)
TORQUE_LIMIT_N_M = _each_leg(33.5, 33.5, 33.5)
MOTOR_SPEED_RAD_S = _each_leg(21.0, 21.0, 21.0)

# A measured speed above this is not the motors' doing alone: 28.6 rad/s is the [urdf] limit of thigh and calf.
OUT_OF_CONTROL_SPEED_RAD_S = _each_leg(28.6, 28.6, 28.6)

# The driver's position gain, and how near to the measured angle it keeps its targets [daydreamer].
STIFFNESS_N_M_RAD = _each_leg(80.0, 80.0, 80.0)
MAX_TARGET_ERROR_RAD = _each_leg(0.2, 0.2, 0.2)

# Ours, on the careful side; no source states limits.
TEMPERATURE_LIMIT_C = 70.0
BATTERY_LIMIT_FRACTION = 0.1

# Joint targets that the actions -1 and 1 stand for in the published task, rad [daydreamer]. Joint angles are observed
# and rewarded in units of this range: -1 and 1 are its ends.
RANGE_LOWER_RAD = _each_leg(-0.787, -0.995, -2.679)
RANGE_UPPER_RAD = _each_leg(0.787, 3.665, -1.628)

# Joint targets that the actions -1 and 1 stand for here. Calves reach further than published: under its weight the
# robot sags by 0.1 rad below what it is told, so that with the published range it cannot stand as the reward wants.
ACTION_LOWER_RAD = RANGE_LOWER_RAD
ACTION_UPPER_RAD = _each_leg(0.787, 3.665, -1.2)

# How far half-hearted actions reach around the stand pose: about what legs move by when they walk. [park]
NEAR_RAD = _each_leg(0.2, 0.4, 0.4)

# The pose that the reward asks for, in units of the range [daydreamer].
REWARD_STAND_POSE = _each_leg(0.0, -0.2, 1.0)

# Standing still with the trunk at 0.27 m, rad [menagerie].
STAND_POSE_RAD = _each_leg(0.0, 0.9, -1.8)
STAND_HEIGHT_M = 0.27

# Legs folded: lying on its belly as on its back the robot keeps its place, and from standing it sits down.
REST_POSE_RAD = _each_leg(0.0, 1.3, -2.6)

CONTROL_RATE_HZ = 20.0  # [daydreamer]
EPISODE_STEPS = 250  # [daydreamer]
GRAVITY_M_S2 = 9.81
