"""Finds the post in the picture of the robot's own camera, and the robot in that of the camera above it, by colour."""

from __future__ import annotations

import numpy as np

from daydreamer.robots.burger.constants import ARENA_IN_PICTURE
from daydreamer.robots.colour import coloured

LEAST_MARKER_PIXELS = 4

NEAR_SHARE = 0.3
"""Of the picture's width: a post of 10 cm takes it up from 0.37 m on."""


def find_post(picture: np.ndarray) -> np.ndarray:
    """Where the red post is.

    Args:
      picture: `[height, width, 3]`, uint8, RGB, of the robot's own camera.

    Returns:
      `[3]`: whether it is seen, 0 or 1; its bearing, from 1 at the left edge to -1 at the right one; its nearness, from
      0 to 1, which is reached when it takes up `NEAR_SHARE` of the width. Zeros if it is not seen.
    """
    columns = np.flatnonzero(coloured(picture, 0).any(axis=0))
    if not len(columns):
        return np.zeros(3)
    width = picture.shape[1]
    bearing = 1.0 - (2.0 * columns.mean() + 1.0) / width
    return np.array((1.0, bearing, min(1.0, len(columns) / (NEAR_SHARE * width))))


def find_robot(picture: np.ndarray) -> np.ndarray | None:
    """Where the robot is, by the green marker on its top; `[2]` in arena units, right and down.

    Args:
      picture: `[64, 64, 3]`, uint8, RGB, of the camera above.

    Returns:
      None if it is not seen.
    """
    rows, columns = np.nonzero(coloured(picture, 1))
    if len(rows) < LEAST_MARKER_PIXELS:
        return None
    first, last = ARENA_IN_PICTURE
    return (np.array((columns.mean(), rows.mean())) + 0.5 - first) / (last - first)
