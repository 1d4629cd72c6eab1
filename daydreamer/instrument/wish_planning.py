"""A robot that is driven by planning in the model it has, for a reward that it has never learned.

Model predictive path integral control (Williams et al. 2017) over sequences of actions, with what the policy would do
among what is tried, as TD-MPC2 has it (Hansen et al. 2024). There is no critic of the wish: what comes after the
horizon does not count.
"""

from __future__ import annotations

import time
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array

from daydreamer.behavior.actor_critic import Actor, correlate
from daydreamer.errors import UserError
from daydreamer.instrument.wishing import WishedWorldModel
from daydreamer.models.rssm import LatentState, imagine_step
from daydreamer.policy.policy import Policy, PolicyState
from daydreamer.timing import LatencyStatistics

Proposal = Literal["policy", "none"]

HORIZON_S, SAMPLES, ITERATIONS = 0.6, 64, 2
PROPOSED_SHARE = 0.25
"""Of the first sequences that are tried, those that follow the policy; as many vary the action 0."""
SPREAD, SMALLEST_SPREAD = 0.5, 0.1
"""Deviations of what is tried from what was planned, before squashing: at first, and at least."""
PROPOSAL_SPREAD = 0.2
"""The same from the policy."""
ELITE_SHARE = 0.125
"""Of the sequences, the best, that the plan is made of."""
TEMPERATURE = 0.5
"""How much better one of them must be to count, in units of their deviation."""
CORRELATION = 0.8
"""Of the variations between two control steps."""


class Planned(NamedTuple):
    """What planning came to.

    Attributes:
      action: `[size]`, to be carried out.
      raw: `[horizon, size]`, all of the plan, before squashing.
      expected: mean reward of its elite.
    """

    action: Array
    raw: Array
    expected: Array


class WishPlanFunction:
    """The jitted planner of a wish.

    Attributes:
      nothing: the plan `[horizon, size]` with which to begin.
    """

    def __init__(
        self,
        model: WishedWorldModel,
        discount: float,
        *,
        proposal: Proposal = "policy",
        horizon_s: float = HORIZON_S,
        samples: int = SAMPLES,
        iterations: int = ITERATIONS,
    ):
        """A planner that imagines `samples` sequences at once, so many times.

        Raises:
          UserError: actions are discrete.
        """
        if model.spec.action.is_discrete:
            raise UserError("Plans vary actions by degrees, which discrete ones do not have; no wish can be planned.")
        self._model, self._discount = model, discount
        self._actor = Actor(model)
        self._samples, self._iterations = samples, iterations
        self._elites = max(2, round(ELITE_SHARE * samples))
        aside = max(1, round(PROPOSED_SHARE * samples))
        self._proposed, self._idle = (aside, aside) if proposal == "policy" else (0, 2 * aside)
        self.nothing = np.zeros((max(1, model.spec.steps(horizon_s)), model.action_size), np.float32)
        self.plan = jax.jit(self._plan)

    def _plan(self, parameters, latent: LatentState, previous: Array, key_data: Array) -> Planned:
        start = jax.tree.map(lambda x: jnp.broadcast_to(x[0], (self._samples, *x.shape[1:])), latent)
        centre = jnp.concatenate([previous[1:], previous[-1:]])
        spread = jnp.full_like(centre, SPREAD)
        for iteration, key in enumerate(jax.random.split(jax.random.wrap_key_data(key_data), self._iterations)):
            raw, returns = self._try(parameters, start, centre, spread, key, is_first=iteration == 0)
            best, index = jax.lax.top_k(returns, self._elites)
            weight = jax.nn.softmax((best - best[0]) / ((best.std() + 1e-6) * TEMPERATURE))
            elite = raw[:, index]
            centre = jnp.einsum("n,hna->ha", weight, elite)
            variance = jnp.einsum("n,hna->ha", weight, jnp.square(elite - centre[:, None]))
            spread = jnp.maximum(jnp.sqrt(variance), SMALLEST_SPREAD)
        return Planned(jnp.tanh(centre[0]), centre, weight @ best / len(centre))

    def _try(self, parameters, start: LatentState, centre: Array, spread: Array, key: Array, is_first: bool):
        """Sequences before squashing `[horizon, samples, size]`, and what each earns `[samples]`."""
        noise_key, chance_key = jax.random.split(key)
        noise = self._noise(noise_key, centre.shape)
        tried = centre[:, None] + spread[:, None] * noise
        proposed = self._proposed * is_first
        if is_first:
            about_nothing = slice(proposed, proposed + self._idle)
            tried = tried.at[:, about_nothing].set(SPREAD * noise[:, about_nothing])
        imagine = jax.vmap(
            lambda state, action, key: imagine_step(self._model.rssm, parameters["rssm"], state, action, key),
            in_axes=(0, 0, None),  # chance is the same for all, so that they differ by what is done
        )

        def step(state, inputs):
            raw, noise, key = inputs
            if proposed:
                mean = self._actor(parameters["actor"], state.features[:proposed]).mean
                raw = raw.at[:proposed].set(mean + PROPOSAL_SPREAD * noise[:proposed])
            state = imagine(state, jnp.tanh(raw), key)
            return state, (raw, state.features)

        keys = jax.random.split(chance_key, len(centre))
        _, (raw, features) = jax.lax.scan(step, start, (tried, noise, keys))
        reward, continues = self._model.outcomes(parameters, features)
        total = jnp.zeros(self._samples)
        for step_reward, step_continues in zip(reward[::-1], continues[::-1], strict=True):
            total = step_reward + self._discount * step_continues * total
        return raw, total

    def _noise(self, key: Array, shape: tuple[int, ...]) -> Array:
        """Standard normal `[horizon, samples, size]`, correlated in time; the first and the last sequence are varied by
        nothing, so that the policy itself and the plan itself are tried.
        """
        horizon, size = shape
        first_key, key = jax.random.split(key)

        def step(noise, key):
            return correlate(noise, CORRELATION, key), noise

        first = jax.random.normal(first_key, (self._samples, size))
        noise = jax.lax.scan(step, first, jax.random.split(key, horizon))[1]
        return noise.at[:, jnp.array([0, self._samples - 1])].set(0.0)


class WishState(NamedTuple):
    """What a wishing policy remembers between two steps.

    Attributes:
      policy: see `PolicyState`; its action is the one that was carried out.
      raw: `[horizon, size]`, see `Planned`.
    """

    policy: PolicyState
    raw: Any


class WishingPolicy:
    """Plans each step; for a `ControlLoop`.

    Attributes:
      version, created_wall_s: of the policy whose filter it uses.
      latency: of planning alone.
    """

    def __init__(self, policy: Policy, parameters: dict[str, Any], function: WishPlanFunction):
        """Plans with `parameters` of the whole model, whose filter and actor are those of `policy`."""
        self.version, self.created_wall_s = policy.version, policy.created_wall_s
        self.latency = LatencyStatistics()
        self._policy, self._parameters, self._function = policy, parameters, function

    def initial_state(self) -> WishState:
        """See `Policy.initial_state`; it begins without a plan."""
        return WishState(self._policy.initial_state(), self._function.nothing)

    def warm_up(self, observation: dict[str, np.ndarray]) -> None:
        """Plans once without counting, so that what there is to compile is compiled now."""
        self(observation, self.initial_state(), True)
        self.latency = LatencyStatistics()

    def __call__(
        self, observation: dict[str, np.ndarray], state: WishState, is_first: bool
    ) -> tuple[np.ndarray, WishState]:
        """See `Policy.__call__`.

        Raises:
          UserError: what is planned is no number.
        """
        _, following = self._policy(observation, state.policy, is_first)
        begin_s = time.perf_counter()
        planned = self._function.plan(self._parameters, following.latent, state.raw, following.key)
        action, raw = np.asarray(planned.action), np.asarray(planned.raw)
        self.latency.add(time.perf_counter() - begin_s)
        if not np.isfinite(action).all():
            raise UserError(
                "The reward is not finite where the model imagines the robot to go; keep what is under log, sqrt, / and "
                "** away from where they have no value, as max(x, 0.01) does."
            )
        # What the model is told was done must be what was.
        return action, WishState(following._replace(action=action[None]), raw)


def make_policy(parameters: dict[str, Any], model: WishedWorldModel, version: int, seed: int) -> Policy:
    """The policy of a checkpoint, which acts by its mean."""
    config = msgspec.structs.replace(model.config, acting_noise=0.0)
    return Policy(jax.device_put(parameters), model.spec, config, version, seed=seed)
