"""Figures of the Unitree Go2, each with unit and source. None of them has met a robot.

Sources: [urdf] unitreerobotics/unitree_ros, go2_description/urdf; [menagerie] google-deepmind/mujoco_menagerie,
unitree_go2; [example] unitreerobotics/unitree_sdk2_python, example/go2/low_level/go2_stand_example.py; [a1]
`daydreamer.robots.a1.constants`, where the Go2 has nothing of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daydreamer.contract.limits import JointLimits, MotorGains
from daydreamer.robots.quadruped.description import JointRange, Quadruped, constant, each_leg, front_and_rear

LIMITS = JointLimits(
    # Mechanical limits, rad, and what the motors can do [urdf]. The range of hind thighs lies 60 degrees further back
    # than that of front thighs. For calves, an older file beside the URDF has 35.55 N m and 20.06 rad/s.
    lower_rad=front_and_rear((-1.0472, -1.5708, -2.7227), (-1.0472, -0.5236, -2.7227)),
    upper_rad=front_and_rear((1.0472, 3.4907, -0.83776), (1.0472, 4.5379, -0.83776)),
    torque_n_m=each_leg(23.7, 23.7, 45.43),
    command_rate_rad_s=each_leg(30.1, 30.1, 15.7),
    # Ours: a third above what the motors can do, as with the [a1].
    velocity_rad_s=each_leg(40.0, 40.0, 21.0),
    # Stiffness of the [example]. How near to the measured angle the driver keeps its targets is ours: 18 N m, less than
    # any motor gives, and two fifths more than a knee needs when two legs carry the robot in its stand pose.
    gains=MotorGains(each_leg(60.0, 60.0, 60.0), each_leg(0.3, 0.3, 0.3)),
    # Ours, on the careful side; no source states limits.
    temperature_c=70.0,
    battery_fraction=0.1,
)

# That of the [a1], in which its task has been learned, but 0.05 rad short of a thigh's limit where that is nearer.
RANGE = JointRange(
    front_and_rear((-0.787, -0.995, -2.679), (-0.787, -0.47, -2.679)),
    front_and_rear((0.787, 3.44, -1.628), (0.787, 3.665, -1.628)),
)

GO2 = Quadruped(
    name="go2",
    # Geometry, m [urdf]. The middle of the foot lies 0.002 m behind the calf's axis, which is left out.
    hip_position_m=constant(
        [(0.1934, -0.0465, 0.0), (0.1934, 0.0465, 0.0), (-0.1934, -0.0465, 0.0), (-0.1934, 0.0465, 0.0)]
    ),
    thigh_offset_m=constant([-0.0955, 0.0955, -0.0955, 0.0955]),
    thigh_length_m=0.213,
    calf_length_m=0.213,
    foot_radius_m=0.022,
    trunk_size_m=constant((0.3762, 0.0935, 0.114)),
    head_m=constant([(0.1881, 0.0, 0.0), (0.335, 0.0, 0.01)]),
    mass_kg=6.921 + 4 * (0.678 + 1.152 + 0.241352),  # trunk, hip, thigh, calf with foot [menagerie]
    limits=LIMITS,
    joint_range=RANGE,
    action_lower_rad=RANGE.lower_rad,
    action_upper_rad=front_and_rear((0.787, 3.44, -1.2), (0.787, 3.665, -1.2)),  # calves further, as the [a1]'s
    near_rad=each_leg(0.2, 0.4, 0.4),  # [a1]
    reward_stand_pose=RANGE.normalise(each_leg(0.0, 0.869, -1.628)),  # [a1]
    stand_pose_rad=each_leg(0.0, 0.9, -1.8),  # [menagerie]
    stand_height_m=0.287,  # by kinematics; [menagerie] has 0.27, with the feet in the ground
    rest_pose_rad=each_leg(0.0, 1.36, -2.65),  # [example], hips straight
)

TWIN_OVERRIDES: Mapping[str, Any] = {
    "twin": {
        "stiffness_n_m_rad": float(LIMITS.gains.stiffness_n_m_rad[0]),
        "max_target_error_rad": float(LIMITS.gains.max_target_error_rad[0]),
        "damping_hip_n_m_s_rad": 2.0,
        "damping_upper_n_m_s_rad": 2.0,
        "damping_lower_n_m_s_rad": 2.0,
    }
}
"""Of the session's configuration: the twin's driver is the Go2's (`config/go2.yaml`).

Damping is that of the [a1]'s thighs and knees. The [example]'s is 5, which holds a pose; with the 18 N m that the
driver gives at most, it lets no joint get faster than 3.6 rad/s, too slow for steps.
"""
