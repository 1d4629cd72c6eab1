"""Where in a picture each of six hues is, and how much of it: what a camera measures before anything is learned.

A cube of 3 cm is 40 of the 4,096 pixels of an arm's picture; a network that is taught to draw or to predict pictures
learns all else first. Means of places, weighted by how much of a colour is there, are what a spatial softmax (Levine et
al. 2016) computes of learned features; here the features are the corners of the colour cube, which nobody has to learn.
"""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

HUES = np.array([corner for corner in itertools.product((-1.0, 1.0), repeat=3) if len(set(corner)) > 1]) / math.sqrt(3)
"""Blue, green, cyan, red, magenta and yellow, as directions of RGB `[6, 3]`."""

NUMBERS = 3 * len(HUES)
"""Of one picture."""

SHARPNESS = 20.0
"""Of the weights: what is by 0.2 more of a hue, of the 0.9 that are possible, counts 55 times as much."""

SIDE = 2
"""Of the patches whose mean colour counts, in pixels."""

UNIT = 1 / 8
"""Of all numbers, of half a picture: beside joints that are observed in units of their ranges, what lies on a table
hardly moves in the picture of a camera that sees all of it, and what varies little is learned late."""

EXPOSURE, DARKEST = 0.5, 0.03
"""Mean that each picture is brought to, and the least that one is taken to have, of 1."""


def hue_places(image: Array) -> Array:
    """The measurement of pictures.

    Args:
      image: bytes `[..., height, width, 3]`, RGB, of even sides.

    Returns:
      `[..., NUMBERS]`, in `UNIT`: how far down each hue is, then how far right, from the middle of the picture to its
      edges, then how much of it there is, about half as much at most.
    """
    *batch_shape, height, width, channels = image.shape
    rows, columns = height // SIDE, width // SIDE
    patches = image.astype(jnp.float32).reshape(*batch_shape, rows, SIDE, columns, SIDE, channels).mean((-4, -2)) / 255
    exposure = jnp.maximum(patches.mean((-3, -2, -1), keepdims=True), DARKEST)
    logits = SHARPNESS * (patches * (EXPOSURE / exposure) - 0.5) @ HUES.T
    logits = logits.reshape(*batch_shape, rows * columns, len(HUES))
    down, right = (each.ravel() for each in np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j])
    weight = jax.nn.softmax(logits, -2)
    most = (jax.nn.logsumexp(logits, -2) - math.log(rows * columns)) / SHARPNESS
    places = [jnp.einsum("...ph,p->...h", weight, place) for place in (down, right)]
    return jnp.concatenate([*places, most], -1) / UNIT
