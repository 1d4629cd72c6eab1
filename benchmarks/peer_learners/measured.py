"""What our own networks are given of an observation, as one vector: all that is measured, and the hues of pictures."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np

from daydreamer.models.codecs import flatten_vectors, vector_size
from daydreamer.spec import Space


class Measured:
    """Makes vectors of observations, one by one or many at once, see `flatten_vectors`.

    Attributes:
      size: of a vector.
    """

    def __init__(self, spaces: Mapping[str, Space]):
        self.size = vector_size(spaces, hues=True)
        self._flatten = jax.jit(lambda observation: flatten_vectors(observation, spaces, hues=True))

    def __call__(self, observation: Mapping[str, np.ndarray]) -> np.ndarray:
        """`[..., size]` of what is there by key, `[..., *shape]`."""
        return np.asarray(self._flatten(dict(observation)))
