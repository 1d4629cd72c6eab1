"""The small recurrent policy that drives the robot: encoder, one step of the world model's filter, actor."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

import flax.traverse_util
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array

from daydreamer.behavior.actor import correlate
from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.behavior.returns import ReturnStatistics
from daydreamer.config import LearnerConfig, ModelConfig, drop_retired
from daydreamer.errors import SpecMismatch
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.rssm import RSSM, LatentState
from daydreamer.models.world_model import WorldModel, action_vector_size
from daydreamer.policy.snapshot import read_snapshot
from daydreamer.spec import RobotSpec

_SEPARATOR = "/"


class PolicyState(NamedTuple):
    """What a policy remembers between two steps; the same for every version of it.

    Attributes:
      latent: `[1]` filtered state of the world model.
      action: `[1, size]`, the last action as the model sees it.
      noise: `[1, size]`, standard normal noise of the last action; not used if actions are discrete.
      key: of the samples to come.
    """

    latent: LatentState
    action: Array
    noise: Array
    key: Array


class ParameterShapes(NamedTuple):
    """Shapes by flat name of what a snapshot holds: for acting alone, and for planning as well."""

    acting: dict[str, tuple[int, ...]]
    planning: dict[str, tuple[int, ...]]


class PolicyFunction:
    """The jitted policy of one robot and one set of network sizes, shared by all versions of its parameters."""

    def __init__(self, spec: RobotSpec, model: ModelConfig):
        self._world_model = WorldModel(spec, model)
        # What the learner's settings say is how to learn; the networks do not depend on it.
        self._actor_critic = ActorCritic(self._world_model, LearnerConfig())
        self._actor = self._actor_critic.actor
        self._spec = spec
        self._model = model
        self.step = jax.jit(self._step)

    def initial_state(self, key_data: np.ndarray) -> PolicyState:
        """The state before the first step, in arrays of NumPy, which take the control loop less time to make."""
        latent = jax.tree.map(np.asarray, self._world_model.rssm.initial_state((1,)))
        zeros = np.zeros((1, action_vector_size(self._spec.action)), np.float32)
        return PolicyState(latent, cast(Array, zeros), cast(Array, zeros), cast(Array, key_data))

    @functools.cached_property
    def parameter_shapes(self) -> ParameterShapes:
        """What snapshots hold. Traced once: tracing keeps the interpreter from the control loop."""

        def initialize(key):
            networks = self._world_model.initialize(key) | self._actor_critic.initialize(key)
            return acting_parameters(networks), planning_parameters(networks, networks["critic"], returns)

        returns = ReturnStatistics.initial()
        shapes = jax.eval_shape(initialize, jax.random.key(0))
        return ParameterShapes(*({name: x.shape for name, x in flatten_parameters(each).items()} for each in shapes))

    def _step(self, parameters, observation: dict[str, Array], state: PolicyState, is_first: Array):
        return self.act(parameters, observation, self._world_model.vectors(observation), state, is_first)

    def act(self, parameters, observation: dict[str, Array], vector: Array, state: PolicyState, is_first: Array):
        """One step, to be traced: the action, and the policy's memory after it.

        Args:
          observation: of one robot, by key.
          vector: what it measures, `[vector]`, see `WorldModel.vectors`.
          is_first: whether the memory is of something else.
        """
        key, latent_key, action_key = jax.random.split(jax.random.wrap_key_data(state.key), 3)
        batched = {name: value[None] for name, value in observation.items()}
        embedding = self._world_model.embed(parameters, batched, vector[None])
        embedded = self._world_model.rssm.apply(parameters["rssm"], embedding, method=RSSM.embed)
        latent = rssm_lib.observe_step(
            self._world_model.rssm,
            parameters["rssm"],
            state.latent,
            state.action,
            embedded,
            vector[None],
            is_first[None],
            latent_key,
        )
        distribution = self._actor(parameters["actor"], latent.features)
        noise = correlate(state.noise, self._model.noise_correlation * (1.0 - is_first), action_key)
        if self._spec.action.is_discrete:
            # Without noise the likeliest, as the mean is of continuous ones.
            acts_at_random = self._model.acting_noise > 0.0
            action = distribution.sample(action_key).action if acts_at_random else distribution.mode
            output = jnp.argmax(action[0]).astype(jnp.int32)
        else:
            action = distribution.at(self._model.acting_noise * noise).action
            output = action[0]
        return output, PolicyState(latent, action, noise, jax.random.key_data(key))


@functools.lru_cache(maxsize=4)
def _policy_function(spec_json: bytes, model: ModelConfig) -> PolicyFunction:
    return PolicyFunction(msgspec.json.decode(spec_json, type=RobotSpec), model)


class Policy:
    """One version of the policy.

    Attributes:
      version: of the snapshot; higher is newer.
      created_wall_s: when the learner took the parameters.
      model: sizes of its networks.
      planning: what planning takes, see `planning_parameters`; None if the parameters are for acting alone.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        spec: RobotSpec,
        model: ModelConfig,
        version: int,
        created_wall_s: float | None = None,
        seed: int = 0,
    ):
        """`parameters` by network, as `Agent.policy_parameters` gives them."""
        self.version = version
        self.created_wall_s = time.time() if created_wall_s is None else created_wall_s
        self.model = model
        self.planning = parameters if "critic" in parameters else None
        self._parameters = acting_parameters(parameters)
        self._function = _policy_function(msgspec.json.encode(spec), model)
        self._seed = seed
        self._episodes = 0

    @classmethod
    def load(cls, path: Path, spec: RobotSpec, seed: int = 0, acting_noise: float | None = None) -> Policy:
        """The policy of a snapshot.

        Args:
          acting_noise: in the place of that which it has learned with, see `ModelConfig`.

        Raises:
          SpecMismatch: it belongs to another robot, or its parameters do not fit the sizes it states.
          CorruptSnapshot: the file is damaged.
        """
        flat, metadata = read_snapshot(path, spec)
        sizes = dict(metadata.model)
        drop_retired(sizes)
        model = msgspec.convert(sizes | ({} if acting_noise is None else {"acting_noise": acting_noise}), ModelConfig)
        shapes = _policy_function(msgspec.json.encode(spec), model).parameter_shapes
        found = {name: array.shape for name, array in flat.items()}
        expected = shapes.planning if any(name.startswith("critic") for name in found) else shapes.acting
        if found != expected:
            wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
            raise SpecMismatch(
                f"{path} does not hold the network that its header states: {wrong[0]} is {found.get(wrong[0])}, "
                f"expected {expected.get(wrong[0])}. Delete it; the learner publishes another one."
            )
        parameters = jax.device_put(unflatten_parameters(flat))
        return cls(parameters, spec, model, metadata.version, metadata.created_wall_s, seed)

    @classmethod
    def untrained(cls, spec: RobotSpec, model: ModelConfig, plans: bool = False) -> Policy:
        """A policy whose parameters are all zero: to compile the function before there is a snapshot."""
        shapes = _policy_function(msgspec.json.encode(spec), model).parameter_shapes
        wanted = shapes.planning if plans else shapes.acting
        zeros = {name: np.zeros(shape, np.float32) for name, shape in wanted.items()}
        return cls(jax.device_put(unflatten_parameters(zeros)), spec, model, version=0)

    @property
    def parameters(self) -> dict[str, Any]:
        """By network, as acting takes them."""
        return self._parameters

    @property
    def function(self) -> PolicyFunction:
        """What computes it; the same object for all policies of a robot and of equal networks."""
        return self._function

    def initial_state(self) -> PolicyState:
        """The state at the beginning of an episode; each has its own random numbers."""
        self._episodes += 1
        sequence = np.random.SeedSequence((self._seed, self.version, self._episodes))
        return self._function.initial_state(sequence.generate_state(2))

    def __call__(
        self, observation: dict[str, np.ndarray], state: PolicyState, is_first: bool
    ) -> tuple[np.ndarray, PolicyState]:
        """The action `[action]` for an observation, and the state after it.

        Args:
          observation: by key, without batch dimension.
          is_first: the state is to be forgotten.
        """
        action, state = self._function.step(self._parameters, observation, state, np.float32(is_first))
        return np.asarray(action), state


def acting_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Of an agent's parameters by network, those that acting needs: a filter has no use for predictions."""
    rssm = parameters["rssm"]["params"]
    filtering = {name: value for name, value in rssm.items() if not name.startswith(("prior_", "change_"))}
    return {
        "encoder": parameters["encoder"],
        "rssm": {"params": filtering},
        "actor": parameters["actor"],
    }


def planning_parameters(parameters: dict[str, Any], slow_critic: Any, returns: ReturnStatistics) -> dict[str, Any]:
    """Of an agent, what acting with plans needs: predictions, outcomes, and the critic with what it counts from."""
    return {
        **{name: parameters[name] for name in ("encoder", "rssm", "actor", "outcome")},
        "critic": slow_critic,
        "returns": {name: jnp.asarray(value, jnp.float32) for name, value in returns._asdict().items()},
    }


def flatten_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Nested parameters by one name each, as snapshots hold them."""
    return flax.traverse_util.flatten_dict(parameters, sep=_SEPARATOR)


def unflatten_parameters(flat: dict[str, Any]) -> dict[str, Any]:
    """Inverse of `flatten_parameters`."""
    return flax.traverse_util.unflatten_dict(flat, sep=_SEPARATOR)
