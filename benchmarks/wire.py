"""The robot's end of the wire, written out again: what a command says, byte by byte, and what a state may look like.

Nothing here uses the encoders and decoders of `daydreamer` and `ros_nodes`, which it is there to check.
"""

from __future__ import annotations

import dataclasses
import struct
import types

import numpy as np

JOINTS = 12
A1_COMMAND, A1_STATE = 610, 771
A1_MOTOR = np.dtype([("mode", "u1"), ("q", "<f4"), ("dq", "<f4"), ("rest", "<i2", 3), ("reserve", "V12")])
A1_MOTOR_STATE = np.dtype([("mode", "u1"), ("q", "<f4"), ("dq", "<f4"), ("rest", "V23")])
NO_POSITION = np.float32(2.146e9)

_CRC_TABLE = []
for _byte in range(256):
    _crc = _byte << 24
    for _ in range(8):
        _crc = (_crc << 1 ^ 0x04C11DB7 if _crc & 0x80000000 else _crc << 1) & 0xFFFFFFFF
    _CRC_TABLE.append(_crc)


@dataclasses.dataclass(frozen=True)
class MotorCommand:
    """What the motors were told.

    Attributes:
      position_rad: `[12]`; None where they are damped.
      faults: what is wrong with it apart from positions, in words; empty if nothing is.
    """

    position_rad: np.ndarray | None
    faults: tuple[str, ...]


def crc(data: bytes) -> int:
    """Unitree's checksum, a byte at a time."""
    value = 0xFFFFFFFF
    for start in range(0, len(data) // 4 * 4, 4):
        for byte in reversed(data[start : start + 4]):
            value = (value << 8 & 0xFFFFFFFF) ^ _CRC_TABLE[value >> 24 ^ byte]
    return value


def read_a1_command(
    packet: bytes, stiffness_n_m_rad: np.ndarray, damping_n_m_s_rad: np.ndarray, check_crc: bool
) -> MotorCommand:
    """What a packet says, whose gains should be these."""
    faults = []
    if len(packet) != A1_COMMAND or packet[0] != 0xFF:
        return MotorCommand(None, ("no LowCmd",))
    if check_crc and struct.unpack_from("<I", packet, 606)[0] != crc(packet[:604]):
        faults.append("checksum")
    motors = np.frombuffer(packet, A1_MOTOR, 20, 10)
    if (motors["mode"] != 0x0A).any():
        faults.append("mode")
    joints, others = motors[:JOINTS], motors[JOINTS:]
    if joints["dq"].any() or joints["rest"][:, 0].any() or others["rest"].any():
        faults.append("velocity or torque")
    return _judged(
        joints["q"], joints["rest"][:, 1] / 32, joints["rest"][:, 2] / 16, stiffness_n_m_rad, damping_n_m_s_rad, faults
    )


def read_go2_command(message, stiffness_n_m_rad: np.ndarray, damping_n_m_s_rad: np.ndarray) -> MotorCommand:
    """What a `unitree_go/LowCmd` tells the motors; its floats go over the wire with 32 bits."""
    motors = np.array([(m.mode, m.q, m.dq, m.tau, m.kp, m.kd) for m in message.motor_cmd]).astype(np.float32)
    joints, others = motors[:JOINTS], motors[JOINTS:]
    faults = []
    if (motors[:, 0] != 1).any() or list(message.head) != [0xFE, 0xEF] or message.level_flag != 0xFF:
        faults.append("mode")
    if joints[:, 2:4].any() or others[:, 3:].any():
        faults.append("velocity or torque")
    return _judged(joints[:, 1], joints[:, 4], joints[:, 5], stiffness_n_m_rad, damping_n_m_s_rad, faults)


def _judged(position, stiffness, damping, stiffness_n_m_rad, damping_n_m_s_rad, faults) -> MotorCommand:
    if (np.abs(damping - damping_n_m_s_rad) > 0.04).any():
        faults.append("damping")
    if (position == NO_POSITION).all():
        return MotorCommand(None, (*faults, "stiffness") if stiffness.any() else tuple(faults))
    if (np.abs(stiffness - stiffness_n_m_rad) > 0.02).any():
        faults.append("stiffness")
    return MotorCommand(position.astype(np.float64), tuple(faults))


def go2_command():
    """A `unitree_go/LowCmd` with every field zero, as generated code makes it."""
    zeros = types.SimpleNamespace
    return zeros(
        head=[0, 0],
        level_flag=0,
        frame_reserve=0,
        sn=[0, 0],
        version=[0, 0],
        bandwidth=0,
        motor_cmd=[zeros(mode=0, q=0.0, dq=0.0, tau=0.0, kp=0.0, kd=0.0, reserve=[0] * 3) for _ in range(20)],
        bms_cmd=zeros(off=0, reserve=[0] * 3),
        wireless_remote=[0] * 40,
        led=[0] * 12,
        fan=[0, 0],
        gpio=0,
        reserve=0,
        crc=0,
    )


def go2_state(position_rad: np.ndarray, velocity_rad_s: np.ndarray, imu: np.ndarray):
    """What the driver reads of a `unitree_go/LowState`; `imu` as in `a1_state`."""
    zeros = types.SimpleNamespace
    return zeros(
        motor_state=[
            zeros(q=q, dq=dq, temperature=40)
            for q, dq in zip(position_rad.tolist(), velocity_rad_s.tolist(), strict=True)
        ],
        imu_state=zeros(quaternion=imu[:4], gyroscope=imu[4:7], accelerometer=imu[7:]),
        foot_force=[0] * 4,
        bms_state=zeros(soc=80),
    )


def a1_state(position_rad: np.ndarray, velocity_rad_s: np.ndarray, imu: np.ndarray, tick: int) -> bytearray:
    """A LowState packet, without its checksum; `imu` `[10]` is quaternion, gyroscope and accelerometer."""
    packet = bytearray(A1_STATE)
    packet[0] = 0xFF
    packet[10:50] = imu.astype("<f4").tobytes()
    motors = np.zeros(20, A1_MOTOR_STATE)
    motors["q"][:JOINTS], motors["dq"][:JOINTS] = position_rad, velocity_rad_s
    packet[63:703] = motors.tobytes()
    struct.pack_into("<I", packet, 719, tick % 2**32)
    return packet


def read_message(cdr: bytes, forward_position: bool) -> list[float] | None:
    """Positions of a serialised command as rclpy hands it to DDS; None for damping.

    Raises:
      ValueError: it is neither.
    """
    if cdr[:4] != b"\0\1\0\0":
        raise ValueError("not little-endian CDR")
    body = cdr[4:]
    if forward_position:
        dimensions, offset, count = struct.unpack_from("<3I", body)
        if (dimensions, offset) != (0, 0):
            raise ValueError("a layout")
        return list(struct.unpack_from(f"<{count}d", body, 16))
    (length,) = struct.unpack_from("<I", body, 8)
    at = _aligned(12 + length, 4)
    (count,) = struct.unpack_from("<I", body, at)
    at += 4
    for _ in range(count):
        at = _aligned(at, 4)
        at += 4 + struct.unpack_from("<I", body, at)[0]
    fields = []
    for _ in range(3):
        at = _aligned(at, 4)
        (values,) = struct.unpack_from("<I", body, at)
        at += 4
        if values:
            at = _aligned(at, 8)
        fields.append(list(struct.unpack_from(f"<{values}d", body, at)))
        at += 8 * values
    position, velocity, effort = fields
    if count != JOINTS:
        raise ValueError("other joints")
    if not position and velocity == [0.0] * JOINTS and effort in ([], velocity):
        return None
    if velocity or effort:
        raise ValueError("velocities, or torques")
    return position


def _aligned(offset: int, size: int) -> int:
    return -(-offset // size) * size
