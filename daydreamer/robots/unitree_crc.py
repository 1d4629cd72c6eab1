"""The checksum of Unitree's low-level packets."""

from __future__ import annotations

import zlib

import numpy as np

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


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
