"""Finds the cube in the picture of the camera before and above the trays, by its colour."""

from __future__ import annotations

import numpy as np

from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.description import Table
from daydreamer.robots.colour import coloured

ABOVE = "above"
"""Signal of that camera: it sends on `above/image_raw`, or `above/image_raw/compressed`."""

LEAST_PIXELS = 4


def find_cube(picture: np.ndarray) -> np.ndarray | None:
    """Where the red cube is, `[2]` from 0 to 1, right and down.

    Args:
      picture: `[height, width, 3]`, uint8, RGB.

    Returns:
      None if it is not seen.
    """
    rows, columns = np.nonzero(coloured(picture, 0))
    if len(rows) < LEAST_PIXELS:
        return None
    height, width, _ = picture.shape
    return np.array(((columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height))


def side_of_cube(picture: np.ndarray, clear: float = 0.0) -> Side | None:
    """In which tray the cube is seen; in the picture left and right are exchanged.

    Args:
      picture: see `find_cube`.
      clear: of the picture's width, by which it must be beside the middle.

    Returns:
      None if it is not seen there.
    """
    found = find_cube(picture)
    if found is None or abs(found[0] - 0.5) < clear:
        return None
    return "left" if found[0] > 0.5 else "right"


def is_out_of_reach(table: Table, found: np.ndarray) -> bool:
    """Whether a cube that is seen at `found`, see `find_cube`, lies beyond the trays; what is nearer to the base than
    they are cannot be told from what is held high above them.
    """
    right, down = found
    return bool(down > table.beyond_down or abs(right - 0.5) > table.beyond_right - 0.5)
