"""What a Burger might say, for its tests."""

import numpy as np

from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    JOINT_VELOCITY,
    ODOMETRY_POSE,
    ODOMETRY_TWIST,
    Measurement,
)
from daydreamer.robots.burger.constants import TWIST_OF_WHEELS, WHEELS_OF_TWIST

GREY = np.full((64, 64, 3), 90, np.uint8)


def with_patch(rows, columns, colour):
    picture = GREY.copy()
    picture[rows, columns] = colour
    return picture


def measured(twist=(0.0, 0.0), picture=GREY, turn_rad_s=None, wheels_rad_s=None, pose=(0.0, 0.0, 0.0), time_s=0.0):
    """Of a robot that moves as it says, unless told otherwise."""
    wheels_rad_s = WHEELS_OF_TWIST @ np.array(twist) if wheels_rad_s is None else np.array(wheels_rad_s)
    twist = TWIST_OF_WHEELS @ wheels_rad_s
    values = {
        JOINT_VELOCITY: wheels_rad_s,
        ANGULAR_VELOCITY: np.array((0.0, 0.0, twist[1] if turn_rad_s is None else turn_rad_s)),
        ODOMETRY_TWIST: twist,
        ODOMETRY_POSE: np.array(pose),
        CAMERA: picture,
    }
    return Measurement(time_s, values, {CAMERA: time_s})
