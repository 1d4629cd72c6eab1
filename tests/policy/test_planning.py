"""Planning: better than its policy where the model is right, in time or not at all, and nothing where it is off."""

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from daydreamer.behavior.returns import ReturnStatistics
from daydreamer.config import LearnerConfig, ModelConfig, PlanConfig, SessionConfig, resolve
from daydreamer.errors import UserError
from daydreamer.learner.agent import Agent
from daydreamer.models.rssm import imagine_step
from daydreamer.models.world_model import WorldModel
from daydreamer.policy.planning import PlanFunction, Planner, make_planner
from daydreamer.policy.policy import Policy, flatten_parameters
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(deterministic=16, hidden=16, stochastic=2, classes=2, units=16, bins=41)
LEARNER = LearnerConfig(discount=0.9)
ACTION = Space((2,), low=-1.0, high=1.0)


def make_spec(action=ACTION):
    return RobotSpec("toy", "toy", 20.0, 10, (), (), {"x": Space((3,))}, action, ("r",))


SPEC = make_spec()
OBSERVATION = {"x": np.array([0.3, -0.2, 0.9], np.float32)}
SMALL = {"samples": 16, "horizon_s": 0.15}


@pytest.fixture(scope="module")
def agent_state():
    return jax.jit(Agent(SPEC, MODEL, LEARNER).initialize, static_argnums=0)(0)


@pytest.fixture(scope="module")
def parameters(agent_state):
    """Of a new agent, but with a critic and a reward that are not zero."""
    drawn = np.random.default_rng(0)
    parameters = jax.tree.map(np.array, Agent(SPEC, MODEL, LEARNER).policy_parameters(agent_state, plans=True))
    heads = {name: jax.tree.map(lambda x: drawn.normal(0.0, 0.1, x.shape).astype(np.float32), parameters[name])
             for name in ("critic", "outcome")}  # fmt: skip
    return parameters | heads


def make_planner_of(budget_s=None, on_event=lambda kind, **fields: None, **plan):
    return Planner(SPEC, settings(**plan), budget_s=budget_s, on_event=on_event)


def settings(**plan) -> SessionConfig:
    return resolve({"actor": {"plan": SMALL | plan}, "learner": msgspec.to_builtins(LEARNER)})


def rollout(policy, steps=6):
    state, actions = policy.initial_state(), []
    for n in range(steps):
        action, state = policy(OBSERVATION, state, n == 0)
        actions.append(action)
    return np.array(actions)


class KnownWorld(PlanFunction):
    """What counts is how near each deviation from the policy is to a known one."""

    BEST = np.array([[2.0, -2.0]] * 3, np.float32)

    def _returns(self, parameters, start, tried, key):
        return -jnp.square(tried - self.BEST[:, None]).sum((0, 2))


def test_plans_find_the_best_that_is_known(parameters):
    policy = Policy(parameters, SPEC, MODEL, version=1)
    _, state = policy(OBSERVATION, policy.initial_state(), True)
    nothing = np.zeros((3, 2), np.float32)

    def function(**plan):
        config = msgspec.convert(SMALL | {"samples": 256, "temperature": 0.3} | plan, PlanConfig)
        return KnownWorld(WorldModel(SPEC, MODEL), LEARNER, config).plan

    def left(plan, previous=nothing):
        """Distance to the best as a share of that of the policy, which does not deviate from itself."""
        found = plan(parameters, state.latent, state.noise, previous, state.key).deviations
        return float(np.linalg.norm(found - KnownWorld.BEST) / np.linalg.norm(KnownWorld.BEST))

    once, often = function(), function(iterations=5)
    assert left(often) < 0.3 < left(once) < 0.9
    # Goes on from the plan of the step before: what that one wanted one step later is wanted now.
    earlier = np.concatenate([np.full((1, 2), 9.0, np.float32), KnownWorld.BEST[:2]])
    assert left(once, earlier) < left(once)


def test_a_plan_is_carried_out_with_a_share_of_the_noise_of_the_policy(parameters):
    policy = Policy(parameters, SPEC, MODEL, version=1)
    _, state = policy(OBSERVATION, policy.initial_state(), True)
    nothing = np.zeros((3, 2), np.float32)

    def raw_action(exploration, noise=state.noise):
        function = make_planner_of(exploration=exploration)._function(policy)
        return np.arctanh(function.plan(parameters, state.latent, noise, nothing, state.key).action)

    full, without = raw_action(1.0), raw_action(1.0, 0 * state.noise)
    np.testing.assert_allclose(raw_action(0.5), 0.5 * (full + without), rtol=1e-4)
    assert np.abs(full - without).min() > 0


def test_a_rollout_is_worth_its_rewards_and_what_the_critic_says_of_its_end(parameters):
    function = PlanFunction(WorldModel(SPEC, MODEL), LEARNER, PlanConfig(**SMALL))
    model, actor_critic = function._world_model, function._actor_critic
    drawn = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: model.rssm.initial_state((16,)))
    start = jax.tree.map(lambda x: drawn.normal(size=x.shape).astype(np.float32), shapes)
    tried, key = drawn.normal(size=(3, 16, 2)).astype(np.float32), jax.random.key(3)

    @jax.jit
    def expect(state):
        expected, weight = 0.0, 1.0
        for noise, step_key in zip(tried, jax.random.split(key, 3), strict=True):
            action = actor_critic.actor(parameters["actor"], state.features).at(noise).action
            state = imagine_step(model.rssm, parameters["rssm"], state, action, step_key)
            reward, continues = model.outcomes(parameters, state.features)
            expected, weight = expected + weight * reward, weight * LEARNER.discount * continues
        statistics = ReturnStatistics(**parameters["returns"])
        return expected + weight * actor_critic.value(parameters["critic"], state.features, statistics)

    returns = jax.jit(function._returns)(parameters, start, tried, key)
    np.testing.assert_allclose(returns, expect(start), rtol=1e-4)
    assert np.std(returns) > 0


def test_plans_are_repeatable_and_counted_and_the_model_is_told_what_was_done(parameters):
    policies = [make_planner_of().equip(Policy(parameters, SPEC, MODEL, version=1)) for _ in range(2)]
    actions = rollout(policies[0])
    np.testing.assert_array_equal(actions, rollout(policies[1]))
    assert not np.array_equal(actions, rollout(Policy(parameters, SPEC, MODEL, version=1)))
    assert np.abs(actions).max() <= 1.0
    planner = policies[0].planner
    assert (planner.plans, planner.late) == (6, 0)
    assert planner.imagined_steps == 6 * 16 * 3
    assert planner.latency.count == 6
    action, state = policies[0](OBSERVATION, policies[0].initial_state(), True)
    np.testing.assert_array_equal(state.policy.action[0], action)
    planner.close()


def test_a_plan_that_comes_too_late_is_not_waited_for(parameters):
    planner = make_planner_of(budget_s=1e-3, samples=2048, horizon_s=2.5)  # far too much for a millisecond
    planner.warm_up(Policy(parameters, SPEC, MODEL, version=1), OBSERVATION)
    assert (planner.plans, planner.late, planner.latency.count) == (0, 0, 0)
    policies = [Policy(parameters, SPEC, MODEL, version=1) for _ in range(2)]
    np.testing.assert_array_equal(rollout(planner.equip(policies[0]), 4), rollout(policies[1], 4))
    assert (planner.plans, planner.late) == (0, 4)
    planner.close()
    assert planner.latency.count >= 1  # what was begun was finished


def test_a_plan_that_is_in_time_is_the_one_that_lock_step_makes(parameters):
    in_time, waiting = make_planner_of(budget_s=0.049), make_planner_of()
    in_time._budget_s = 60.0  # whatever else this machine does
    policies = [planner.equip(Policy(parameters, SPEC, MODEL, version=1)) for planner in (in_time, waiting)]
    np.testing.assert_array_equal(*(rollout(policy, 3) for policy in policies))
    assert in_time.plans == waiting.plans == 3
    in_time.close()


def test_a_plan_that_is_no_number_is_not_carried_out(parameters):
    broken = parameters | {"critic": jax.tree.map(lambda x: np.full_like(x, np.nan), parameters["critic"])}
    planner = make_planner_of()
    actions = rollout(planner.equip(Policy(broken, SPEC, MODEL, version=1)), 3)
    np.testing.assert_array_equal(actions, rollout(Policy(parameters, SPEC, MODEL, version=1), 3))
    assert (planner.plans, planner.late) == (0, 3)


def publish(directory, parameters, version):
    metadata = SnapshotMetadata(
        version=version, gradient_step=7, env_steps=9, robot_spec=SPEC, model=msgspec.to_builtins(MODEL)
    )
    return write_snapshot(directory, flatten_parameters(parameters), metadata)


def test_switched_off_it_changes_nothing(tmp_path, parameters, agent_state):
    assert make_planner(SPEC, settings(samples=0), print) is None
    acting = jax.tree.map(np.array, Agent(SPEC, MODEL, LEARNER).policy_parameters(agent_state))
    expected = rollout(Policy(acting, SPEC, MODEL, version=1))
    # A session that planned and does not any more has snapshots with more in them.
    np.testing.assert_array_equal(expected, rollout(Policy.load(publish(tmp_path, parameters, 1), SPEC)))


def test_a_snapshot_of_a_session_that_did_not_plan_acts_by_its_policy_and_says_so_once(
    tmp_path, agent_state, parameters
):
    acting = jax.tree.map(np.array, Agent(SPEC, MODEL, LEARNER).policy_parameters(agent_state))
    events = []
    planner = make_planner_of(on_event=lambda kind, **fields: events.append((kind, fields)))
    for version in (1, 2):
        old = Policy.load(publish(tmp_path, acting, version), SPEC)
        np.testing.assert_array_equal(rollout(planner.equip(old)), rollout(Policy(acting, SPEC, MODEL, version)))
    assert events == [("policy_without_plans", {"policy_version": 1})]
    assert (planner.plans, planner.late) == (0, 0)
    # The state goes over to a version that plans.
    old, new = planner.equip(old), planner.equip(Policy.load(publish(tmp_path, parameters, 3), SPEC))
    _, state = old(OBSERVATION, old.initial_state(), True)
    new(OBSERVATION, state, False)
    assert planner.plans == 1 and len(events) == 1


def test_what_cannot_be_planned_is_said():
    with pytest.raises(UserError, match=r"actor\.plan\.samples=0"):
        Planner(make_spec(Space((), classes=4)), settings())
    with pytest.raises(UserError, match=r"actor\.plan\.budget_ms=50 .* 50 ms"):
        make_planner_of(budget_s=0.05)
