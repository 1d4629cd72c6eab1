"""Recurrent state-space model with categorical latents (Hafner et al. 2019, 2021, 2023) and a measured part.

What the robot measures as vectors (joints, attitude) is part of the state itself: taken from the observation where
there is one, predicted as a change from the step before where there is none. Actor, critic and reward so see joint
angles to the precision of the encoders from the first gradient step on, where a state that is only categorical has to
learn to spell them first: after 600 gradient steps on the A1 it still did not know them better than to 0.1 of their
range. The categorical part holds what the vectors do not tell: contact, chance, images.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.layers import INITIALIZER, BlockDense, output_initializer
from daydreamer.models.transforms import along, sample_straight_through, unimix_probabilities

VECTOR_LIMIT = 10.0
"""Predicted vector observations stay within this (symlog): a young model that feeds on itself does not blow up."""


class LatentState(NamedTuple):
    """State of the world model.

    Attributes:
      deterministic: `[..., deterministic]`, the recurrent memory; without memory `[..., vector + action]`, what was
        measured and done at the step before.
      stochastic: `[..., stochastic, classes]`, one-hot samples.
      vector: `[..., vector]`, all vector observations, symlog; measured or predicted; may be of size 0.
    """

    deterministic: Array
    stochastic: Array
    vector: Array

    @property
    def features(self) -> Array:
        """All parts side by side `[..., features]`, the input of every head."""
        flat = self.stochastic.reshape(*self.stochastic.shape[:-2], -1)
        return jnp.concatenate([self.deterministic, flat, self.vector], -1)


def mask(value, keep: Array):
    """Zeroes the entries of a pytree `[batch, ...]` where `keep` `[batch]` is 0."""
    return jax.tree.map(lambda x: x * along(keep, x), value)


class RSSM(nn.Module):
    """The networks of the recurrent state-space model; the loops over time are functions below."""

    config: ModelConfig
    vector_size: int
    action_size: int = 0

    @property
    def deterministic_size(self) -> int:
        """Elements of the recurrent state."""
        return self.config.deterministic if self.config.memory else self.vector_size + self.action_size

    def initial_state(self, batch_shape: tuple[int, ...]) -> LatentState:
        """The state before the first observation: zeros."""
        config = self.config
        return LatentState(
            jnp.zeros((*batch_shape, self.deterministic_size)),
            jnp.zeros((*batch_shape, config.stochastic, config.classes)),
            jnp.zeros((*batch_shape, self.vector_size)),
        )

    def setup(self):
        config = self.config
        latents = config.stochastic * config.classes
        dense = dict(use_bias=False, kernel_init=INITIALIZER)
        if config.memory:
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
        self.change_hidden = nn.Dense(config.units, **dense)
        self.change_norm = nn.RMSNorm(epsilon=1e-4)
        self.change_output = nn.Dense(self.vector_size, kernel_init=output_initializer(0.1))

    def __call__(self, state: LatentState, action: Array, embedding: Array):
        """Touches every parameter once; used for initialisation only."""
        deterministic = self.advance(state, action)
        prior, posterior = self.prior(deterministic), self.posterior(deterministic, self.embed(embedding))
        return prior, posterior, self.predict_vector(deterministic, state.stochastic, state.vector)

    def advance(self, state: LatentState, action: Array) -> Array:
        """Next deterministic state `[..., deterministic]`: a GRU whose recurrent matrix is block-diagonal."""
        config = self.config
        if not config.memory:
            return jnp.concatenate([state.vector, action], -1)
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

    def predict_vector(self, deterministic: Array, stochastic: Array, previous: Array) -> Array:
        """Vector observations `[..., vector]` that follow `previous`, from the two other parts of the new state.

        A robot that sees with cameras alone has none.
        """
        if self.vector_size == 0:
            return previous
        x = LatentState(deterministic, stochastic, previous).features
        x = nn.silu(self.change_norm(self.change_hidden(x)))
        return jnp.clip(previous + self.change_output(x), -VECTOR_LIMIT, VECTOR_LIMIT)

    def _probabilities(self, logits: Array) -> Array:
        config = self.config
        logits = logits.reshape(*logits.shape[:-1], config.stochastic, config.classes)
        return unimix_probabilities(logits, config.unimix)


def _begin_step(
    rssm: RSSM, parameters, state: LatentState, previous_action: Array, is_first: Array
) -> tuple[LatentState, Array]:
    """The state before, forgotten where an episode begins, and the deterministic state that follows from it."""
    state, previous_action = mask((state, previous_action), 1.0 - is_first.astype(jnp.float32))
    return state, rssm.apply(parameters, state, previous_action, method=RSSM.advance)


def observe_step(
    rssm: RSSM,
    parameters,
    state: LatentState,
    previous_action: Array,
    embedded: Array,
    vector: Array,
    is_first: Array,
    key: Array,
) -> LatentState:
    """Filters one observation.

    Args:
      state: `[batch]` states at the previous step.
      previous_action: `[batch, action]`, taken at the previous step.
      embedded: `[batch, hidden]` from `RSSM.embed`.
      vector: `[batch, vector]`, the vector observations, symlog.
      is_first: `[batch]`, 1 where an episode begins: state and action of the one before are forgotten.

    Returns:
      Posterior states `[batch]`.
    """
    _, deterministic = _begin_step(rssm, parameters, state, previous_action, is_first)
    probabilities = rssm.apply(parameters, deterministic, embedded, method=RSSM.posterior)
    return LatentState(deterministic, sample_straight_through(key, probabilities), vector)


class Observed(NamedTuple):
    """Sequences run through the model, every field `[batch, time, ...]`.

    Attributes:
      states: posterior states, or predicted ones where the observation was withheld.
      posterior, prior: latent probabilities with and without the observation.
      vector: predicted vector observations, symlog.
      open_loop: whether the state is a predicted one.
    """

    states: LatentState
    posterior: Array
    prior: Array
    vector: Array
    open_loop: Array


def observe(
    rssm: RSSM,
    parameters,
    embedding: Array,
    vector: Array,
    previous_action: Array,
    is_first: Array,
    key: Array,
    open_loop_share: float = 0.0,
) -> Observed:
    """Runs whole sequences through the model from the initial state.

    Args:
      embedding: `[batch, time, units]`.
      vector: `[batch, time, vector]`, the vector observations, symlog.
      previous_action: `[batch, time, action]`, the action before each observation.
      is_first: `[batch, time]`.
      open_loop_share: probability of each step that the state goes on from its own prediction. Training on such
        stretches teaches the model to stay true over the many steps that it is imagined for (Li et al. 2025, RWM).
    """
    embedded = rssm.apply(parameters, embedding, method=RSSM.embed)
    time_major = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (previous_action, embedded, vector, is_first))
    choice_key, key = jax.random.split(key)
    open_loop = jax.random.bernoulli(choice_key, open_loop_share, is_first.shape[::-1]) & (time_major[-1] == 0)
    keys = jax.random.split(key, embedding.shape[1])

    def step(state, inputs):
        previous_action, embedded, vector, is_first, open_loop, key = inputs
        state, deterministic = _begin_step(rssm, parameters, state, previous_action, is_first)
        prior = rssm.apply(parameters, deterministic, method=RSSM.prior)
        posterior = rssm.apply(parameters, deterministic, embedded, method=RSSM.posterior)
        stochastic = sample_straight_through(key, jnp.where(open_loop[:, None, None], prior, posterior))
        predicted = rssm.apply(parameters, deterministic, stochastic, state.vector, method=RSSM.predict_vector)
        state = LatentState(deterministic, stochastic, jnp.where(open_loop[:, None], predicted, vector))
        return state, Observed(state, posterior, prior, predicted, open_loop)

    _, outputs = jax.lax.scan(step, rssm.initial_state(embedding.shape[:1]), (*time_major, open_loop, keys))
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), outputs)


def imagine_step(rssm: RSSM, parameters, state: LatentState, action: Array, key: Array) -> LatentState:
    """Predicts the state after `action` without an observation.

    Gradients with respect to state and action pass through the deterministic and the vector part only: what passes
    straight through a sample that is nearly chance is noise.
    """
    deterministic = rssm.apply(parameters, state, action, method=RSSM.advance)
    probabilities = rssm.apply(parameters, deterministic, method=RSSM.prior)
    stochastic = jax.lax.stop_gradient(sample_straight_through(key, probabilities))
    vector = rssm.apply(parameters, deterministic, stochastic, state.vector, method=RSSM.predict_vector)
    return LatentState(deterministic, stochastic, vector)
