"""One gradient step: the world model on replayed sequences, actor and critic in imagination."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from daydreamer import replay as replay_lib
from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.behavior.state import BehaviorState, ContinuedState
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.contract.task import Hindsight
from daydreamer.learner.devices import DeviceGroup
from daydreamer.models.requirements import require_learnable
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.policy.policy import acting_parameters, planning_parameters
from daydreamer.spec import RobotSpec

NORM_WARMUP_UPDATES = 100
"""Gradient norms are not judged before: they fall by orders of magnitude at the beginning."""
_NORM_RATE = 0.01  # of the running mean of their logarithm
_SMALLEST_NORM = 1e-20


class TrainState(NamedTuple):
    """Everything a gradient step reads and writes.

    Attributes:
      parameters: by network: encoder, rssm, decoder, outcome, actor, critic; projector, see `WorldModel`;
        members, see `models.members`.
      slow_critic: exponential average of the critic, for targets.
      optimizer: state of the optimizer.
      behavior: see `BehaviorState` and `ContinuedState`.
      key: of all randomness to come.
      updates: gradient steps applied.
      skipped: gradient steps not applied, see `Agent.update`.
      skipped_in_a_row: since the last one applied.
      usual_log_norm: running mean of the logarithm of the gradient norm.
    """

    parameters: dict[str, Any]
    slow_critic: Any
    optimizer: optax.OptState
    behavior: BehaviorState | ContinuedState
    key: Array
    updates: Array
    skipped: Array
    skipped_in_a_row: Array
    usual_log_norm: Array


def make_optimizer(config: LearnerConfig) -> optax.GradientTransformation:
    """LaProp (Ziyin et al. 2020) behind adaptive gradient clipping (Brock et al. 2021), a rate per network.

    LaProp is momentum over gradients that were first divided by their running RMS; epsilon can be tiny then.
    """

    def rate(learning_rate: float, delay: int = 0):
        schedule = optax.linear_schedule(0.0, learning_rate, max(1, config.warmup_updates), delay)
        return optax.scale_by_learning_rate(schedule)

    rates = {
        "model": rate(config.learning_rate),
        "actor": rate(config.actor_learning_rate, config.actor_delay_updates),
        "critic": rate(config.critic_learning_rate),
    }

    def labels(parameters):
        return {name: name if name in rates else "model" for name in parameters}

    return optax.chain(
        clip_by_unit(config.gradient_clip),
        optax.scale_by_rms(0.999, eps=1e-20, eps_in_sqrt=False, bias_correction=True),
        optax.ema(0.9, debias=True),
        optax.multi_transform(rates, labels),
    )


def clip_by_unit(clipping: float) -> optax.GradientTransformation:
    """Adaptive clipping (Brock et al. 2021) that takes every column of a block-diagonal kernel for a unit, too.

    Optax takes `[blocks, inputs, units]` for attention with several heads, and so each element for a unit.
    """
    clip = optax.adaptive_grad_clip(clipping)

    def as_matrix(array: Array) -> Array:
        return jnp.moveaxis(array, -2, 0).reshape(array.shape[-2], -1) if array.ndim == 3 else array

    def as_it_was(matrix: Array, array: Array) -> Array:
        if array.ndim != 3:
            return matrix
        blocks, inputs, units = array.shape
        return jnp.moveaxis(matrix.reshape(inputs, blocks, units), 0, -2)

    def update(gradient, parameters):
        clipped, _ = clip.update(
            jax.tree.map(as_matrix, gradient), optax.EmptyState(), jax.tree.map(as_matrix, parameters)
        )
        return jax.tree.map(as_it_was, clipped, gradient)

    return optax.stateless(update)


class Agent:
    """World model and behaviour of one robot; pure functions over `TrainState`.

    Attributes:
      devices: that make its gradient steps; train state and replay lie whole on each.
    """

    def __init__(
        self,
        spec: RobotSpec,
        model: ModelConfig,
        config: LearnerConfig,
        devices: DeviceGroup | None = None,
        hindsight: Hindsight | None = None,
    ):
        """Networks that have learned nothing.

        Args:
          devices: that divide the batch evenly; JAX's first without.
          hindsight: of the task, see there.

        Raises:
          ValueError: they cannot learn from what the robot observes, see `require_learnable`.
        """
        require_learnable(spec, model, config)
        self.devices = devices or DeviceGroup(jax.devices()[:1])
        self.spec = spec
        self.config = config
        self._hindsight = hindsight
        self.world_model = WorldModel(spec, model)
        self.actor_critic = ActorCritic(self.world_model, config, self.devices.divide)
        self.optimizer = make_optimizer(config)
        whole = self.devices.whole
        update = self._update if config.updates_per_dispatch == 1 else self._updates
        self.update = jax.jit(update, donate_argnums=0, in_shardings=whole, out_shardings=whole)

    @property
    def replayed_per_update(self) -> int:
        return self.config.batch_size * self.config.batch_length

    @property
    def imagined_per_update(self) -> int:
        return self.config.imagination_starts * self.config.imagination_horizon

    def initialize(self, seed: int) -> TrainState:
        """Fresh parameters and optimizer."""
        model_key, behavior_key, key = jax.random.split(jax.random.key(seed), 3)
        parameters = self.world_model.initialize(model_key) | self.actor_critic.initialize(behavior_key)
        return TrainState(
            parameters,
            jax.tree.map(jnp.copy, parameters["critic"]),  # a copy, because donated buffers must be distinct
            self.optimizer.init(parameters),
            self.actor_critic.initial_state(),
            jax.random.key_data(key),
            updates=jnp.zeros((), jnp.int32),
            skipped=jnp.zeros((), jnp.int32),
            skipped_in_a_row=jnp.zeros((), jnp.int32),
            usual_log_norm=jnp.zeros(()),
        )

    def policy_parameters(self, state: TrainState, plans: bool = False) -> dict[str, Any]:
        """What acting needs and nothing more; with plans that is nearly all there is."""
        if plans:
            return planning_parameters(state.parameters, state.slow_critic, state.behavior.returns)
        return acting_parameters(state.parameters)

    def loss(self, parameters, slow_critic, behavior: BehaviorState | ContinuedState, batch: Batch, key: Array):
        """Sum of all losses; see `WorldModel.loss` and `ActorCritic.loss`."""
        model_key, behavior_key = jax.random.split(key)
        model_loss, states, residuals, model_metrics = self.world_model.loss(parameters, batch, self.config, model_key)
        behavior_loss, behavior, behavior_metrics = self.actor_critic.loss(
            parameters, slow_critic, behavior, states, residuals, batch, behavior_key
        )
        total = model_loss + behavior_loss
        return total, (behavior, model_metrics | behavior_metrics | {"loss/total": total})

    def _update(self, state: TrainState, replay: replay_lib.ReplayState) -> tuple[TrainState, dict[str, Array]]:
        """One gradient step on a batch drawn from `replay`, left out if its result cannot be trusted.

        That is: loss, gradient or what would become of the state are not finite, or the gradient norm exceeds
        `gradient_explosion` times its usual value. Adaptive clipping bounds a single step already; but a bad batch
        also enters the momentum, and stays there.
        """
        key, sample_key, loss_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        config = self.config
        batch = replay_lib.sample(
            replay,
            self.spec,
            config.batch_size,
            config.batch_length,
            sample_key,
            recent_share=config.recent_share,
            recent_steps=max(1, self.spec.steps(config.recent_s)),
            mirrored=config.mirror and bool(self.spec.mirror),
            image_shift=config.image_shift,
            hindsight=self._hindsight,
            hindsight_share=config.hindsight_share,
        )
        batch = self.devices.divide(batch)
        gradient, (behavior, metrics) = jax.grad(self.loss, has_aux=True)(
            state.parameters, state.slow_critic, state.behavior, batch, loss_key
        )
        gradient_norm = optax.tree.norm(gradient)
        changes, optimizer = self.optimizer.update(gradient, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, changes)
        slow_critic = optax.incremental_update(parameters["critic"], state.slow_critic, self.config.slow_critic_rate)
        finite = jnp.isfinite(metrics["loss/total"]) & all_finite((parameters, behavior))
        usual_log_norm, exploded = self._judge_norm(gradient_norm, state)
        applied = finite & jnp.isfinite(gradient_norm) & ~exploded
        kept = (parameters, slow_critic, optimizer, behavior)
        previous = (state.parameters, state.slow_critic, state.optimizer, state.behavior)
        parameters, slow_critic, optimizer, behavior = jax.tree.map(
            lambda new, old: jnp.where(applied, new, old), kept, previous
        )
        metrics = metrics | {"gradient_norm": gradient_norm, "reward_replayed": batch.reward.mean()}
        new_state = TrainState(
            parameters,
            slow_critic,
            optimizer,
            behavior,
            jax.random.key_data(key),
            updates=state.updates + applied,
            skipped=state.skipped + ~applied,
            skipped_in_a_row=jnp.where(applied, 0, state.skipped_in_a_row + 1),
            usual_log_norm=usual_log_norm,
        )
        return new_state, metrics

    def _updates(self, state: TrainState, replay: replay_lib.ReplayState) -> tuple[TrainState, dict[str, Array]]:
        """Several gradient steps in one program, for a device that is faster than its host; metrics of the last."""
        state, metrics = jax.lax.scan(
            lambda state, _: self._update(state, replay), state, length=self.config.updates_per_dispatch
        )
        return state, jax.tree.map(lambda values: values[-1], metrics)

    def _judge_norm(self, gradient_norm: Array, state: TrainState) -> tuple[Array, Array]:
        """The new running mean of the logarithmic gradient norm, and whether this norm is an explosion.

        A norm beyond the limit enters the mean as the limit: a single one hardly moves it, but gradients that have
        become larger for good are let through in the end.
        """
        log_norm = jnp.log(gradient_norm + _SMALLEST_NORM)
        limit = state.usual_log_norm + jnp.log(self.config.gradient_explosion)
        judged = state.updates >= NORM_WARMUP_UPDATES
        rate = jnp.maximum(_NORM_RATE, 1.0 / (state.updates + 1.0))
        bounded = jnp.where(judged, jnp.minimum(log_norm, limit), log_norm)
        mean = state.usual_log_norm + rate * (bounded - state.usual_log_norm)
        return jnp.where(jnp.isfinite(mean), mean, state.usual_log_norm), judged & (log_norm > limit)


def all_finite(tree: Any) -> Array:
    """Whether every number in a tree of arrays is finite, `[]`."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()
