"""Packets between a computer and the A1's motor controller, as Unitree's UDP SDK sends them at low level.

Commands have 610 bytes, states 771, little endian without padding. The public header (unitree_legged_sdk v3.2 and
v3.3.1, include/unitree_legged_sdk/comm.h) lists the fields; on the wire some of its floats are fixed-point numbers of
16 bits, which no public source says: it was found out by letting the SDK's own library (amd64) of both versions send
commands with known values, and read states. LowCmd:

| offset | bytes | field |
|---|---|---|
| 0 | 1 | levelFlag, 0xFF at low level |
| 1, 3, 5, 9 | 2, 2, 4, 1 | commVersion, robotID, SN, bandWidth |
| 10 + 27 i | 1 | motor i of 20, of which 12 exist: mode, 0x0A servo |
| | 4, 4 | q in rad, dq in rad/s, floats |
| | 2 | tau in 1/256 N m, signed |
| | 2, 2 | Kp in 1/32 N m/rad, Kd in 1/16 N m s/rad |
| | 12 | reserve |
| 550 | 12, 40 | brightness of four feet's lamps, remote control |
| 602, 606 | 4, 4 | reserve, CRC of the 604 bytes before (whole words only) |

LowState begins likewise:

| offset | bytes | field |
|---|---|---|
| 10 | 16, 12, 12 | IMU: quaternion w x y z, gyroscope in rad/s, accelerometer in m/s² |
| 50 | 12, 1 | roll pitch yaw in rad, temperature in °C |
| 63 + 32 i | 1, 4, 4 | motor i: mode, q in rad, dq in rad/s |
| | 2, 2 | ddq, estimated torque in 1/256 N m |
| | 4, 4, 2, 1, 8 | raw q, dq, ddq; temperature in °C; reserve |
| 703 | 8, 8, 4 | foot force, estimated foot force (raw sensor units), tick |
| 723 | 40, 4, 4 | remote control, reserve, CRC of the 764 bytes before |

Motors and feet are in the order of `description.JOINT_NAMES` and `FOOT_NAMES`. None of this has met a robot.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINTS
from daydreamer.robots.quadruped.unitree import (
    LOW_LEVEL,
    NO_POSITION_RAD,
    NO_VELOCITY_RAD_S,
    check_command,
    unitree_crc,
)

COMMAND_BYTES = 610
STATE_BYTES = 771
MOTORS = 20
SERVO_MODE = 0x0A

TORQUE_SCALE = 256.0
STIFFNESS_SCALE = 32.0
DAMPING_SCALE = 16.0

_HEADER = struct.Struct("<BHHIB")
_CRC = struct.Struct("<I")
_MOTOR_COMMAND = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("tau", "<i2"),
        ("kp", "<i2"),
        ("kd", "<i2"),
        ("reserve", "<u4", 3),
    ]
)
_MOTOR_STATE = np.dtype(
    [
        ("mode", "u1"),
        ("q", "<f4"),
        ("dq", "<f4"),
        ("ddq", "<i2"),
        ("tau", "<i2"),
        ("q_raw", "<f4"),
        ("dq_raw", "<f4"),
        ("ddq_raw", "<i2"),
        ("temperature", "i1"),
        ("reserve", "<u4", 2),
    ]
)
_IMU_OFFSET, _MOTORS_OFFSET, _FEET_OFFSET, _TICK_OFFSET = 10, 63, 703, 719


class BadPacket(ValueError):
    """Bytes that are not a packet: wrong length, level or checksum.

    Attributes:
      kind: which of these, without figures.
    """

    def __init__(self, kind: str, details: str = ""):
        super().__init__(f"{kind}{details}")
        self.kind = kind


@dataclass(frozen=True)
class LowState:
    """What the motor controller reports, in SI units.

    Attributes:
      joint_position_rad, joint_velocity_rad_s, joint_torque_n_m, temperature_c: `[12]`.
      orientation_wxyz: `[4]`.
      angular_velocity_rad_s, linear_acceleration_m_s2: `[3]`.
      foot_force: `[4]`, raw units of the pressure sensors.
      tick: the motor controller's own time, in a unit that is not known for certain; modulo 2^32.
    """

    joint_position_rad: np.ndarray
    joint_velocity_rad_s: np.ndarray
    joint_torque_n_m: np.ndarray
    temperature_c: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    linear_acceleration_m_s2: np.ndarray
    foot_force: np.ndarray
    tick: int


def encode_command(
    position_rad: np.ndarray | None, stiffness_n_m_rad: np.ndarray, damping_n_m_s_rad: np.ndarray
) -> bytes:
    """A LowCmd packet.

    Args:
      position_rad: `[12]` targets; None damps: no stiffness, and the damping against a velocity of zero.
      stiffness_n_m_rad, damping_n_m_s_rad: `[12]` gains.

    Raises:
      ValueError: a target or gain is not finite, negative, or too large for the packet.
    """
    check_command(position_rad, stiffness_n_m_rad, damping_n_m_s_rad, 32767 / STIFFNESS_SCALE, 32767 / DAMPING_SCALE)
    motors = np.zeros(MOTORS, _MOTOR_COMMAND)
    motors["mode"] = SERVO_MODE
    motors["q"], motors["dq"] = NO_POSITION_RAD, NO_VELOCITY_RAD_S
    joints = motors[:JOINTS]
    joints["dq"] = 0.0
    joints["kd"] = np.rint(damping_n_m_s_rad * DAMPING_SCALE)
    if position_rad is not None:
        joints["q"] = position_rad
        joints["kp"] = np.rint(stiffness_n_m_rad * STIFFNESS_SCALE)
    packet = _HEADER.pack(LOW_LEVEL, 0, 0, 0, 0) + motors.tobytes()
    packet += bytes(COMMAND_BYTES - _CRC.size - len(packet))
    return packet + _CRC.pack(unitree_crc(packet))


def decode_state(packet: bytes) -> LowState:
    """The content of a LowState packet.

    Raises:
      BadPacket: it is none.
    """
    if len(packet) != STATE_BYTES:
        raise BadPacket("of another length", f": {len(packet)} bytes instead of {STATE_BYTES}")
    (crc,) = _CRC.unpack_from(packet, STATE_BYTES - _CRC.size)
    if crc != unitree_crc(packet[: -_CRC.size]):
        raise BadPacket("with a wrong checksum")
    if packet[0] != LOW_LEVEL:
        raise BadPacket("not of low level", f": 0x{packet[0]:02X}")
    motors = np.frombuffer(packet, _MOTOR_STATE, JOINTS, _MOTORS_OFFSET)
    with np.errstate(invalid="ignore"):  # numpy warns of some kinds of NaN where it makes them wider
        imu = np.frombuffer(packet, "<f4", 10, _IMU_OFFSET).astype(np.float64)
        position_rad, velocity_rad_s = motors["q"].astype(np.float64), motors["dq"].astype(np.float64)
    return LowState(
        joint_position_rad=position_rad,
        joint_velocity_rad_s=velocity_rad_s,
        joint_torque_n_m=motors["tau"] / TORQUE_SCALE,
        temperature_c=motors["temperature"].astype(np.float64),
        orientation_wxyz=imu[:4],
        angular_velocity_rad_s=imu[4:7],
        linear_acceleration_m_s2=imu[7:10],
        foot_force=np.frombuffer(packet, "<i2", len(FOOT_NAMES), _FEET_OFFSET).astype(np.float64),
        tick=int.from_bytes(packet[_TICK_OFFSET : _TICK_OFFSET + 4], "little"),
    )
