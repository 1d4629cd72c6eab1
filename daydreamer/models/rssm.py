"""Recurrent state-space model with categorical latents (Hafner et al. 2019, 2021, 2023)."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.layers import INITIALIZER, BlockDense
from daydreamer.models.transforms import sample_straight_through, unimix_probabilities


class LatentState(NamedTuple):
    """State of the world model.

    Attributes:
      deterministic: `[..., deterministic]`, the recurrent memory.
      stochastic: `[..., stochastic, classes]`, one-hot samples.
    """

    deterministic: Array
    stochastic: Array

    @property
    def features(self) -> Array:
        """Both parts side by side `[..., deterministic + stochastic * classes]`, the input of every head."""
        flat = self.stochastic.reshape(*self.stochastic.shape[:-2], -1)
        return jnp.concatenate([self.deterministic, flat], -1)


def initial_state(config: ModelConfig, batch_shape: tuple[int, ...]) -> LatentState:
    """The state before the first observation: zeros."""
    return LatentState(
        jnp.zeros((*batch_shape, config.deterministic)),
        jnp.zeros((*batch_shape, config.stochastic, config.classes)),
    )


def mask(value, keep: Array):
    """Zeroes the entries of a pytree `[batch, ...]` where `keep` `[batch]` is 0."""
    return jax.tree.map(lambda x: x * keep.reshape(keep.shape + (1,) * (x.ndim - keep.ndim)), value)


class RSSM(nn.Module):
    """The networks of the recurrent state-space model; the loops over time are functions below."""

    config: ModelConfig

    def setup(self):
        config = self.config
        latents = config.stochastic * config.classes
        dense = dict(use_bias=False, kernel_init=INITIALIZER)
        self.core_input = nn.Dense(config.hidden, **dense)
        self.core_norm = nn.RMSNorm(epsilon=1e-4)
        self.core_gates = BlockDense(3 * config.deterministic // config.blocks)
        self.prior_hidden = nn.Dense(config.hidden, **dense)
        self.prior_norm = nn.RMSNorm(epsilon=1e-4)
        self.prior_output = nn.Dense(latents, kernel_init=INITIALIZER)
        self.posterior_state = nn.Dense(config.hidden, **dense)
        self.posterior_embedding = nn.Dense(config.hidden, **dense)
        self.posterior_norm = nn.RMSNorm(epsilon=1e-4)
        self.posterior_output = nn.Dense(latents, kernel_init=INITIALIZER)

    def __call__(self, state: LatentState, action: Array, embedding: Array):
        """Touches every parameter once; used for initialisation only."""
        deterministic = self.advance(state, action)
        return self.prior(deterministic), self.posterior(deterministic, self.embed(embedding))

    def advance(self, state: LatentState, action: Array) -> Array:
        """Next deterministic state `[..., deterministic]`: a GRU whose recurrent matrix is block-diagonal."""
        config = self.config
        x = nn.silu(self.core_norm(self.core_input(jnp.concatenate([state.features, action], -1))))
        blocks = state.deterministic.reshape(*state.deterministic.shape[:-1], config.blocks, -1)
        x = jnp.broadcast_to(x[..., None, :], (*blocks.shape[:-1], config.hidden))
        gates = self.core_gates(jnp.concatenate([blocks, x], -1))
        reset, candidate, update = jnp.split(gates, 3, -1)
        candidate = jnp.tanh(nn.sigmoid(reset) * candidate)
        update = nn.sigmoid(update - 1)  # starts out remembering
        return (update * candidate + (1 - update) * blocks).reshape(state.deterministic.shape)

    def prior(self, deterministic: Array) -> Array:
        """Predicted latent probabilities `[..., stochastic, classes]` without seeing the observation."""
        x = nn.silu(self.prior_norm(self.prior_hidden(deterministic)))
        return self._probabilities(self.prior_output(x))

    def embed(self, embedding: Array) -> Array:
        """The observation's share of the posterior's hidden layer, for all time steps at once."""
        return self.posterior_embedding(embedding)

    def posterior(self, deterministic: Array, embedded: Array) -> Array:
        """Latent probabilities `[..., stochastic, classes]` given the observation, see `embed`."""
        x = nn.silu(self.posterior_norm(self.posterior_state(deterministic) + embedded))
        return self._probabilities(self.posterior_output(x))

    def _probabilities(self, logits: Array) -> Array:
        config = self.config
        logits = logits.reshape(*logits.shape[:-1], config.stochastic, config.classes)
        return unimix_probabilities(logits, config.unimix)


def observe_step(
    rssm: RSSM, parameters, state: LatentState, previous_action: Array, embedded: Array, is_first: Array, key: Array
) -> tuple[LatentState, Array]:
    """Filters one observation.

    Args:
      state: `[batch]` states at the previous step.
      previous_action: `[batch, action]`, taken at the previous step.
      embedded: `[batch, hidden]` from `RSSM.embed`.
      is_first: `[batch]`, 1 where an episode begins: state and action of the one before are forgotten.

    Returns:
      Posterior states `[batch]` and their probabilities `[batch, stochastic, classes]`.
    """
    keep = 1.0 - is_first.astype(jnp.float32)
    state, previous_action = mask((state, previous_action), keep)
    deterministic = rssm.apply(parameters, state, previous_action, method=RSSM.advance)
    probabilities = rssm.apply(parameters, deterministic, embedded, method=RSSM.posterior)
    return LatentState(deterministic, sample_straight_through(key, probabilities)), probabilities


def observe(
    rssm: RSSM, parameters, embedding: Array, previous_action: Array, is_first: Array, key: Array
) -> tuple[LatentState, Array]:
    """Filters whole sequences from the initial state.

    Args:
      embedding: `[batch, time, units]`.
      previous_action: `[batch, time, action]`, the action before each observation.
      is_first: `[batch, time]`.

    Returns:
      Posterior states and probabilities, `[batch, time, ...]`.
    """
    embedded = rssm.apply(parameters, embedding, method=RSSM.embed)
    time_major = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (previous_action, embedded, is_first))
    keys = jax.random.split(key, embedding.shape[1])

    def step(state, inputs):
        state, probabilities = observe_step(rssm, parameters, state, *inputs)
        return state, (state, probabilities)

    start = initial_state(rssm.config, embedding.shape[:1])
    _, outputs = jax.lax.scan(step, start, (*time_major, keys))
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), outputs)


def imagine_step(rssm: RSSM, parameters, state: LatentState, action: Array, key: Array) -> LatentState:
    """Predicts the state after `action` without an observation."""
    deterministic = rssm.apply(parameters, state, action, method=RSSM.advance)
    probabilities = rssm.apply(parameters, deterministic, method=RSSM.prior)
    return LatentState(deterministic, sample_straight_through(key, probabilities))
