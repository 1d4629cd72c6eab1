"""A policy as a function of arrays alone: it says what the policy says, in JAX and, where there is one, in ONNX."""

import json
import sys
from pathlib import Path

import jax
import msgspec
import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import onnx_policy as benchmark

from daydreamer.behavior.actor import Actor
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.export.onnx_policy import METADATA, PolicyGraph, largest_difference, one_thread, to_onnx
from daydreamer.learner.agent import Agent
from daydreamer.models.rssm import LatentState
from daydreamer.models.world_model import WorldModel
from daydreamer.policy.policy import Policy
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(deterministic=32, hidden=16, stochastic=4, classes=4, units=32)
CONTINUOUS = Space((2,), low=-1.0, high=1.0)
ROBOTS = {
    "legs": ({"x": Space((3,)), "y": Space(())}, CONTINUOUS),
    "a choice": ({"x": Space((3,))}, Space((), "int32", classes=5)),
    "a camera": ({"x": Space((3,)), "eye": Space((16, 24, 3), "uint8")}, CONTINUOUS),
    "a camera alone": ({"eye": Space((16, 16, 1), "uint8")}, CONTINUOUS),
}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "export.md"


def make_policy(name):
    observation, action = ROBOTS[name]
    spec = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), observation, action, ("r",))
    agent = Agent(spec, MODEL, LearnerConfig())
    state = jax.jit(agent.initialize, static_argnums=0)(1)
    parameters = jax.device_get(agent.policy_parameters(state))
    # As of a policy that has learned: untrained it answers nearly nothing.
    random = np.random.default_rng(0)
    parameters = jax.tree.map(lambda x: x + 0.1 * random.standard_normal(x.shape).astype(np.float32), parameters)
    return Policy(parameters, spec, MODEL, version=4, seed=1), spec


def observe(spec, steps):
    random = np.random.default_rng(2)

    def draw(space):
        if space.is_image:
            return random.integers(0, 256, space.shape, np.uint8)
        return np.asarray(random.standard_normal(space.shape), np.float32)

    return [{key: draw(space) for key, space in spec.observation.items()} for _ in range(steps)]


@pytest.mark.parametrize("name", ["legs", "a choice", "a camera alone"])
def test_the_sampled_graph_says_what_the_policy_says_that_drives_the_robot(name):
    policy, spec = make_policy(name)
    graph = PolicyGraph(policy.parameters, spec, MODEL, sampled=True)
    function = jax.jit(graph)

    def run(arrays):
        return [np.asarray(value) for value in function(*(arrays[name] for name in graph.inputs))]

    steps = benchmark.policy_steps(policy, graph, observe(spec, 40))
    assert benchmark.largest_difference(graph, run, steps) < 1e-5


@pytest.mark.parametrize("name", ["legs", "a choice"])
def test_without_chance_it_is_the_likeliest_and_the_mean(name):
    policy, spec = make_policy(name)
    graph = PolicyGraph(policy.parameters, spec, MODEL)
    assert not {"latent_uniform", "action_noise", "action_uniform"} & graph.inputs.keys()
    (observation,) = observe(spec, 1)
    given = graph.beginning | {f"observation_{key}": value[None] for key, value in observation.items()}
    values = jax.jit(graph)(*(given[name] for name in graph.inputs))
    said = dict(zip(graph.outputs, map(np.asarray, values), strict=True))
    assert set(np.unique(said["next_stochastic"])) == {0.0, 1.0} and said["next_stochastic"].sum() == MODEL.stochastic
    latent = LatentState(*(said[f"next_{name}"] for name in graph.STATE))
    distribution = Actor(WorldModel(spec, MODEL))(policy.parameters["actor"], latent.features)
    if spec.action.is_discrete:
        assert said["action"].shape == (1, 5) and said["action"].argmax() == distribution.probabilities.argmax()
    else:
        np.testing.assert_allclose(said["action"], np.tanh(distribution.mean), atol=1e-6)


class TestOnnx:
    """What the converter makes of it; needs the extra 'export', which is not among those of development."""

    @pytest.fixture(autouse=True)
    def extra(self):
        for name in ("jax2onnx", "onnx", "onnxruntime"):
            pytest.importorskip(name)

    @pytest.mark.parametrize("sampled", [False, True])
    @pytest.mark.parametrize("name", ROBOTS)
    def test_it_agrees_in_onnxruntime_and_says_what_it_is(self, name, sampled):
        import onnxruntime

        policy, spec = make_policy(name)
        content, difference = to_onnx(policy, spec, gradient_step=9, sampled=sampled)
        assert difference < 1e-5
        session = onnxruntime.InferenceSession(content, one_thread(onnxruntime))
        graph = PolicyGraph(policy.parameters, spec, MODEL, sampled)
        shapes = {each.name: tuple(each.shape) for each in session.get_inputs()}
        assert shapes == {name: each.shape for name, each in graph.inputs.items()}
        assert largest_difference(graph, lambda arrays: session.run(list(graph.outputs), dict(arrays)), seed=5) < 1e-5
        told = json.loads(session.get_modelmeta().custom_metadata_map[METADATA])
        assert (told["policy_version"], told["gradient_step"], told["control_rate_hz"]) == (4, 9, 20.0)
        assert msgspec.convert(told["robot_spec"], RobotSpec).hash == spec.hash == told["spec_hash"]

    def test_the_lines_of_the_documentation_run_it(self, tmp_path, monkeypatch):
        policy, spec = make_policy("legs")
        monkeypatch.chdir(tmp_path)
        content, _ = to_onnx(policy, spec, gradient_step=9)
        Path("walk.onnx").write_bytes(content)
        _, block, _ = DOCUMENTATION.read_text().split("<!-- run by the tests -->")
        names = {}
        exec("\n".join(line.removeprefix("    ") for line in block.splitlines()), names)
        graph, memory = PolicyGraph(policy.parameters, spec, MODEL), None
        memory = graph.beginning
        for observation in observe(spec, 5):
            given = memory | {f"observation_{key}": value[None] for key, value in observation.items()}
            said = graph(*(given[name] for name in graph.inputs))
            memory = graph.following(dict(zip(graph.outputs, said, strict=True)))
            np.testing.assert_allclose(names["act"](observation), said[0][0], atol=1e-5)


def test_what_answers_no_number_is_no_copy_of_a_policy():
    policy, spec = make_policy("legs")
    graph = PolicyGraph(policy.parameters, spec, MODEL)
    nothing = [np.full(1, np.nan, np.float32)] * len(graph.outputs)
    assert np.isnan(largest_difference(graph, lambda arrays: nothing, steps=2))
