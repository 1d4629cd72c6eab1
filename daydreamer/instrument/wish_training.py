"""A policy that is trained for a wish in dreams alone: the model stays as it is, actor and critic learn anew.

It learns as in a session (`ActorCritic`), from the session's log: dreams start at its states, their measurements are
disturbed by what the model did not foresee there, and what was done in it is imitated where it led to more of the wish
than expected. The reward of each step, logged or dreamed, is the wished one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import optax
from jax import Array

from daydreamer import replay
from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.behavior.state import BehaviorState, ContinuedState
from daydreamer.config import LearnerConfig
from daydreamer.errors import UserError
from daydreamer.instrument.logged import LoggedSteps, random_key
from daydreamer.instrument.wishing import WishedReward, WishedWorldModel
from daydreamer.learner.agent import all_finite, make_optimizer

HORIZON_STEPS = 10
"""Imagined from each start: a wish has no value yet that could be reached in the five of a session."""
CONTINUED_SHARE = 0.5
"""This share of dreams goes on where others have ended: no robot will show what comes of a policy that overreaches."""
DELAY_UPDATES = 50
"""In which the critic learns alone."""


class Trained(NamedTuple):
    """What there is of a policy that is being trained.

    Attributes:
      networks: actor and critic, by name.
      slow_critic, optimizer, behavior: as of `TrainState`.
      key: of all randomness to come.
    """

    networks: dict[str, Any]
    slow_critic: Any
    optimizer: optax.OptState
    behavior: BehaviorState | ContinuedState
    key: Array


class WishTrainer:
    """Trains actor and critic for a wish.

    Attributes:
      state: as it is now.
    """

    def __init__(
        self,
        model: WishedWorldModel,
        reward: WishedReward,
        parameters: dict[str, Any],
        config: LearnerConfig,
        steps: LoggedSteps,
        seed: int = 0,
    ):
        """A fresh actor, which answers 0, and a fresh critic; the members that guard them are those of the model.

        Args:
          parameters: of the whole model, by network.
          config: of the session.
          steps: its log.
        """
        usual = LearnerConfig()
        self._config = config = msgspec.structs.replace(
            config,
            # What the session was to learn, and from whom, is not what is wished for.
            imagination_scale=usual.imagination_scale,
            imitation_scale=usual.imitation_scale,
            shown_scale=0.0,
            cloning_scale=0.0,
            plan_imitation_scale=0.0,
            imagination_horizon=HORIZON_STEPS,
            continued_share=CONTINUED_SHARE,
            actor_delay_updates=DELAY_UPDATES,
            warmup_updates=0,
            recent_share=0.0,
        )
        self._model, self._reward = model, reward
        self._actor_critic = ActorCritic(model, config)
        self._optimizer = make_optimizer(config)
        self._frozen = {name: value for name, value in parameters.items() if name not in ("actor", "critic")}
        networks = self._actor_critic.initialize(random_key(seed, 0))
        if "members" in networks:  # fresh ones would disagree about all there is
            networks["members"] = jax.tree.map(jnp.copy, parameters["members"])
        self.state = Trained(
            networks,
            jax.tree.map(jnp.copy, networks["critic"]),
            self._optimizer.init(networks),
            self._actor_critic.initial_state(),
            random_key(seed, 1),
        )
        count = jnp.int32(len(steps))
        self._log = replay.ReplayState(
            {name: jnp.asarray(each) for name, each in steps.rows.items()}, jnp.int32(0), count
        )
        self._update = jax.jit(self._step, donate_argnums=0)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the whole model, with the actor and critic that were trained."""
        return self._frozen | self.state.networks

    def train(self, gradient_steps: int, on_step: Callable[[int], object] = lambda done: None) -> None:
        """Makes so many gradient steps, and calls `on_step(done)` after each.

        Raises:
          UserError: the numbers have run away.
        """
        for done in range(1, gradient_steps + 1):
            self.state = self._update(self.state, self._frozen, self._log)
            jax.block_until_ready(self.state.key)  # what is told as done is done
            on_step(done)
        if not all_finite(self.state.networks):
            raise UserError("What was trained for the wish is not finite; wish for a reward that is smaller.")

    def _step(self, state: Trained, frozen: dict[str, Any], log: replay.ReplayState) -> Trained:
        key, sample_key, observe_key, loss_key = jax.random.split(state.key, 4)
        config, spec = self._config, self._model.spec
        batch = replay.sample(
            log, spec, config.batch_size, config.batch_length, sample_key, mirrored=config.mirror and bool(spec.mirror)
        )
        batch = batch._replace(reward=self._reward(batch.observation))
        observed = self._model.observe(frozen, batch, observe_key)
        residuals = self._model.residuals(observed, batch)

        def loss(networks: dict[str, Any]):
            total, behavior, _ = self._actor_critic.loss(
                frozen | networks, state.slow_critic, state.behavior, observed.states, residuals, batch, loss_key
            )
            return total, behavior

        gradient, behavior = jax.grad(loss, has_aux=True)(state.networks)
        changes, optimizer = self._optimizer.update(gradient, state.optimizer, state.networks)
        networks = optax.apply_updates(state.networks, changes)
        slow_critic = optax.incremental_update(networks["critic"], state.slow_critic, config.slow_critic_rate)
        return Trained(networks, slow_critic, optimizer, behavior, key)
