"""Policies inside a world model: whole rollouts from logged states, at once, with what the model does not foresee."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.errors import UserError
from daydreamer.instrument.logged import LoggedSteps, find_readouts, random_key
from daydreamer.learner.learned import Learned
from daydreamer.models.codecs import split_vectors, vector_size
from daydreamer.models.rssm import LatentState, imagine_step
from daydreamer.models.transforms import symexp
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.policy.policy import Policy, PolicyFunction, PolicyState

SETTLED_SHARE = 0.25
"""Of a stretch of the log, at its beginning, at which the model does not know yet what it is in."""
NEIGHBOURS = 4
"""So many of the log's moments, the nearest of another time, say how densely a moment's surroundings are known."""
OTHER_TIME_S = 2.0
"""Between moments that are not the same for the robot."""
FAR_QUANTILE = 0.95
"""Of the novelty of the log's own moments: beyond it is where nobody has been."""
PARTS = 8
"""Of the log's moments, at random, only one of which is looked at in a step. Else a robot at rest would be disturbed by
the same moment at each, and drift."""
_SMALLEST_DEVIATION = 1e-3
_OBSERVE, _FILTER, _DREAM = range(3)


class Experience(NamedTuple):
    """Moments of the log, in random order: what the robot measured and did, and what came that was not foreseen.

    Attributes:
      situation: `[moments, vector + action]`, in units of `deviation`.
      residual: `[moments, vector]`, symlog, observed minus predicted at the next step.
      spacing: `[moments]`, mean distance to the nearest `NEIGHBOURS`. A distance in units of it is a novelty.
      deviation: `[vector + action]`, over the log.
      lowest, highest: `[vector]`, symlog, that was ever measured.
    """

    situation: Array
    residual: Array
    spacing: Array
    deviation: Array
    lowest: Array
    highest: Array


class Starts(NamedTuple):
    """From where dreams start.

    Attributes:
      state: `[starts]`, of the model after the context.
      context: `[starts, time]`, what came before, see `Batch`.
    """

    state: LatentState
    context: Batch


class Rollouts(NamedTuple):
    """What a policy came to inside the model, `[horizon, starts, ...]`.

    Attributes:
      reward: expected, on arriving.
      alive: `[horizon + 1, starts]`, probability that the episode has not ended before; the last of after all steps.
      vector: what the robot would measure, in the units of the observation.
      novelty: distance to the nearest moment of the log, in units of how far such moments are from each other.
    """

    reward: np.ndarray
    alive: np.ndarray
    vector: np.ndarray
    novelty: np.ndarray


class DreamWorld:
    """A world model as a place for policies to act in.

    The model predicts means; a world in which they come true is calmer than the one there is. So every imagined step
    is disturbed by what the model did not foresee at the moment of the log that is most like it.

    Attributes:
      session: whose model it is.
      starts: from where.
      begins_apart: whether that is not anywhere in the log.
      readouts: what can be told of an imagined measurement, by quantity.
      experience: the log, as far as it is compared with.
      far: a greater novelty than this is of situations that are unlike all of the log.
    """

    def __init__(
        self,
        learned: Learned,
        steps: LoggedSteps,
        windows: np.ndarray,
        length: int,
        seed: int = 0,
        known: np.ndarray | None = None,
    ):
        """Starts at the ends of stretches of `length` steps.

        Args:
          windows: where they begin, `[starts]`.
          known: where those begin that stand for all of the log, `[stretches]`; the same ones if None.
        """
        self.session = learned.session
        self.begins_apart = known is not None
        self.readouts = find_readouts(steps)
        self._model = learned.agent.world_model
        self._parameters = jax.device_put(learned.parameters)
        self._seed = seed
        observe = functools.partial(jax.jit(_observe, static_argnums=0), self._model, self._parameters)
        context = steps.batch(windows, length)
        state, *moments = observe(context, random_key(seed, _OBSERVE))
        self.starts = Starts(state, context)
        if known is None:
            known = windows
        else:
            _, *moments = observe(steps.batch(known, length), random_key(seed, _OBSERVE))
        times = known[:, None] + np.arange(length)[-1 - moments[0].shape[1] : -1]
        unique = np.unique(times, return_index=True)[1]  # stretches may overlap
        chosen = np.random.default_rng(seed).permutation(unique)[: len(unique) // PARTS * PARTS]
        situation, residual = (np.asarray(values).reshape(-1, values.shape[-1])[chosen] for values in moments)
        other_time = steps.spec.steps(OTHER_TIME_S)
        self.experience, self.far = _experience(situation, residual, times.ravel()[chosen], other_time, steps)
        self._run = jax.jit(_roll_out, static_argnums=(0, 1, 2))

    @property
    def count(self) -> int:
        """How many starts there are."""
        return len(self.starts.context.reward)

    def run(self, policy: Policy, horizon: int) -> Rollouts:
        """Lets a policy act for `horizon` steps from every start; the same chance for each policy.

        Raises:
          UserError: what the model predicts is not finite.
        """
        keys = jax.random.key_data(jax.random.split(random_key(self._seed, _FILTER), self.count))
        first = policy.function.initial_state(np.asarray(keys[0]))
        remembered = jax.tree.map(lambda values: np.repeat(values[None], self.count, 0), first)._replace(key=keys)
        result = self._run(
            self._model,
            policy.function,
            horizon,
            self._parameters,
            policy.parameters,
            self.starts,
            self.experience,
            remembered,
            random_key(self._seed, _DREAM),
        )
        rollouts = Rollouts(*map(np.asarray, result))
        if not all(np.isfinite(values).all() for values in rollouts):
            raise UserError(f"What the model predicts of policy {policy.version} is not finite; use another session.")
        return rollouts


def _observe(model: WorldModel, parameters: Any, context: Batch, key: Array) -> tuple[LatentState, Array, Array]:
    """The states at the ends; situations and what followed that was not foreseen, `[starts, moments, ...]`."""
    observed = model.observe(parameters, context, key)
    vector = model.vectors(context.observation)
    settled = max(1, round(SETTLED_SHARE * vector.shape[1]))
    situation = jnp.concatenate([vector, context.action], -1)[:, settled - 1 : -1]
    state = jax.tree.map(lambda values: values[:, -1], observed.states)
    return state, situation, (vector - observed.vector)[:, settled:]


def _experience(
    situation: np.ndarray, residual: np.ndarray, times: np.ndarray, other_time: int, steps: LoggedSteps
) -> tuple[Experience, float]:
    """The moments `[moments, ...]`, and the novelty beyond which a situation is unlike all of them.

    Args:
      times: `[moments]`, in steps.
      other_time: steps between moments that are not the same for the robot.
    """
    deviation = np.maximum(situation.std(0), _SMALLEST_DEVIATION)
    situation = situation / deviation
    distances = np.array(_distances(situation, situation))
    distances[np.abs(times[:, None] - times) < other_time] = np.inf
    count = min(NEIGHBOURS, len(times))
    spacing = np.partition(distances, count - 1, 1)[:, :count].mean(1)
    known = np.isfinite(spacing)
    spacing = np.where(known, np.maximum(spacing, _SMALLEST_DEVIATION), _SMALLEST_DEVIATION)
    novelty = (distances.min(1) / spacing[distances.argmin(1)])[known]
    measured = steps.vectors()
    measured = np.sign(measured) * np.log1p(np.abs(measured))
    hues = (situation * deviation)[:, measured.shape[1] : residual.shape[1]]
    lowest, highest = (np.concatenate((end(measured, 0), end(hues, 0))) for end in (np.min, np.max))
    parts = (situation, residual, spacing, deviation, lowest, highest)
    experience = Experience(*(jnp.asarray(values, jnp.float32) for values in parts))
    far = float(np.quantile(novelty, FAR_QUANTILE)) if known.any() else 0.0
    return experience, far


def _distances(situation: Array | np.ndarray, moments: Array | np.ndarray) -> Array:
    """Root mean square over elements, `[..., moments]`, of `[..., elements]` to `[moments, elements]`."""
    squared = jnp.square(situation).sum(-1)[..., None] + jnp.square(moments).sum(-1) - 2.0 * situation @ moments.T
    return jnp.sqrt(jnp.maximum(squared, 0.0) / moments.shape[-1])


def _roll_out(
    model: WorldModel,
    function: PolicyFunction,
    horizon: int,
    parameters: Any,
    policy_parameters: Any,
    starts: Starts,
    experience: Experience,
    remembered: PolicyState,
    key: Array,
) -> tuple[Array, Array, Array, Array]:
    """Fields of `Rollouts`."""
    act = jax.vmap(function.step, in_axes=(None, 0, 0, None))
    acts = jax.vmap(function.act, in_axes=(None, 0, 0, 0, None))
    measured = vector_size(model.spec.observation)
    # The last logged action is the policy's own to choose.
    seen = jax.tree.map(lambda values: jnp.swapaxes(values[:, :-1], 0, 1), starts.context)
    remembered, _ = jax.lax.scan(functools.partial(follow, act, policy_parameters), remembered, seen)

    def step(carry, key):
        state, remembered = carry
        seen = observation_of(model, parameters, state)
        _, remembered = acts(policy_parameters, seen, state.vector, remembered, jnp.float32(0.0))
        action = remembered.action[:, 0]
        situation = jnp.concatenate([state.vector, action], -1) / experience.deviation
        distances = _distances(situation, experience.situation)
        part_key, state_key = jax.random.split(key)
        part = jax.random.randint(part_key, (), 0, PARTS)
        nearest = distances.reshape(len(distances), PARTS, -1)[:, part].argmin(-1)
        nearest += part * (distances.shape[-1] // PARTS)
        following = imagine_step(model.rssm, parameters["rssm"], state, action, state_key)
        vector = jnp.clip(following.vector + experience.residual[nearest], experience.lowest, experience.highest)
        following = following._replace(vector=vector)
        reward, continues = model.outcomes(parameters, following.features)
        novelty = distances.min(-1) / experience.spacing[distances.argmin(-1)]
        return (following, remembered), (reward, continues, symexp(vector[..., :measured]), novelty)

    _, (reward, continues, vector, novelty) = jax.lax.scan(
        step, (starts.state, remembered), jax.random.split(key, horizon)
    )
    alive = jnp.concatenate([jnp.ones_like(continues[:1]), jnp.cumprod(continues, 0)])
    return reward, alive, vector, novelty


def follow(act, policy_parameters, remembered: PolicyState, seen: Batch) -> tuple[PolicyState, None]:
    """A policy's memory after one more logged step, at which it did not act itself."""
    _, remembered = act(policy_parameters, seen.observation, remembered, seen.is_first[0])
    return remembered._replace(action=seen.action[:, None]), None


def observation_of(model: WorldModel, parameters: Any, state: LatentState) -> dict[str, Array]:
    """What the robot would observe in an imagined state, as its sensors give it."""
    images = model.decoder.apply(parameters["decoder"], state.features)
    pictures = {key: jnp.round(255.0 * jnp.clip(image, 0.0, 1.0)).astype(jnp.uint8) for key, image in images.items()}
    return split_vectors(state.vector, model.spec.observation) | pictures
