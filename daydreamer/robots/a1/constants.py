"""Figures of the Unitree A1, each with unit and source.

Sources: [urdf] unitreerobotics/unitree_ros, a1_description; [menagerie] google-deepmind/mujoco_menagerie,
unitree_a1; [daydreamer] Wu et al. 2022, danijar/daydreamer; [sheet] Unitree A1 product sheet; [park] Smith et al.
2022, "A Walk in the Park" (arXiv:2208.07860).
"""

from __future__ import annotations

from daydreamer.contract.limits import JointLimits, MotorGains
from daydreamer.robots.quadruped.description import JointRange, Quadruped, constant, each_leg

# Masses, kg [urdf]; the calf includes its foot.
TRUNK_MASS_KG, HIP_MASS_KG, THIGH_MASS_KG, CALF_MASS_KG = 4.713, 0.696, 1.013, 0.226

# Joint targets that the actions -1 and 1 stand for in the published task, rad [daydreamer].
PUBLISHED_RANGE = JointRange(each_leg(-0.787, -0.995, -2.679), each_leg(0.787, 3.665, -1.628))

LIMITS = JointLimits(
    # Mechanical limits, rad [urdf, menagerie], and what the motors can do [sheet].
    lower_rad=each_leg(-0.802851, -1.0472, -2.69653),
    upper_rad=each_leg(0.802851, 4.18879, -0.916298),
    torque_n_m=each_leg(33.5, 33.5, 33.5),
    # What the motors can follow. Behind the control loop's filter it bites only where an action leaps across most of
    # the range, as random motions do, or after an interruption.
    command_rate_rad_s=each_leg(21.0, 21.0, 21.0),
    # A measured speed above this is not the motors' doing alone: the [urdf] limit of thigh and calf.
    velocity_rad_s=each_leg(28.6, 28.6, 28.6),
    # The driver's position gain, and how near to the measured angle it keeps its targets [daydreamer].
    gains=MotorGains(each_leg(80.0, 80.0, 80.0), each_leg(0.2, 0.2, 0.2)),
    # Ours, on the careful side; no source states limits.
    temperature_c=70.0,
    battery_fraction=0.1,
)

A1 = Quadruped(
    name="a1",
    # Geometry, m [urdf].
    hip_position_m=constant([(0.183, -0.047, 0.0), (0.183, 0.047, 0.0), (-0.183, -0.047, 0.0), (-0.183, 0.047, 0.0)]),
    thigh_offset_m=constant([-0.08505, 0.08505, -0.08505, 0.08505]),
    thigh_length_m=0.2,
    calf_length_m=0.2,
    foot_radius_m=0.02,
    trunk_size_m=constant((0.267, 0.194, 0.114)),
    head_m=constant([(0.1335, 0.0, 0.0), (0.23, 0.0, 0.02)]),
    mass_kg=TRUNK_MASS_KG + 4 * (HIP_MASS_KG + THIGH_MASS_KG + CALF_MASS_KG),
    limits=LIMITS,
    joint_range=PUBLISHED_RANGE,
    action_lower_rad=PUBLISHED_RANGE.lower_rad,
    # Calves reach further than published: under its weight the robot sags by 0.1 rad below what it is told, so that
    # with the published range it cannot stand as the reward wants.
    action_upper_rad=each_leg(0.787, 3.665, -1.2),
    near_rad=each_leg(0.2, 0.4, 0.4),  # about what legs move by when they walk [park]
    reward_stand_pose=each_leg(0.0, -0.2, 1.0),  # [daydreamer]
    stand_pose_rad=each_leg(0.0, 0.9, -1.8),  # [menagerie]
    stand_height_m=0.27,
    rest_pose_rad=each_leg(0.0, 1.3, -2.6),
)
