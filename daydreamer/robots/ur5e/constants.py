"""Figures of the UR5e with a Robotiq 2F-85, and of the table that it works on, each with its unit and source.

Sources: [ur] Universal Robots' UR5e user manual, its articles on Denavit-Hartenberg parameters and largest torques, as
UniversalRobots/Universal_Robots_ROS2_Description (BSD-3-Clause), config/ur5e, has them; [robotiq] Robotiq's data sheet
of the 2F-85, and PickNikRobotics/ros2_robotiq_gripper (BSD-3-Clause) for its joint; [iso] ISO 10218-1, reduced speed.
What says 'ours' was chosen here and has moved no arm but the twin.
"""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.limits import JointLimits, WorkspaceBox
from daydreamer.robots.arm.cells import Grid
from daydreamer.robots.arm.description import Arm, Table
from daydreamer.robots.ur5e import kinematics
from daydreamer.safety.limiter import POSITION_MARGIN_RAD

ARM_JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)  # [ur], in the order of its forward_position_controller
GRIPPER_JOINT = "robotiq_85_left_knuckle_joint"  # [robotiq]
JOINTS = (*ARM_JOINTS, GRIPPER_JOINT)
CONTROLLERS = {"forward_position_controller": ARM_JOINTS, "forward_gripper_controller": (GRIPPER_JOINT,)}
"""Of ros2_control, each of which forwards positions of its joints [ur]; that of the gripper by a name of ours."""

TORQUE_N_M = (150.0, 150.0, 150.0, 28.0, 28.0, 28.0)  # [ur]

STROKE_M = 0.085  # [robotiq]
CLOSED_RAD, OPEN_RAD = 0.7929, 0.0
"""Of the gripper's joint [robotiq]; between the two the fingers are taken to come nearer evenly."""
FINGER_M_RAD = STROKE_M / 2 / (CLOSED_RAD - OPEN_RAD)
"""By which each finger moves."""
GRIP_N = 40.0
"""With which each finger presses: ours, of the 20 to 235 that can be chosen [robotiq]."""
GRIPPER_FRICTION_N_M = 3.0
"""Of its joint, which so keeps what it holds when nobody moves it: ours; its gears do not turn backwards."""
GRIPPER_TORQUE_N_M = 2.0 * GRIP_N * FINGER_M_RAD + GRIPPER_FRICTION_N_M
GRIPPER_SPEED_RAD_S = 0.150 / STROKE_M * (CLOSED_RAD - OPEN_RAD)
"""Of fingers that close by 150 mm/s, the fastest [robotiq]."""

# The table, ours. x is forward from the arm's base and y to its left; the base stands on the table. In it there are two
# trays side by side, whose sides slope inwards by 45 degrees, so that a cube that is pushed up slides back.
CUBE_M = 0.045
TABLE = Table(
    cube_m=CUBE_M,
    tray_x_m=(0.3975, 0.5225),
    left_tray_y_m=(0.0575, 0.1825),
    right_tray_y_m=(-0.1825, -0.0575),
    slope_m=0.0575,
    # By 2 cm at least. The camera must be where it belongs within 4 cm.
    beyond_right=0.93,
    beyond_down=0.70,
)
GRID = Grid(
    x_m=(0.44, 0.48),
    # Two rows are over the right tray, four above the ridge, two over the left one.
    y_m=(-0.14, -0.10, -0.06, -0.02, 0.02, 0.06, 0.10, 0.14),
    low_m=0.022,
    high_m=0.105,
    over_right=(0, 1),
    over_left=(6, 7),
)

TOOL_LOWER_M, TOOL_UPPER_M = np.array((0.36, -0.20, 0.018)), np.array((0.56, 0.20, 0.25))
"""Where the tool may be told to be. The fingers reach 11 mm below it."""
TOOL_SPEED_M_S = 0.25  # [iso]

LIMITS = JointLimits(
    # Within the two turns that each joint has, and the one of the elbow [ur]: ours. Its elbow stays up, and a tool that
    # points at the table can be turned half around either way. The gripper can be told to be at both of its ends.
    lower_rad=np.array((-math.pi, -math.pi, 0.0, -math.pi, -math.pi, -math.pi, OPEN_RAD - POSITION_MARGIN_RAD)),
    upper_rad=np.array((math.pi, 0.0, math.pi, math.pi / 2, 0.0, math.pi, CLOSED_RAD + POSITION_MARGIN_RAD)),
    command_rate_rad_s=np.array((*(0.8,) * 6, GRIPPER_SPEED_RAD_S)),  # ours
    velocity_rad_s=np.array((*(math.pi,) * 6, 2.0 * GRIPPER_SPEED_RAD_S)),  # [ur]; and ours
    torque_n_m=np.array((*TORQUE_N_M, GRIPPER_TORQUE_N_M)),
    gains=None,  # its controller keeps them to itself, and stops by itself at a force
    # Ours: in the twin they lag by 0.07 at most. The gripper's fingers stay apart by what they hold.
    following_rad=np.array((*(0.1,) * 6, math.inf)),
    temperature_c=math.inf,  # ros2_control reports none; its controller looks after it
    battery_fraction=-math.inf,
    workspace=WorkspaceBox(
        lower_m=TOOL_LOWER_M,
        upper_m=TOOL_UPPER_M,
        tool_position_m=kinematics.tool_position_m,
        joints_for_tool=kinematics.joints_for_tool,
        tool_joints=6,
        tool_speed_m_s=TOOL_SPEED_M_S,
    ),
)

UR5E = Arm(
    name="ur5e",
    joints=JOINTS,
    limits=LIMITS,
    closed_rad=CLOSED_RAD,
    open_rad=OPEN_RAD,
    jaws_middle_m=0.0,
    tool_position_m=kinematics.tool_position_m,
    downwards=kinematics.downwards,
    points_m=kinematics.points_m,
    grid=GRID,
    table=TABLE,
)

READY_TOOL_M = np.array((0.46, 0.0, 0.16))
"""Above the middle of both trays."""
READY_RAD = np.array((*kinematics.downwards(READY_TOOL_M), OPEN_RAD))
REST_RAD = np.array((0.0, -1.9, 2.2, -0.3 + kinematics.DOWN_RAD, kinematics.DOWN_RAD, 0.0, OPEN_RAD))
"""Drawn back behind the trays, 20 cm above the table, where its brakes hold it: ours."""

STATE_RATE_HZ = 500.0  # [ur]
CAMERA_PERIOD_S, CAMERA_STALE_S = 0.1, 1.5
