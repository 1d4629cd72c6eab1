import jax
import msgspec
import numpy as np
import pytest

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.errors import SpecMismatch
from daydreamer.learner.agent import Agent
from daydreamer.policy.policy import Policy, flatten_parameters, unflatten_parameters
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(deterministic=32, hidden=16, stochastic=4, classes=4, units=32)
CONTINUOUS = Space((2,), low=-1.0, high=1.0)


def make_spec(observation, action=CONTINUOUS):
    return RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), observation, action, ("r",))


SPEC = make_spec({"x": Space((3,))})


def make_parameters(spec, seed=0, model=MODEL):
    agent = Agent(spec, model, LearnerConfig())
    state = jax.jit(agent.initialize, static_argnums=0)(seed)
    return jax.tree.map(np.array, agent.policy_parameters(state))


@pytest.fixture(scope="module")
def parameters():
    return make_parameters(SPEC)


def publish(directory, parameters, spec=SPEC, model=MODEL, version=1):
    metadata = SnapshotMetadata(
        version=version, gradient_step=7, env_steps=9, robot_spec=spec, model=msgspec.to_builtins(model)
    )
    return write_snapshot(directory, flatten_parameters(parameters), metadata)


OBSERVATION = {"x": np.array([0.3, -0.2, 0.9], np.float32)}


def rollout(policy, steps=6):
    state, actions = policy.initial_state(), []
    for n in range(steps):
        action, state = policy(OBSERVATION, state, n == 0)
        actions.append(action)
    return np.array(actions)


def test_a_snapshot_acts_as_what_was_published(tmp_path, parameters):
    loaded = Policy.load(publish(tmp_path, parameters), SPEC, seed=3)
    direct = Policy(parameters, SPEC, MODEL, version=1, seed=3)
    actions = rollout(loaded)
    np.testing.assert_array_equal(actions, rollout(direct))
    assert np.abs(actions).max() <= 1.0
    assert len(np.unique(actions, axis=0)) == len(actions)  # it explores
    assert not np.array_equal(rollout(direct), actions)  # and differently in each episode


def test_it_acts_with_a_share_of_its_noise(parameters):
    def first_action(acting_noise):
        model = msgspec.structs.replace(MODEL, acting_noise=acting_noise)
        policy = Policy(parameters, SPEC, model, version=1, seed=3)
        return np.arctanh(policy(OBSERVATION, policy.initial_state(), True)[0])

    mean, noise = first_action(0.0), first_action(1.0) - first_action(0.0)
    assert np.abs(noise).min() > 1e-3
    np.testing.assert_allclose(first_action(0.3) - mean, 0.3 * noise, rtol=1e-4, atol=1e-6)


def test_a_snapshot_acts_by_its_mean_where_that_is_asked_for(tmp_path, parameters):
    path = publish(tmp_path, parameters)
    quiet = [rollout(Policy.load(path, SPEC, seed=seed, acting_noise=0.0)) for seed in (3, 4)]
    # The actor sees the vectors alone, and these do not change.
    np.testing.assert_array_equal(*quiet)
    assert len(np.unique(quiet[0], axis=0)) == 1
    assert not np.array_equal(quiet[0], rollout(Policy.load(path, SPEC, seed=3)))


def test_without_noise_the_likeliest_of_discrete_actions_is_taken():
    spec = make_spec({"x": Space((3,))}, Space((), classes=4))
    parameters = make_parameters(spec)
    # Fresh ones answer nearly the same to everything.
    parameters["actor"]["params"]["Dense_0"]["bias"] = np.array([0.0, 0.5, 2.0, 0.5], np.float32)
    quiet = Policy(parameters, spec, msgspec.structs.replace(MODEL, acting_noise=0.0), version=1)
    drawn = rollout(Policy(parameters, spec, MODEL, version=1), steps=60).tolist()
    assert set(rollout(quiet).tolist()) == {2} and set(drawn) > {2}


def test_a_snapshot_holds_nothing_that_acting_does_not_need(parameters):
    agent_parameters = jax.jit(Agent(SPEC, MODEL, LearnerConfig()).initialize, static_argnums=0)(0).parameters
    flat = flatten_parameters(parameters)
    assert {name.split("/")[0] for name in flat} == {"encoder", "rssm", "actor"}
    assert not any("prior" in name for name in flat)
    assert any("prior" in name for name in flatten_parameters(agent_parameters))


def test_a_newer_version_goes_on_from_the_state_of_the_older_one(parameters):
    old = Policy(parameters, SPEC, MODEL, version=1)
    new = Policy(jax.tree.map(lambda x: 1.1 * x, parameters), SPEC, MODEL, version=2)
    _, state = old(OBSERVATION, old.initial_state(), True)
    carried, _ = new(OBSERVATION, state, False)
    forgotten, _ = new(OBSERVATION, state, True)
    assert not np.array_equal(carried, forgotten)


def test_versions_share_one_compilation(parameters):
    policy = Policy(parameters, SPEC, MODEL, version=1)
    rollout(policy)
    compiled = policy._function.step._cache_size()
    rollout(Policy(jax.tree.map(lambda x: x + 1, parameters), SPEC, MODEL, version=2))
    assert policy._function.step._cache_size() == compiled


@pytest.mark.parametrize(
    "spec",
    [
        make_spec({"camera": Space((64, 64, 3), "uint8"), "x": Space((3,))}),
        make_spec({"x": Space((3,))}, Space((), classes=4)),
    ],
    ids=["image", "discrete action"],
)
def test_images_and_discrete_actions(spec):
    policy = Policy(make_parameters(spec), spec, MODEL, version=1)
    observation = {key: space.zeros() for key, space in spec.observation.items()}
    action, state = policy(observation, policy.initial_state(), True)
    action, _ = policy(observation, state, False)
    assert action.shape == spec.action.shape
    if spec.action.is_discrete:
        assert action.dtype == np.int32 and 0 <= int(action) < 4


def test_a_snapshot_of_another_robot_is_refused(tmp_path, parameters):
    path = publish(tmp_path, parameters)
    with pytest.raises(SpecMismatch):
        Policy.load(path, make_spec({"x": Space((4,))}))


def test_a_snapshot_whose_parameters_do_not_fit_its_header_is_refused(tmp_path, parameters):
    path = publish(tmp_path, parameters, model=msgspec.structs.replace(MODEL, units=48))
    with pytest.raises(SpecMismatch, match="expected"):
        Policy.load(path, SPEC)


def test_flat_names_round_trip(parameters):
    flat = flatten_parameters(parameters)
    assert all(isinstance(name, str) for name in flat)
    jax.tree.map(np.testing.assert_array_equal, unflatten_parameters(flat), parameters)
