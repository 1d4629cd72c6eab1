"""Unitree's low-level command for the Go2, `unitree_go/LowCmd`, and its checksum.

Field layout: unitreerobotics/unitree_ros2, unitree_go/msg/LowCmd.msg and MotorCmd.msg. The checksum is that of
`unitree_crc` over the message as a C structure in natural alignment, without the checksum itself: unitree_sdk2_python,
unitree_sdk2py/utils/crc.py. Works on any object with the message's fields, so that it needs no ROS. Motors are in the
order FR FL RR RL, each hip, thigh, calf. None of this has met a robot.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.unitree import (
    LOW_LEVEL,
    NO_POSITION_RAD,
    NO_VELOCITY_RAD_S,
    check_command,
    unitree_crc,
)

HEAD = (0xFE, 0xEF)
SERVO_MODE = 0x01

_HEADER = struct.Struct("<4B4IH2x")
_MOTOR = struct.Struct("<B3x5f3I")
_TAIL = struct.Struct("<4B55BxI")


def fill_low_command(
    message: Any, position_rad: np.ndarray | None, stiffness_n_m_rad: np.ndarray, damping_n_m_s_rad: np.ndarray
) -> Any:
    """Fills a new `unitree_go/LowCmd` and returns it.

    Args:
      message: with the fields' defaults.
      position_rad: `[12]` targets; None damps: no stiffness, and the damping against a velocity of zero.
      stiffness_n_m_rad, damping_n_m_s_rad: `[12]` gains.

    Raises:
      ValueError: a target or gain is not finite, or a gain is negative.
    """
    check_command(position_rad, stiffness_n_m_rad, damping_n_m_s_rad)
    message.head = list(HEAD)
    message.level_flag = LOW_LEVEL
    for index, motor in enumerate(message.motor_cmd):
        motor.mode, motor.q, motor.dq = SERVO_MODE, NO_POSITION_RAD, NO_VELOCITY_RAD_S
        motor.tau = motor.kp = motor.kd = 0.0
        if index >= JOINTS:
            continue
        motor.dq, motor.kd = 0.0, float(damping_n_m_s_rad[index])
        if position_rad is not None:
            motor.q, motor.kp = float(position_rad[index]), float(stiffness_n_m_rad[index])
    message.crc = low_command_crc(message)
    return message


def low_command_crc(message: Any) -> int:
    """Checksum of a `unitree_go/LowCmd`, whatever its field `crc` says."""
    header = _HEADER.pack(
        *message.head, message.level_flag, message.frame_reserve, *message.sn, *message.version, message.bandwidth
    )
    motors = b"".join(
        _MOTOR.pack(motor.mode, motor.q, motor.dq, motor.tau, motor.kp, motor.kd, *motor.reserve)
        for motor in message.motor_cmd
    )
    tail = _TAIL.pack(
        message.bms_cmd.off,
        *message.bms_cmd.reserve,
        *message.wireless_remote,
        *message.led,
        *message.fan,
        message.gpio,
        message.reserve,
    )
    return unitree_crc(header + motors + tail)
