"""The actor: what it may do in a state, and how likely."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.models.layers import MLP
from daydreamer.models.transforms import sample_straight_through, unimix_probabilities
from daydreamer.models.world_model import WorldModel

NORMAL_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
"""The entropy of the standard normal distribution, in nats."""


def correlate(previous: Array, correlation: Array | float, key: Array) -> Array:
    """The next step of first-order autoregressive noise, standard normal at every step if `previous` is."""
    fresh = jax.random.normal(key, previous.shape)
    return correlation * previous + jnp.sqrt(1.0 - correlation**2) * fresh


class ActionSample(NamedTuple):
    """One draw from the actor.

    Attributes:
      action: `[..., size]`, the vector the model sees; continuous ones lie in [-1, 1].
      raw: `[..., size]`, before squashing; what the log-probability is of.
    """

    action: Array
    raw: Array


class ActorDistribution(NamedTuple):
    """Distribution over actions. Continuous: `mean`, `deviation`; discrete: `probabilities`; the other is None."""

    mean: Array | None
    deviation: Array | None
    probabilities: Array | None

    def sample(self, key: Array) -> ActionSample:
        """Reparametrised (continuous) or straight-through (discrete)."""
        if self.probabilities is not None:
            action = sample_straight_through(key, self.probabilities)
            return ActionSample(action, action)
        mean, _ = self._normal
        return self.at(jax.random.normal(key, mean.shape))

    def at(self, noise: Array) -> ActionSample:
        """The continuous action for standard normal noise `[..., size]`."""
        mean, deviation = self._normal
        raw = mean + deviation * noise
        return ActionSample(jnp.tanh(raw), raw)

    @property
    def mode(self) -> Array:
        """The likeliest of discrete actions, `[..., size]` one-hot."""
        assert self.probabilities is not None, "the actions are continuous"
        return jax.nn.one_hot(jnp.argmax(self.probabilities, -1), self.probabilities.shape[-1])

    def log_probability(self, raw: Array) -> Array:
        """`[...]` of the raw action, summed over dimensions; that of the squashed one differs by a constant."""
        if self.probabilities is not None:
            return jnp.sum(raw * jnp.log(self.probabilities), -1)
        mean, deviation = self._normal
        normalized = (raw - mean) / deviation
        return jnp.sum(-0.5 * normalized**2 - jnp.log(deviation) - 0.5 * jnp.log(2 * jnp.pi), -1)

    def entropy(self, raw: Array) -> Array:
        """`[...]` in nats, summed over dimensions, of the squashed action, estimated at one sample.

        The squashing counts (Haarnoja et al. 2018, appendix C): an actor that saturates loses entropy, and so is
        drawn back to where its gradient does not vanish.
        """
        if self.probabilities is not None:
            return -jnp.sum(self.probabilities * jnp.log(self.probabilities), -1)
        mean, deviation = self._normal
        noise = jax.lax.stop_gradient((raw - mean) / deviation)
        raw = mean + deviation * noise
        log_slope = 2.0 * (jnp.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))  # of tanh
        return jnp.sum(jnp.log(deviation) + NORMAL_ENTROPY + log_slope, -1)

    @property
    def _normal(self) -> tuple[Array, Array]:
        """Mean and deviation, which a continuous distribution has."""
        assert self.mean is not None and self.deviation is not None, "the actions are discrete"
        return self.mean, self.deviation


class Actor:
    """The policy network: features to a distribution over actions.

    Continuous actions are normal and squashed by tanh (Haarnoja et al. 2018); discrete ones are categorical with a
    share of uniform.
    """

    def __init__(self, world_model: WorldModel):
        self.space = world_model.spec.action
        self.model = model = world_model.config
        self._features = world_model.behavior_features
        size = world_model.action_size
        outputs = size if self.space.is_discrete else 2 * size
        self.network = MLP(model.actor_layers, model.units, outputs, output_scale=0.01)

    def initialize(self, key: Array, features: Array):
        return self.network.init(key, self._features(features))

    def __call__(self, parameters, features: Array) -> ActorDistribution:
        output = self.network.apply(parameters, self._features(features))
        if self.space.is_discrete:
            return ActorDistribution(None, None, unimix_probabilities(output, self.model.unimix))
        mean, deviation = jnp.split(output, 2, -1)
        minimum, maximum = self.model.minimum_deviation, self.model.maximum_deviation
        share = (self.model.initial_deviation - minimum) / (maximum - minimum)
        deviation = minimum + (maximum - minimum) * jax.nn.sigmoid(deviation + math.log(share / (1.0 - share)))
        return ActorDistribution(mean, deviation, None)

    def randomness(self, entropy: Array) -> Array:
        """Entropy on a scale on which 1 is the uniform distribution; 0 is one choice, or the minimum deviation."""
        if self.space.is_discrete:
            return entropy / math.log(self.space.classes)
        least = math.log(self.model.minimum_deviation) + NORMAL_ENTROPY
        return (entropy / self.space.size - least) / (math.log(2.0) - least)
