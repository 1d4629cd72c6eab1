"""What Unitree's low-level interfaces have in common: possible reports, possible commands, and the checksum."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np

from daydreamer.contract.limits import JointLimits

LOW_LEVEL = 0xFF
NO_POSITION_RAD, NO_VELOCITY_RAD_S = 2.146e9, 16000.0
"""What the SDKs give motors that are not to move."""

POSSIBLE_TURN_RAD = 7.0
"""An angle may be a whole turn outside its limits, where a zero is wrong, but no more."""
POSSIBLE_SPEED = 4.0
"""Multiple of `JointLimits.velocity_rad_s` beyond which no joint was ever measured."""
POSSIBLE_ANGULAR_VELOCITY_RAD_S = 40.0
"""Gyroscopes of this kind end at 2,000 degrees, which are 35 rad, a second."""
POSSIBLE_ACCELERATION_M_S2 = 200.0
"""Accelerometers end at 16 g, which are 157 m/s^2, in each direction."""
POSSIBLE_NORM = (0.9, 1.1)
"""Of a quaternion that was rounded on its way."""
POSSIBLE_TEMPERATURE_C = (-40.0, 125.0)
"""What sensors on a chip can say."""

_LARGEST = float(np.finfo(np.float64).max)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclasses.dataclass(frozen=True)
class DriverState:
    """What a robot reports; arrays as in `Measurement`, `foot_force` in the units of its sensors."""

    joint_position_rad: np.ndarray
    joint_velocity_rad_s: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    linear_acceleration_m_s2: np.ndarray
    foot_force: np.ndarray
    temperature_c: float
    battery_fraction: float | None = None


def impossible_joints(state: DriverState, limits: JointLimits) -> str | None:
    """What of the joints no encoder and no motor can say, in words; None if all is possible."""
    position_rad, velocity_rad_s = state.joint_position_rad, state.joint_velocity_rad_s
    if not (np.isfinite(position_rad).all() and np.isfinite(velocity_rad_s).all()):
        return "a joint's angle or velocity is not finite"
    turned_rad = np.maximum(limits.lower_rad - position_rad, position_rad - limits.upper_rad)
    if (turned_rad > POSSIBLE_TURN_RAD).any():
        return "a joint's angle is more than a whole turn outside its limits"
    if (np.abs(velocity_rad_s) > POSSIBLE_SPEED * limits.velocity_rad_s).any():
        return "a joint's velocity is beyond any motor's"
    return None


def impossible_imu(state: DriverState) -> str | None:
    """Likewise of the IMU."""
    # Not finite is not between any two numbers; np.hypot and the like would warn of overflows.
    if not (np.abs(state.angular_velocity_rad_s) <= POSSIBLE_ANGULAR_VELOCITY_RAD_S).all():
        return "an angular velocity is not finite, or beyond what a gyroscope can say"
    if not (np.abs(state.linear_acceleration_m_s2) <= POSSIBLE_ACCELERATION_M_S2).all():
        return "an acceleration is not finite, or beyond what an accelerometer can say"
    quaternion = state.orientation_wxyz
    if not (np.abs(quaternion) <= 2.0).all() or not POSSIBLE_NORM[0] <= np.linalg.norm(quaternion) <= POSSIBLE_NORM[1]:
        return "an orientation is no unit quaternion"
    return None


def check_command(
    position_rad: np.ndarray | None,
    stiffness_n_m_rad: np.ndarray,
    damping_n_m_s_rad: np.ndarray,
    largest_stiffness_n_m_rad: float = _LARGEST,
    largest_damping_n_m_s_rad: float = _LARGEST,
) -> None:
    """Makes sure that targets (None damps) and gains `[joints]` can be sent.

    Raises:
      ValueError: one is not finite as a 32-bit number, or a gain is negative or above the largest.
    """
    for gains, largest in (
        (stiffness_n_m_rad, largest_stiffness_n_m_rad),
        (damping_n_m_s_rad, largest_damping_n_m_s_rad),
    ):
        if not np.all((gains >= 0) & (gains <= largest)):
            raise ValueError(f"gains out of range: {gains}")
    if position_rad is not None and not (np.abs(position_rad) <= np.finfo(np.float32).max).all():
        raise ValueError(f"not finite, in a packet: {position_rad}")


def unitree_crc(data: bytes) -> int:
    """CRC-32/MPEG-2 (polynomial 0x04C11DB7, initially all ones, neither reflected nor inverted) of `data`.

    Taken over little-endian 32-bit words, each with its most significant bit first; a rest of less than a word is
    left out. Source: the SDK's crc32_core; unitree_sdk2_python, unitree_sdk2py/utils/crc.py.
    """
    words = np.frombuffer(data, "<u4", len(data) // 4)
    # zlib's CRC-32 is the same polynomial reflected and inverted; reflecting what goes in and what comes out turns one
    # into the other.
    reflected = zlib.crc32(words.astype(">u4").tobytes().translate(_REVERSED)) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
