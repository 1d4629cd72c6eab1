"""Gravity and orientations, the same for every robot."""

from __future__ import annotations

import math

import numpy as np

GRAVITY_M_S2 = 9.81


def quaternion_heading_rad(w: float, x: float, y: float, z: float) -> float:
    """Heading of a quaternion of length one, on level ground: the turn about the world's up, from x towards y."""
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


def rotation_matrix(orientation_wxyz: np.ndarray) -> np.ndarray:
    """`[3, 3]` matrix of a quaternion, which need not be normalised; of one without a length it is the identity."""
    w, x, y, z = orientation_wxyz.tolist()
    squared = w * w + x * x + y * y + z * z
    s = 2.0 / squared if squared > 1e-300 else 0.0
    return np.array(
        (
            (1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)),
            (s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x)),
            (s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y)),
        )
    )
