"""The world model: encoder, recurrent state-space model, decoder, reward and continuation heads."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.codecs import (
    Decoder,
    Encoder,
    effective_rank,
    embedded_keys,
    flatten_vectors,
    image_keys,
    image_loss,
    redundancy_loss,
    vector_loss,
    vector_size,
)
from daydreamer.models.layers import INITIALIZER, MLP, output_initializer
from daydreamer.models.requirements import require_learnable
from daydreamer.models.rssm import RSSM, LatentState, Observed
from daydreamer.models.transforms import (
    categorical_entropy,
    categorical_kl,
    two_hot_bins,
    two_hot_loss,
    two_hot_mean,
)
from daydreamer.spec import RobotSpec, Space

Parameters = Any

DRAWN_SEQUENCES = 1
"""Of a batch, from which the decoder learns to draw pictures that are only for the eye."""


class Batch(NamedTuple):
    """Replayed sequences, every field `[batch, time, ...]`.

    Attributes:
      observation: by key.
      action: as a vector (one-hot if discrete), chosen at the observation beside it.
      reward: received on arriving at the observation beside it.
      is_first, is_last, is_terminal: 0 or 1. A step that is first does not follow from the one before it: an episode or
        an actor life begins, or steps between have been lost.
      by_policy: 0 or 1, whether the policy, or a plan of it, chose the action, and not a rhythm, chance or a person.
      shown: 0 or 1, whether an operator or a teacher did.
    """

    observation: dict[str, Array]
    action: Array
    reward: Array
    is_first: Array
    is_last: Array
    is_terminal: Array
    by_policy: Array
    shown: Array


class PredictionResiduals(NamedTuple):
    """What the model did not foresee of the vector observations.

    Attributes:
      vector: `[batch, time, vector]`, symlog, observed minus predicted from the step before.
      valid: `[batch, time]`, whether the step before was observed, too, and there was one.
    """

    vector: Array
    valid: Array


class OutcomeHead(nn.Module):
    """Reward (two-hot logits) and continuation (logit) from features, on a common trunk."""

    config: ModelConfig

    @nn.compact
    def __call__(self, features: Array) -> tuple[Array, Array]:
        x = MLP(self.config.head_layers, self.config.units)(features)
        reward_logits = nn.Dense(self.config.bins, kernel_init=output_initializer(0.0))(x)
        continue_logit = nn.Dense(1, kernel_init=output_initializer(1.0))(x)[..., 0]
        return reward_logits, continue_logit


def action_vector_size(action: Space) -> int:
    return action.classes if action.is_discrete else action.size


def to_action_vector(action: Array, space: Space) -> Array:
    """Logged actions `[..., *shape]` as the vectors the model sees `[..., size]`."""
    if space.is_discrete:
        return jax.nn.one_hot(action.astype(jnp.int32), space.classes)
    return action.reshape(*action.shape[: action.ndim - len(space.shape)], space.size)


class WorldModel:
    """Networks of the world model for one robot; pure functions of their parameters.

    Attributes:
      spec, config: of the robot and the networks.
      encoder, rssm, decoder, outcome: the networks.
      embedded_images: numbers of the embedding that say what the images show; 0 without cameras.
      embeds_images: images are learned by predicting their embedding, see `ModelConfig.image_loss`.
      projector: what does so.
      bins: of the rewards.
      action_size: elements of an action as the model sees it.
    """

    def __init__(self, spec: RobotSpec, config: ModelConfig):
        """Raises ValueError if they cannot learn from what the robot observes, see `require_learnable`."""
        require_learnable(spec, config)
        self.spec = spec
        self.config = config
        self.encoder = Encoder(spec.observation, config)
        self.action_size = action_vector_size(spec.action)
        self.rssm = RSSM(config, vector_size(spec.observation, config.hues), self.action_size)
        self.decoder = Decoder(spec.observation, config)
        self.embedded_images = config.image_units * len(embedded_keys(spec.observation, config))
        self.embeds_images = bool(self.embedded_images) and config.image_loss == "barlow"
        self.projector = nn.Dense(self.embedded_images, kernel_init=INITIALIZER)
        self.outcome = OutcomeHead(config)
        self.bins = two_hot_bins(config.bins, config.bin_limit)

    def behavior_features(self, features: Array) -> Array:
        """Of `[..., features]`, what actor, critic, reward and continuation see.

        What the robot measures of itself says nearly all there is to know about its state, and a critic that sees
        nothing else can be held against what really happened. Where the recurrent state drifts to in imagination it
        has never been in truth, and there a critic promises anything, and so does a reward head: along the plans of an
        A1's actor it promised up to 2.5 more than the reward's own formula gives for the same imagined measurements.
        Robots with cameras need all features, but those without memory, which have none that says more.
        """
        seen = self.config.memory and bool(image_keys(self.spec.observation))
        if self.config.acts_on_recurrent_state or seen:
            return features
        return features[..., -self.rssm.vector_size :]

    def _outcome_features(self, features: Array) -> Array:
        """Of `[..., features]`, what reward and continuation are expected of.

        Without memory that is what was measured and done before, and what chance has made of it, and not what is
        measured now: that says what has happened, from which is not to be learned what will.
        """
        return self.behavior_features(features) if self.config.memory else features[..., : -self.rssm.vector_size]

    def initialize(self, key: Array) -> dict[str, Parameters]:
        """Fresh parameters by network."""
        keys = jax.random.split(key, 4)
        observation = {k: jnp.zeros((1, *space.shape), space.dtype) for k, space in self.spec.observation.items()}
        state = self.rssm.initial_state((1,))
        vector = self.vectors(observation)
        encoder = self.encoder.init(keys[0], observation, vector)
        embedding = self.encoder.apply(encoder, observation, vector)
        parameters = {
            "encoder": encoder,
            "rssm": self.rssm.init(keys[1], state, jnp.zeros((1, self.action_size)), embedding),
            "decoder": self.decoder.init(keys[2], state.features),
            "outcome": self.outcome.init(keys[3], self._outcome_features(state.features)),
        }
        if self.embeds_images:
            parameters["projector"] = self.projector.init(jax.random.fold_in(keys[2], 1), state.features)
        return parameters

    def vectors(self, observation: dict[str, Array]) -> Array:
        """What observations `[..., *shape]` by key measure, `[..., vector]`, see `flatten_vectors`."""
        return flatten_vectors(observation, self.spec.observation, self.config.hues)

    def embed(self, parameters, observation: dict[str, Array], vector: Array | None = None) -> Array:
        """The embedding `[..., features]` of observations by key.

        Args:
          vector: what they measure, `[..., vector]`; None takes `vectors` of them. A dream knows it better than the
            pictures that it draws.
        """
        measured = self.vectors(observation) if vector is None else vector
        return self.encoder.apply(parameters["encoder"], observation, measured)

    def observe(self, parameters, batch: Batch, key: Array, open_loop_share: float = 0.0) -> Observed:
        """Replayed sequences run through the model, see `rssm.observe`."""
        embedding = self.embed(parameters, batch.observation)
        return self._observe(parameters, batch, embedding, key, open_loop_share)

    def _observe(self, parameters, batch: Batch, embedding: Array, key: Array, open_loop_share: float) -> Observed:
        vector = self.vectors(batch.observation)
        previous_action = jnp.concatenate([jnp.zeros_like(batch.action[:, :1]), batch.action[:, :-1]], 1)
        return rssm_lib.observe(
            self.rssm, parameters["rssm"], embedding, vector, previous_action, batch.is_first, key, open_loop_share
        )

    def measured(self, states: LatentState, batch: Batch) -> LatentState:
        """Posterior states `[batch, time]` with the vectors that were measured, also where they were withheld."""
        return states._replace(vector=self.vectors(batch.observation))

    def residuals(self, observed: Observed, batch: Batch) -> PredictionResiduals:
        """What one step's prediction from a state that has been measured did not foresee of the next."""
        vector = self.vectors(batch.observation)
        open_loop_before = jnp.pad(observed.open_loop[:, :-1], ((0, 0), (1, 0)))
        return PredictionResiduals(vector - observed.vector, (batch.is_first == 0) & ~open_loop_before)

    def loss(self, parameters, batch: Batch, config: LearnerConfig, key: Array):
        """World-model loss (Hafner et al. 2023, eq. 4-5).

        Returns:
          Scalar loss, posterior states `[batch, time, ...]`, residuals, and scalar metrics.
        """
        embedding = self.embed(parameters, batch.observation)
        observed = self._observe(parameters, batch, embedding, key, config.open_loop_share)
        states, prior, posterior = observed.states, observed.prior, observed.posterior
        dynamics_kl = categorical_kl(jax.lax.stop_gradient(posterior), prior)
        representation_kl = categorical_kl(posterior, jax.lax.stop_gradient(prior))
        vector = self.vectors(batch.observation)
        vector_nll, deviation = vector_loss(observed.vector, vector, 1.0 - batch.is_first)
        image, image_metrics = self._image_loss(parameters, batch, embedding, observed, config)
        reward_logits, continue_logit = self._outcome_logits(parameters, states.features)
        continues = 1.0 - batch.is_terminal
        losses = {
            "dynamics": config.dynamics_scale * jnp.maximum(dynamics_kl, config.free_nats),
            "representation": config.representation_scale * jnp.maximum(representation_kl, config.free_nats),
            "vector": config.vector_scale * vector_nll,
            "image": image,
            "reward": config.reward_scale * two_hot_loss(reward_logits, batch.reward, self.bins),
            "continue": config.continue_scale * binary_cross_entropy(continue_logit, continues),
        }
        metrics = {f"loss/{name}": jnp.mean(value) for name, value in losses.items()} | image_metrics
        metrics["model/vector_deviation"] = deviation
        metrics["model/kl"] = dynamics_kl.mean()
        metrics["model/prior_entropy"] = categorical_entropy(prior).mean()
        metrics["model/posterior_entropy"] = categorical_entropy(posterior).mean()
        predicted_reward = two_hot_mean(reward_logits, self.bins)
        metrics["model/reward_error"] = jnp.abs(predicted_reward - batch.reward).mean()
        residuals = self.residuals(observed, batch)
        return sum(jnp.mean(value) for value in losses.values()), states, residuals, metrics

    def _image_loss(self, parameters, batch: Batch, embedding: Array, observed: Observed, config: LearnerConfig):
        """What the images cost, `[batch, time]` or `[]`, and scalar metrics; nothing of either without images.

        Where an image was withheld from the model it is not asked to draw it: it would learn to draw the mean of all
        that might have been there.
        """
        if not image_keys(self.spec.observation):
            return jnp.zeros(()), {}
        seen, features, truth = 1.0 - observed.open_loop, observed.states.features, batch.observation
        if self.config.image_loss != "pixels":
            eye = slice(0, DRAWN_SEQUENCES)
            seen, truth = seen[eye], {key: truth[key][eye] for key in image_keys(self.spec.observation)}
            features = jax.lax.stop_gradient(features[eye])
        pixels, deviation = image_loss(self.decoder.apply(parameters["decoder"], features), truth, seen)
        if not self.embedded_images:
            return pixels.mean(), {"model/image_deviation": deviation}
        embedded = embedding[..., -self.embedded_images :]
        rank = effective_rank(jax.lax.stop_gradient(embedded))
        metrics = {"model/image_deviation": deviation, "model/image_rank": rank}
        if not self.embeds_images:
            return config.image_scale * pixels, metrics
        predicted = self.projector.apply(parameters["projector"], observed.states.features)
        return pixels.mean() + config.barlow_scale * redundancy_loss(predicted, embedded), metrics

    def outcomes(self, parameters, features: Array) -> tuple[Array, Array]:
        """Expected reward and probability to continue `[...]` at features `[..., features]`."""
        reward_logits, continue_logit = self._outcome_logits(parameters, features)
        return two_hot_mean(reward_logits, self.bins), nn.sigmoid(continue_logit)

    def _outcome_logits(self, parameters, features: Array) -> tuple[Array, Array]:
        return self.outcome.apply(parameters["outcome"], self._outcome_features(features))


def binary_cross_entropy(logit: Array, target: Array) -> Array:
    return jax.nn.softplus(logit) - target * logit
