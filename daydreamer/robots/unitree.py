"""What Unitree's low-level commands have in common: the values of some fields, what may be sent, and the checksum."""

from __future__ import annotations

import zlib

import numpy as np

LOW_LEVEL = 0xFF
NO_POSITION_RAD, NO_VELOCITY_RAD_S = 2.146e9, 16000.0
"""What the SDKs give motors that are not to move."""

_LARGEST = float(np.finfo(np.float64).max)
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def check_command(
    position_rad: np.ndarray | None,
    stiffness_n_m_rad: np.ndarray,
    damping_n_m_s_rad: np.ndarray,
    largest_stiffness_n_m_rad: float = _LARGEST,
    largest_damping_n_m_s_rad: float = _LARGEST,
) -> None:
    """Makes sure that targets (None damps) and gains `[joints]` can be sent.

    Raises:
      ValueError: one is not finite, or a gain is negative or above the largest.
    """
    for gains, largest in (
        (stiffness_n_m_rad, largest_stiffness_n_m_rad),
        (damping_n_m_s_rad, largest_damping_n_m_s_rad),
    ):
        if not np.all((gains >= 0) & (gains <= largest)):
            raise ValueError(f"gains out of range: {gains}")
    if position_rad is not None and not np.isfinite(position_rad).all():
        raise ValueError(f"not finite: {position_rad}")


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
