"""Lets the world model predict what has just happened, open loop: the measure of whether it can be dreamt in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.config import LearnerConfig
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.codecs import image_keys, split_vectors
from daydreamer.models.world_model import Batch, WorldModel, to_action_vector
from daydreamer.replay import Replay, ReplayState
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.dreams import REWARD, Dream

WINDOWS = 4
"""Sequences that the errors are taken over, one after the other: at the default lengths 14 s, so that at the default
period hardly a step is left out, and the error of a moment of rest does not stand for all."""

LOOKBACK_WINDOWS = 16
"""How far back to look for sequences without an episode's start in them, in units of their length."""

_SEED = 0


class OpenLoopPredictor:
    """Predicts the newest replayed sequences from their beginning and the actions that were taken.

    Reads parameters and replay only; has randomness of its own, so that learning is the same with and without it.
    """

    def __init__(self, world_model: WorldModel, config: LearnerConfig):
        self._model = world_model
        self._context, self._horizon = dreamed_steps(world_model.spec, config)
        self._compiled = jax.jit(self._predict)

    def predict(self, parameters: Any, replay: Replay, gradient_step: int) -> Dream | None:
        """What the model makes of the newest sequences; None as long as there is none that is long enough.

        A sequence may not run over the start of an episode, which nobody can predict.

        Args:
          parameters: of the networks of the world model, by name.
          gradient_step: for the record.
        """
        capacity = replay.state.rows["is_first"].shape[0]
        length = self.length
        recent = min(len(replay), LOOKBACK_WINDOWS * length)
        ring = (replay.total - recent + np.arange(recent)) % capacity
        starts = newest_windows(np.asarray(replay.state.rows["is_first"])[ring], length, WINDOWS)
        if not starts:
            return None
        # One shape, one compilation: what is missing is filled up and does not count.
        padded = ring[np.array(starts + starts[:1] * (WINDOWS - len(starts)))]
        weight = (np.arange(WINDOWS) < len(starts)) / len(starts)
        return self._dream_of(parameters, replay.state, padded, weight, gradient_step, replay.total)

    def predict_from(self, parameters: Any, rows: Mapping[str, np.ndarray], starts: np.ndarray) -> Dream:
        """What the model makes of other sequences than the newest, each of `length` steps.

        Args:
          rows: as `replay.to_rows` makes them, `[steps, ...]`.
          starts: where they begin, see `spread_windows`.
        """
        count = len(rows["reward"])
        ring = {name: jnp.asarray(values) for name, values in rows.items()}
        state = ReplayState(ring, jnp.int32(0), jnp.int32(count))
        return self._dream_of(parameters, state, starts, np.full(len(starts), 1 / len(starts)), 0, count)

    @property
    def length(self) -> int:
        """Steps of a sequence: what the model is given to see, and what it predicts."""
        return self._context + self._horizon

    def _dream_of(
        self,
        parameters: Any,
        state: ReplayState,
        starts: np.ndarray,
        weight: np.ndarray,
        gradient_step: int,
        env_steps: int,
    ) -> Dream:
        result = jax.device_get(self._compiled(parameters, state, starts, weight.astype(np.float32)))
        return Dream(
            gradient_step=gradient_step,
            env_steps=env_steps,
            control_rate_hz=self._model.spec.control_rate_hz,
            context_steps=self._context,
            windows=int(np.count_nonzero(weight)),
            actor_life=int(result.pop("actor_life")),
            first_sequence=int(result.pop("first_sequence")),
            **result,
        )

    def _predict(self, parameters: Any, replay: ReplayState, starts: Array, weight: Array) -> dict[str, Any]:
        """Fields of `Dream` for the windows that begin at ring indices `starts` `[windows]`."""
        spec, context = self._model.spec, self._context
        index = (starts[:, None] + jnp.arange(context + self._horizon)) % replay.rows["reward"].shape[0]
        rows = {name: values[index] for name, values in replay.rows.items()}
        truth = {key: rows[f"observation/{key}"] for key in spec.observation} | {REWARD: rows["reward"]}
        action = to_action_vector(rows["action"], spec.action)
        prediction = self.continuation(parameters, {key: values[:, :context] for key, values in truth.items()}, action)
        scaled = {key: _unit_scale(values) for key, values in truth.items()}
        last = {
            key: jnp.broadcast_to(values[:, context - 1, None], prediction[key].shape) for key, values in scaled.items()
        }
        after = {key: values[:, context:] for key, values in scaled.items()}
        for key in image_keys(spec.observation):
            prediction[key] = jnp.clip(prediction[key], 0.0, 1.0)
        return {
            "truth": {key: values[0] for key, values in truth.items()},
            "prediction": {key: _like(values[0], truth[key]) for key, values in prediction.items()},
            "action": action[0],
            "error": {key: _error(prediction[key], after[key], weight) for key in after},
            "unchanged_error": {key: _error(last[key], after[key], weight) for key in after},
            "actor_life": rows["actor_life"][0, 0],
            "first_sequence": rows["sequence"][0, 0],
        }

    def continuation(self, parameters: Any, seen: dict[str, Array], action: Array) -> dict[str, Array]:
        """Observations and reward by key `[windows, horizon, ...]` that follow what was seen, `[windows, context]`.

        Args:
          action: `[windows, length, action]` as the model sees it, of which the last has no consequence that is asked
            for.
        """
        model, context = self._model, self._context
        observe_key, imagine_key = jax.random.split(jax.random.key(_SEED))
        nothing = jnp.zeros_like(seen[REWARD])
        batch = Batch(
            observation={key: values for key, values in seen.items() if key != REWARD},
            action=action[:, :context],
            reward=seen[REWARD],
            is_first=nothing.at[:, 0].set(1.0),
            is_last=nothing,
            is_terminal=nothing,
            by_policy=nothing,
            shown=nothing,
        )
        observed = model.observe(parameters, batch, observe_key)

        def step(state: rssm_lib.LatentState, inputs: tuple[Array, Array]):
            taken, key = inputs
            state = rssm_lib.imagine_step(model.rssm, parameters["rssm"], state, taken, key)
            return state, state

        taken = jnp.swapaxes(action[:, context - 1 : -1], 0, 1)
        begin = jax.tree.map(lambda values: values[:, -1], observed.states)
        _, states = jax.lax.scan(step, begin, (taken, jax.random.split(imagine_key, self._horizon)))
        states = jax.tree.map(lambda values: jnp.swapaxes(values, 0, 1), states)
        reward, _ = model.outcomes(parameters, states.features)
        images = model.decoder.apply(parameters["decoder"], states.features)
        return split_vectors(states.vector, model.spec.observation) | images | {REWARD: reward}


def dreamed_steps(spec: RobotSpec, config: LearnerConfig) -> tuple[int, int]:
    """Steps that the model is given to see, and that it predicts."""
    lengths_s = config.dream_context_s, config.dream_horizon_s
    context, horizon = (max(1, round(length_s * spec.control_rate_hz)) for length_s in lengths_s)
    return context, horizon


def newest_windows(is_first: np.ndarray, length: int, count: int) -> list[int]:
    """Where the newest stretches of `length` steps begin that hold no episode start after their first step.

    They do not overlap; newest first, at most `count`.

    Args:
      is_first: `[steps]`, of consecutive rows.
    """
    starts: list[int] = []
    end = len(is_first)
    while len(starts) < count and end >= length:
        start = end - length
        inside = np.flatnonzero(is_first[start + 1 : end])
        if len(inside):
            end = start + 1 + int(inside[-1])
        else:
            starts.append(start)
            end = start
    return starts


def spread_windows(is_first: np.ndarray, length: int, count: int) -> np.ndarray:
    """Where stretches of `length` steps begin that hold no episode start after their first step, spread evenly.

    They are at most `count`, of which none are the same; they may overlap.

    Args:
      is_first: `[steps]`, of consecutive rows.
    """
    begun = np.concatenate(((0,), np.cumsum(is_first)))
    starts = np.arange(max(0, len(is_first) - length + 1))
    whole = starts[begun[starts + length] == begun[np.minimum(starts + 1, len(is_first))]]
    return spread(whole, count)


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of some values, evenly, none of them twice."""
    return values[np.unique(np.linspace(0, len(values) - 1, count).astype(int))] if len(values) else values


def _unit_scale(values: Array) -> Array:
    return values.astype(jnp.float32) / 255 if values.dtype == jnp.uint8 else values


def _like(prediction: Array, truth: Array) -> Array:
    return jnp.round(prediction * 255).astype(jnp.uint8) if truth.dtype == jnp.uint8 else prediction


def _error(prediction: Array, truth: Array, weight: Array) -> Array:
    """Root mean square `[horizon]` over windows, weighted, and elements of `[windows, horizon, ...]`."""
    squared = jnp.square(prediction - truth)
    return jnp.sqrt(jnp.tensordot(weight, squared.mean(tuple(range(2, squared.ndim))), 1))
