"""A camera's picture in the size that a policy sees, wherever it comes from.

The middle of the picture is kept, as wide and high as the wanted shape allows, and scaled by averaging.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

LARGEST_PIXELS = 16_000_000
"""Twice 4K. A compressed file of a few kilobytes can claim far more."""

_MODES = {1: "L", 3: "RGB", 4: "RGBX"}


def scaled(pixels: np.ndarray, shape: tuple[int, ...], aspect: float | None = None) -> np.ndarray:
    """The middle of `[h, w]` or `[h, w, channels]`, in the size of `shape`; `[height, width, channels]`.

    A picture of that size comes out as it is, to the bit.

    Args:
      pixels: uint8, of 1, 3 or 4 channels.
      aspect: width over height of what is shown, if the pixels are not square.
    """
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = pixels.shape
    wanted_height, wanted_width = shape[:2]
    # Above 1 the sides are cut off, below it top and bottom.
    excess = (width / height if aspect is None else aspect) / (wanted_width / wanted_height)
    kept_width, kept_height = width / max(excess, 1.0), height * min(excess, 1.0)
    if (height, width) == (wanted_height, wanted_width) == (kept_height, kept_width):
        return pixels
    image = Image.frombytes(_MODES[channels], (width, height), np.ascontiguousarray(pixels).tobytes())
    left, top = (width - kept_width) / 2, (height - kept_height) / 2
    box = (left, top, left + kept_width, top + kept_height)
    smaller = kept_width >= wanted_width and kept_height >= wanted_height
    method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
    result = np.asarray(image.resize((wanted_width, wanted_height), method, box=box))
    return result.reshape(wanted_height, wanted_width, channels)
