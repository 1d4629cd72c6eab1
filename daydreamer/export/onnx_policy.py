"""A policy as an ONNX model, for runtimes that know neither JAX nor daydreamer.

One call is one control step: encoder, a step of the world model's filter, actor. What the policy remembers goes in and
comes out, each by a name; so does chance, where it is wanted, so that the model is a function and nothing else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array

from daydreamer.behavior.actor import ActorDistribution
from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.errors import UserError
from daydreamer.models.rssm import RSSM, LatentState
from daydreamer.models.transforms import invert_cumulative
from daydreamer.models.world_model import WorldModel
from daydreamer.policy.policy import Policy
from daydreamer.spec import RobotSpec

OPSET = 18
"""Of ONNX: older than what the converter prefers, so that more runtimes read it."""
FORMAT_VERSION = 1
CHECKED_STEPS = 200
LARGEST_DIFFERENCE = 1e-4
"""Beyond it a model is not written; rounding comes to 1e-6."""
METADATA = "daydreamer"
"""Key of the JSON in the model's metadata."""

Arrays = Mapping[str, np.ndarray]


class PolicyGraph:
    """What the ONNX model computes, as a pure function of arrays with a batch of one.

    The latents are the likeliest ones and the action is the mean (of discrete ones, the likeliest). If `sampled` both
    are drawn, as the policy that drives the robot does it, by numbers that are inputs: `latent_uniform` in [0, 1) of
    the latents; of the action `action_noise`, standard normal and correlated over time by whoever draws it, or
    `action_uniform` in [0, 1) of discrete ones.

    Attributes:
      spec: of the robot.
      model: sizes of the networks.
      sampled: see above.
      inputs: shape and type by name: `observation_<key>`, the state of the filter, the previous action, and chance.
      outputs: their names: `action` as the model sees it, which goes in as `previous_action` at the next step, and for
        each part of the state `next_<name>`, which goes in as that. An episode begins with zeros.
    """

    STATE = ("deterministic", "stochastic", "vector")

    def __init__(self, parameters: Mapping[str, Any], spec: RobotSpec, model: ModelConfig, sampled: bool = False):
        """`parameters` by network, as acting takes them."""
        self.spec, self.model, self.sampled = spec, model, sampled
        self._parameters = parameters
        self._world_model = WorldModel(spec, model)
        self._actor = ActorCritic(self._world_model, LearnerConfig()).actor
        self.inputs = self._observations() | self._memory() | (self._chance() if sampled else {})
        self.outputs = ("action", *(f"next_{name}" for name in self.STATE))

    def _observations(self) -> dict[str, jax.ShapeDtypeStruct]:
        spaces = self.spec.observation.items()
        return {f"observation_{key}": jax.ShapeDtypeStruct((1, *each.shape), each.dtype) for key, each in spaces}

    def _memory(self) -> dict[str, jax.ShapeDtypeStruct]:
        latent = self._world_model.rssm.initial_state((1,))
        shapes = {name: each.shape for name, each in zip(self.STATE, latent, strict=True)}
        shapes["previous_action"] = (1, self._world_model.action_size)
        return {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()}

    @property
    def beginning(self) -> dict[str, np.ndarray]:
        """What goes in at the first step of an episode."""
        return {name: np.zeros(each.shape, np.float32) for name, each in self._memory().items()}

    def following(self, values: Arrays) -> dict[str, np.ndarray]:
        """What goes in at the next step of what has come out."""
        return {name: values[f"next_{name}"] for name in self.STATE} | {"previous_action": values["action"]}

    def _chance(self) -> dict[str, jax.ShapeDtypeStruct]:
        action = self.spec.action
        shapes = {
            "latent_uniform": (1, self.model.stochastic, 1),
            "action_uniform" if action.is_discrete else "action_noise": (1, 1 if action.is_discrete else action.size),
        }
        return {name: jax.ShapeDtypeStruct(shape, "float32") for name, shape in shapes.items()}

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """The values of `outputs` for those of `inputs`, in their order."""
        given = dict(zip(self.inputs, arrays, strict=True))
        observation = {key: given[f"observation_{key}"] for key in self.spec.observation}
        latent = self._filter(observation, given)
        distribution = self._actor(self._parameters["actor"], latent.features)
        return (self._act(distribution, given), *latent)

    def _filter(self, observation: dict[str, Array], given: Mapping[str, Array]) -> LatentState:
        rssm, parameters = self._world_model.rssm, self._parameters["rssm"]
        before = LatentState(given["deterministic"], given["stochastic"], given["vector"])
        embedding = self._world_model.embed(self._parameters, observation)
        embedded = rssm.apply(parameters, embedding, method=RSSM.embed)
        deterministic = rssm.apply(parameters, before, given["previous_action"], method=RSSM.advance)
        probabilities = rssm.apply(parameters, deterministic, embedded, method=RSSM.posterior)
        if self.sampled:
            stochastic = invert_cumulative(given["latent_uniform"], probabilities)
        else:
            stochastic = jax.nn.one_hot(jnp.argmax(probabilities, -1), self.model.classes)
        return LatentState(deterministic, stochastic, self._world_model.vectors(observation))

    def _act(self, distribution: ActorDistribution, given: Mapping[str, Array]) -> Array:
        if distribution.probabilities is not None:
            if self.sampled:
                return invert_cumulative(given["action_uniform"], distribution.probabilities)
            return jax.nn.one_hot(jnp.argmax(distribution.probabilities, -1), self.spec.action.classes)
        noise = self.model.acting_noise * given["action_noise"] if self.sampled else jnp.zeros(())
        return distribution.at(noise).action


def to_onnx(policy: Policy, spec: RobotSpec, gradient_step: int, sampled: bool = False) -> tuple[bytes, float]:
    """The model, and by how much it differs from the policy at most over `CHECKED_STEPS` steps.

    Raises:
      UserError: the libraries are missing, or what they make of the policy is not the same function.
    """
    try:
        import jax2onnx
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"A policy becomes ONNX by jax2onnx, onnx and onnxruntime, of which {error.name} is missing; install them "
            "with pip install 'daydreamer[export]'."
        ) from error
    graph = PolicyGraph(policy.parameters, spec, policy.model, sampled)
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # what it warns of is inside the converter
    model = jax2onnx.to_onnx(
        graph,
        list(graph.inputs.values()),
        model_name="policy",
        opset=OPSET,
        input_names=list(graph.inputs),
        output_names=list(graph.outputs),
    )
    onnx.helper.set_model_props(model, {METADATA: json.dumps(_describe(graph, policy.version, gradient_step))})
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, one_thread(onnxruntime))
    difference = largest_difference(graph, lambda arrays: session.run(list(graph.outputs), dict(arrays)))
    if not difference <= LARGEST_DIFFERENCE:
        raise UserError(
            f"What jax2onnx has made of policy {policy.version} differs from it by {difference:.1g} within "
            f"{CHECKED_STEPS} steps and is not written; use other versions of jax2onnx and onnxruntime."
        )
    return content, difference


def one_thread(onnxruntime: Any) -> Any:
    """Options of a session: the networks are too small for threads, which would only wait for one another."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return options


def _describe(graph: PolicyGraph, version: int, gradient_step: int) -> dict[str, Any]:
    """What somebody has to know who runs the model without this program."""
    return {
        "format_version": FORMAT_VERSION,
        "policy_version": version,
        "gradient_step": gradient_step,
        "control_rate_hz": graph.spec.control_rate_hz,
        "sampled": graph.sampled,
        "noise_correlation": graph.model.noise_correlation,
        "spec_hash": graph.spec.hash,
        "robot_spec": msgspec.to_builtins(graph.spec),
    }


def largest_difference(
    graph: PolicyGraph, run: Callable[[Arrays], list[np.ndarray]], steps: int = CHECKED_STEPS, seed: int = 0
) -> float:
    """Between what `run` and the graph say at any of so many steps, each with the memory that it has itself made.

    Observations are random; the chance of a sampled policy is the same for both.
    """
    expected = jax.jit(graph)
    random = np.random.default_rng(seed)
    theirs = ours = graph.beginning
    largest = 0.0
    for _ in range(steps):
        drawn = {name: _draw(name, each, random) for name, each in graph.inputs.items() if name not in ours}
        found = dict(zip(graph.outputs, run(drawn | theirs), strict=True))
        wanted = map(np.asarray, expected(*((drawn | ours)[name] for name in graph.inputs)))
        mine = dict(zip(graph.outputs, wanted, strict=True))
        # numpy's maximum, which keeps what is no number.
        each = [np.abs(found[name] - mine[name]).max(initial=0.0) for name in graph.outputs]
        largest = float(np.max([largest, *each]))
        theirs, ours = graph.following(found), graph.following(mine)
    return largest


def _draw(name: str, each: jax.ShapeDtypeStruct, random: np.random.Generator) -> np.ndarray:
    if each.dtype == np.uint8:
        return random.integers(0, 256, each.shape, np.uint8)
    if name.endswith("_uniform"):
        return random.random(each.shape, np.float32)
    return random.standard_normal(each.shape, np.float32)
