"""Figures of the TurtleBot3 Burger, and of the rooms that it learns in, each with its unit and source.

Sources: [urdf] turtlebot3_description, turtlebot3_burger.urdf; [manual] ROBOTIS e-manual, TurtleBot3; [node]
turtlebot3_node, its sources; [navigation] turtlebot3_navigation2, burger.yaml; [servo] ROBOTIS e-manual, XL430-W250;
[camera] Raspberry Pi camera module 2; [daydreamer] Wu et al. 2022, danijar/daydreamer, embodied/envs/sphero.py.
"""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.limits import TwistLimits

WHEEL_JOINTS = ("wheel_left_joint", "wheel_right_joint")  # [node]
WHEEL_RADIUS_M, WHEEL_SEPARATION_M = 0.033, 0.160  # [urdf, node]
AXLE_HEIGHT_M = WHEEL_RADIUS_M
BASE_LINK_HEIGHT_M = 0.010  # above the ground [urdf]

LIMITS = TwistLimits(
    forward_m_s=0.22,  # [manual]
    backward_m_s=0.22,
    turn_rad_s=2.84,  # [manual]
    acceleration_m_s2=1.0,  # ours; 2.5 in [navigation]. From 4.1 on it would stand on its wheels alone.
    turn_acceleration_rad_s2=3.2,  # [navigation]
    # It does not report the servos' temperature.
    temperature_c=math.inf,
    # BatteryState of [node] has the charge of its three cells; ROBOTIS beeps below 11 V, which is about this.
    battery_fraction=0.15,
)

STATE_PERIOD_S = 0.05
"""Of joint_states, odom and imu [node]."""

COMMAND_STEP = 0.01
"""m/s and rad/s: commands are cut off to whole hundredths on their way to the wheels [node]."""

WHEEL_SPEED_RAD_S = LIMITS.forward_m_s / WHEEL_RADIUS_M
"""Of a wheel at the fastest forward speed."""

TWIST_OF_WHEELS = WHEEL_RADIUS_M * np.array(((0.5, 0.5), (-1.0 / WHEEL_SEPARATION_M, 1.0 / WHEEL_SEPARATION_M)))
"""Forward speed in m/s and turn rate in rad/s of the speeds of the left and the right wheel in rad/s."""

WHEELS_OF_TWIST = np.linalg.inv(TWIST_OF_WHEELS)

STALL_TORQUE_N_M = 1.4
"""Of a wheel's servo at 11.1 V [servo]: tyres slip long before."""

CAMERA_STALE_S = 1.0
"""Of the camera that it carries, which sends 5 to 30 pictures a second: five that do not come."""

ABOVE_STALE_S = 1.5
"""Of a camera above the arena, whose pictures a policy at 2 Hz looks at."""

# The arena, and what DayDreamer's rolling robot had in its own [daydreamer]. In arena units (0, 0) is the upper left
# corner as the camera sees it, and (1, 1) the lower right one.
ARENA_M = 1.0
GOAL = (0.825, 0.165)
ARENA_IN_PICTURE = (4.0, 60.0)
"""Of 64: where the arena's edges are in rows and columns of the picture from above, at the height of the marker."""
KICKS, KICK_S, SETTLE_S = 5, 1.0, 1.0
"""Between two episodes each motor runs at full speed, in a direction that is drawn anew every second. The published
robot rolled on and had 4 s to come to rest."""
