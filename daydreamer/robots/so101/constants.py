"""Figures of the SO-101 arm, and of the table that it works on, each with its unit and source.

Sources: [model] TheRobotStudio/SO-ARM100, Simulation/SO101/so101_new_calib.xml, Apache-2.0; [pads] its older sister's
finger pads in google-deepmind/mujoco_menagerie, trs_so_arm100; [servo] Feetech STS3215, data sheet of the 12 V version;
[bam] Rhoban's identification of the STS3215, whose friction and inertia [model] has. What says 'ours' was chosen here
and has moved no arm but the twin.
"""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.limits import JointLimits, MotorGains, WorkspaceBox
from daydreamer.robots.arm.cells import Grid
from daydreamer.robots.arm.description import Arm, Table
from daydreamer.robots.so101 import kinematics

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")  # [model]
PAN, WRIST_FLEX, GRIPPER = 0, 3, 5
"""Of these, the one that turns the arm about, the one that raises the gripper, and the one that moves the jaw."""

COUNTS_PER_TURN = 4096  # [servo]
COUNT_RAD = math.tau / COUNTS_PER_TURN

STALL_TORQUE_N_M = 2.94  # [servo]
STIFFNESS_N_M_RAD = 17.8
"""Of the servo's own control with its usual P of 32 [bam]: all its voltage at an error of 0.19 rad."""
BACKLASH_RAD = math.radians(0.5)  # [model], to either side

ARM_TORQUE_N_M = 2.0
"""That is asked for at most, beside what carries the arm: ours."""
GRIPPER_TORQUE_N_M = 0.5 * STALL_TORQUE_N_M
"""That the gripper's servo itself is limited to, as its owners' software does; it presses with some 18 N."""
EASED_TORQUE_N_M = 0.25 * STALL_TORQUE_N_M
"""That it is limited to once it has pressed for a while, see `easing`: what a servo can give for ever is a third of its
stall torque [servo]."""

ROOM_C, STALLED_C, WARMING_S = 25.0, 100.0, 200.0
"""Of a motor that has long done nothing, of one that has long given its stall torque, and about how long that takes:
ours, of the order of what the servo's owners see."""

MASSES = ((0.103, 0.0084, 0.0898), (0.104, 0.0981, 0.0032), (0.178, 0.0670, 0.0001))
"""Of what the shoulder, the elbow and the wrist carry, for `kinematics.carrying_torque_n_m` [model]."""

CLOSED_RAD, OPEN_RAD = -0.16, 0.70
"""Of the gripper: the jaws nearly touch; they are 6.8 cm apart [pads]."""
JAWS_MIDDLE_M = 0.0325
"""From the tool to the middle between the open jaws, towards the jaw that moves."""

# The table, ours. x is forward from the arm's base and y to its left; the base stands on the table. In it there are two
# trays side by side, whose sides slope inwards, so that a cube that is pushed up slides back.
CUBE_M = 0.03
SLOPE_HEIGHT_M = 0.032
"""Of the trays' sides, at 45 degrees."""
TRAY_X_M = (0.154, 0.226)
TRAY_Y_M = ((0.032, 0.128), (-0.128, -0.032))
"""Flat part of the left and of the right tray."""

TABLE = Table(
    cube_m=CUBE_M,
    tray_x_m=TRAY_X_M,
    left_tray_y_m=TRAY_Y_M[0],
    right_tray_y_m=TRAY_Y_M[1],
    slope_m=SLOPE_HEIGHT_M,
    # By 1.5 cm at least. The camera must be where it belongs within 3 cm.
    beyond_right=0.93,
    beyond_down=0.68,
)

GRID = Grid(
    x_m=(0.17, 0.21),
    # Two rows are over the right tray, two above the ridge, two over the left one; the jaw opens to the tool's left.
    y_m=(-0.1265, -0.0865, -0.0465, -0.0065, 0.0335, 0.0735),
    low_m=0.014,
    high_m=0.065,
    over_right=(0, 1),
    over_left=(4, 5),
)

TOOL_LOWER_M, TOOL_UPPER_M = np.array((0.13, -0.15, 0.010)), np.array((0.27, 0.10, 0.12))
"""Where the tool may be told to be. The pads reach 7.3 mm below it."""
TOOL_SPEED_M_S = 0.2  # ours

LIMITS = JointLimits(
    lower_rad=np.array((-1.9198, -1.7453, -1.69, -1.6580, -2.7438, -0.1745)),  # [model]
    upper_rad=np.array((1.9198, 1.7453, 1.69, 1.6580, 2.8412, 1.7453)),
    command_rate_rad_s=np.array((2.5, 2.5, 2.5, 2.5, 2.5, 3.5)),  # ours
    velocity_rad_s=np.full(6, 6.0),  # [servo]: 45 to 52 turns a minute without load
    torque_n_m=np.array((*(ARM_TORQUE_N_M,) * 5, STALL_TORQUE_N_M)),
    gains=MotorGains(np.full(6, STIFFNESS_N_M_RAD), np.full(6, math.inf)),
    temperature_c=60.0,  # ours; the servo lets go at 70 [servo]
    battery_fraction=-math.inf,
    workspace=WorkspaceBox(
        lower_m=TOOL_LOWER_M,
        upper_m=TOOL_UPPER_M,
        tool_position_m=kinematics.tool_position_m,
        joints_for_tool=kinematics.joints_for_tool,
        tool_joints=5,
        tool_speed_m_s=TOOL_SPEED_M_S,
    ),
)


def carried(setpoint_rad: np.ndarray) -> np.ndarray:
    """Targets `[6]` at which the servos, which are soft, have the weight of the arm in balance at a setpoint."""
    targets = np.array(setpoint_rad, np.float64)
    targets[1:4] += np.array(kinematics.carrying_torque_n_m(targets, MASSES)) / STIFFNESS_N_M_RAD
    return targets


READY_TOOL_M = np.array((0.19, -0.026, 0.075))
"""Above the middle of both trays."""
READY_RAD = np.array((*kinematics.downwards(READY_TOOL_M), OPEN_RAD))
REST_RAD = np.array((1.3, -1.70, 1.60, 1.0, 0.0, 0.0))
"""Folded upon itself beside the trays, the gripper just above the table, on which it sinks without torque: ours, near
where its owners leave it."""
LOWERING_RAD_S = 0.6
"""Mean speed of the joint that has farthest to go, on the way to rest before torque goes off: ours."""
LOWERING_REACH_RAD = 0.055
"""On that way, how far a joint's target is from where it is at most: what is in its way is pressed, beside the arm's
weight, with a third of the stall torque. Without anything in its way the twin's stay within 0.04: ours."""

ENDING_S = 15.0
"""That the driver takes at most to lay the arm down when it begins or ends: longer than the way to rest, see
`lowering`."""

STATE_PERIOD_S = 0.02
"""In which a bus at 1 Mbaud says all that six motors have to say, several times over."""

CAMERA_PERIOD_S, CAMERA_STALE_S = 0.1, 1.5

SO101 = Arm(
    name="so101",
    joints=JOINTS,
    limits=LIMITS,
    closed_rad=CLOSED_RAD,
    open_rad=OPEN_RAD,
    jaws_middle_m=JAWS_MIDDLE_M,
    tool_position_m=kinematics.tool_position_m,
    downwards=kinematics.downwards,
    points_m=kinematics.points_m,
    grid=GRID,
    table=TABLE,
)
