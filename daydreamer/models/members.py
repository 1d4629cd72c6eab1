"""Small models with nothing in common, by whose disagreement is known where experience says too little.

Heads on a common trunk agree where the trunk is wrong. These share nothing: each has weights of its own from the first
layer on, begins elsewhere, and learns from other steps.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.codecs import SMALLEST_DEVIATION, flatten_vectors, vector_size
from daydreamer.models.layers import MLP
from daydreamer.models.world_model import Batch, action_vector_size
from daydreamer.spec import RobotSpec

LAYERS = 2
FIRST_CHANGE = 0.1
"""Scale of what members predict before they have learned anything: it differs, and is not far from what happens."""
LEARNED_SHARE = 0.5
"""Of the steps, drawn for each member once and for all, that it learns from."""
USUAL_QUANTILE = 0.95
"""Of the replayed steps, on which members disagree less than by what is the unit of disagreement."""
_SMALLEST = 1e-6


class Members:
    """Predicts the next vector observation from the one before and the action, `count` times.

    Parameters are of one member along the first axis each.
    """

    def __init__(self, spec: RobotSpec, config: ModelConfig, count: int):
        """Members that are yet to be initialised, two or more; of a robot that measures something."""
        self.count = count
        self._spec = spec
        self._hues = config.hues
        size = vector_size(spec.observation, config.hues)
        self._inputs = size + action_vector_size(spec.action)
        self._network = MLP(LAYERS, config.units, size, output_scale=FIRST_CHANGE)

    def initialize(self, key: Array) -> Any:
        """Fresh parameters."""
        keys = jax.random.split(key, self.count)
        return jax.vmap(self._network.init, (0, None))(keys, jnp.zeros((1, self._inputs)))

    def loss(self, parameters: Any, batch: Batch) -> Array:
        """How far the members' predictions are from what happened, in units of what changes in a step; `[]`."""
        vector, action = self._before(batch)
        change = self._changes(parameters, vector, action) - self._change(batch)
        squared = jnp.square(change / self._unit(batch)).mean(-1)
        weight = self._learned_by(vector, action) * self._follows(batch)
        return (weight * squared).sum() / jnp.maximum(1.0, weight.sum())

    def usual_disagreement(self, parameters: Any, batch: Batch) -> Array:
        """The disagreement `[]` that `USUAL_QUANTILE` of the replayed steps stay below."""
        disagreement = self._disagreement(parameters, *self._before(batch), self._unit(batch))
        return jnp.quantile(disagreement, USUAL_QUANTILE)

    def excess(self, parameters: Any, batch: Batch, vector: Array, action: Array) -> Array:
        """By how many times the usual members disagree more than usual; 0 where they disagree less.

        Args:
          batch: the replayed sequences that say what is usual.
          vector: `[..., vector]`, symlog.
          action: `[..., action]`, as the model sees it.
        """
        usual = jax.lax.stop_gradient(self.usual_disagreement(parameters, batch))
        disagreement = self._disagreement(parameters, vector, action, self._unit(batch))
        return jnp.maximum(disagreement / jnp.maximum(usual, _SMALLEST) - 1.0, 0.0)

    def _disagreement(self, parameters: Any, vector: Array, action: Array, unit: Array) -> Array:
        """Deviation of the members' predictions `[...]`, root mean square over the elements."""
        variance = self._changes(parameters, vector, action).var(0)
        return jnp.sqrt((variance / jnp.square(unit)).mean(-1) + _SMALLEST**2)

    def _changes(self, parameters: Any, vector: Array, action: Array) -> Array:
        """What each member expects to change, `[members, ..., vector]`."""
        inputs = jnp.concatenate([vector, action], -1)
        return jax.vmap(self._network.apply, (0, None))(parameters, inputs)

    def _vectors(self, batch: Batch) -> Array:
        return flatten_vectors(batch.observation, self._spec.observation, self._hues)

    def _before(self, batch: Batch) -> tuple[Array, Array]:
        """Vectors and actions of all steps that another one comes after."""
        return self._vectors(batch)[:, :-1], batch.action[:, :-1]

    def _change(self, batch: Batch) -> Array:
        return jnp.diff(self._vectors(batch), axis=1)

    def _follows(self, batch: Batch) -> Array:
        """Whether the next step follows from each, `[batch, time - 1]`."""
        return 1.0 - batch.is_first[:, 1:]

    def _unit(self, batch: Batch) -> Array:
        """Root mean square of each element's change over the replayed steps, `[vector]`."""
        follows = self._follows(batch)
        squared = (jnp.square(self._change(batch)) * follows[..., None]).sum((0, 1))
        return jnp.maximum(jnp.sqrt(squared / jnp.maximum(1.0, follows.sum())), SMALLEST_DEVIATION)

    def _learned_by(self, vector: Array, action: Array) -> Array:
        """Whether each member learns from a step, `[members, ...]`: what is in it draws its lot, the same each time."""
        bits = jax.lax.bitcast_convert_type(jnp.concatenate([vector, action], -1), jnp.uint32)
        factors = np.random.default_rng(self._inputs).integers(1 << 32, size=self._inputs, dtype=np.uint32) | 1
        lot = (bits * factors).sum(-1, dtype=jnp.uint32)
        salts = np.arange(1, self.count + 1, dtype=np.uint32) * np.uint32(0x9E3779B9)
        mixed = _mix(lot ^ salts.reshape(-1, *[1] * lot.ndim))
        return (mixed < np.uint32(LEARNED_SHARE * 2**32)).astype(jnp.float32)


def _mix(bits: Array) -> Array:
    """Bits of which each depends on each of the 32 (the finaliser of MurmurHash3, Appleby)."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits ^ (bits >> 16)
