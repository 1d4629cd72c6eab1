"""Finds things in pictures by their colour, as cheaply as can be."""

from __future__ import annotations

import numpy as np

LEAST_LEVEL = 50
"""Of 255, of the colour that is looked for: below it is too dark to tell colours."""

TIMES_THE_OTHERS = 2.0
"""A colour that is so many times as bright as each of the other two."""


def coloured(picture: np.ndarray, channel: int) -> np.ndarray:
    """Which pixels `[height, width]` are red (0), green (1) or blue (2).

    Args:
      picture: `[height, width, 3]`, uint8, RGB.
    """
    level = picture[..., channel].astype(np.float32)
    others = np.delete(picture, channel, axis=-1).max(axis=-1)
    return (level >= LEAST_LEVEL) & (level > TIMES_THE_OTHERS * others)
