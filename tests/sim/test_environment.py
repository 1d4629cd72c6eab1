import warnings
from types import SimpleNamespace

import dm_env
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.simulated import live_a_step
from daydreamer.config import SessionConfig, resolve
from daydreamer.contract.signals import JOINT_POSITION
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.task import EPISODE_STEPS, QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from sim.environment import make_environment, make_gymnasium

LAST_STEP = EPISODE_STEPS - 1


@pytest.fixture
def environment():
    return make_environment("a1", SessionConfig(seed=4))


def random_actions(seed=0):
    random = np.random.default_rng(seed)
    while True:
        yield random.uniform(-1, 1, JOINTS)


def test_specs_are_dm_controls(environment):
    action = environment.action_spec()
    assert action.shape == (12,) and (action.minimum == -1).all() and (action.maximum == 1).all()
    observation = environment.observation_spec()
    assert list(observation) == list(QuadrupedWalkTask(A1).spec.observation)
    first = environment.reset()
    for key, spec in observation.items():
        spec.validate(first.observation[key])


def test_time_steps_follow_the_conventions(environment):
    first = environment.step(np.zeros(12))  # a step before the first reset resets
    assert first.first() and first.reward is None and first.discount is None
    actions = random_actions()
    for step in range(EPISODE_STEPS):
        time_step = environment.step(next(actions))
        assert time_step.discount == 1.0
        assert time_step.reward == environment.task_state.reward
        assert time_step.step_type == (dm_env.StepType.LAST if step == LAST_STEP else dm_env.StepType.MID)
    assert environment.step(next(actions)).first()
    assert environment.control_timestep() == pytest.approx(0.05)


def test_starts_on_its_back_with_a_reward_of_five(environment):
    environment.reset()
    assert environment.truth.up_z < -0.95
    assert environment.step(np.zeros(12)).reward == pytest.approx(5.0, abs=0.1)


def test_nobody_picks_the_robot_up_between_episodes(environment):
    environment.reset()
    actions = random_actions()
    for _ in range(EPISODE_STEPS):
        last = environment.step(next(actions))
    assert last.last()
    before = environment.physics.get_state()
    first = environment.reset()
    np.testing.assert_array_equal(environment.physics.get_state(), before)
    for key, value in last.observation.items():
        np.testing.assert_array_equal(first.observation[key], value)


def test_the_reward_is_made_from_sensors_not_from_truth(environment):
    environment.reset()
    actions, differences = random_actions(), []
    for _ in range(20):
        environment.step(next(actions))
        differences.append(environment.task_state.info["up_z"] - environment.truth.up_z)
    assert np.ptp(differences) > 0  # the sensor's noise is in it
    assert set(environment.task_state.reward_terms) == set(QuadrupedWalkTask(A1).spec.reward_terms)


def test_actions_reach_the_motors_filtered(environment):
    environment.reset()
    start = environment.physics.twin.data.qpos[7:].copy()
    action = np.ones(12)
    environment.step(action)
    target = environment.task.robot_task.joint_targets(action)
    moved = environment.physics.twin.driver.targets._target - start
    assert (np.abs(moved) < 0.2 * np.abs(target - start)).all()
    for _ in range(40):
        environment.step(action)
    np.testing.assert_allclose(environment.physics.twin.driver.targets._target, target, atol=0.02)


def test_a_seed_repeats():
    def rewards(seed):
        environment, actions = make_environment("a1", SessionConfig(seed=seed)), random_actions()
        environment.reset()
        return [environment.step(next(actions)).reward for _ in range(30)]

    assert rewards(1) == rewards(1)
    assert rewards(1) != rewards(2)


def configured(robot, task, **settings):
    entry = find_robot(robot)
    return resolve(entry.preset(task, "default", "twin"), {"robot": robot, "task": task}, {"twin": settings})


def test_an_arm_goes_as_far_as_under_its_control_loop():
    """It is told where to be ten times in a step, each time within reach of where it is by then."""
    config = configured("so101", "pick_place", joint_position_noise_rad=0.0, joint_velocity_noise_rad_s=0.0)
    actions = [0, 2, 2, 1, 3]
    environment = make_environment("so101", config)
    environment.reset()
    for action in actions:
        environment.step(action)
    entry = find_robot("so101")
    twin, task = entry.make_twin(config.twin, config.seed), entry.task(config.task).make(config)
    task.restart = lambda measurement, elapsed_s: None
    log = SimpleNamespace(append=lambda step: None)
    loop, chosen = ControlLoop(task, config.actor, log, actor_life=1, seed=0, clock=lambda: twin.time_s), iter(actions)
    loop.intervene(lambda state: np.int32(next(chosen)))
    for _ in actions:
        live_a_step(loop, twin)
    there, here = (each.read()[JOINT_POSITION] for each in (twin, environment.physics.twin))
    np.testing.assert_allclose(here, there, atol=1e-6)
    environment.close()


def test_choices_are_told_as_such():
    environment = make_environment("so101", configured("so101", "pick_place"))
    assert environment.action_spec().num_values == environment.task.robot_task.spec.action.classes
    environment.close()


def test_a_new_seed_begins_the_task_anew_as_well():
    environment = make_gymnasium("a1", configured("a1", "follow"))
    wishes = []
    for _ in range(2):
        environment.reset(seed=5)
        seen = [environment.step(environment.action_space.sample() * 0)[0] for _ in range(60)]
        wishes.append(np.concatenate([each["wish"] for each in seen]))
    np.testing.assert_array_equal(*wishes)
    assert np.unique(wishes[0]).size > 1
    environment.close()


def test_a_time_step_that_does_not_divide_a_control_step_is_refused():
    with pytest.raises(UserError, match="physics_timestep_s is 0.003; a control step of 0.05 s has to be a multiple"):
        make_environment("a1", configured("a1", "walk", physics_timestep_s=0.003))


def test_a_robot_without_a_twin_or_that_nobody_knows_is_refused():
    with pytest.raises(UserError, match="no robot 'spot'"):
        make_environment("spot")


def test_gymnasium_takes_it_and_a_foreign_learner_can_step_it():
    environment = make_gymnasium("a1", SessionConfig(seed=4))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*probably too (low|high)")  # observations have no bounds
        check_env(environment, skip_render_check=True)
    spec = environment.unwrapped.task.robot_task.spec
    observation, info = environment.reset(seed=7)
    random, truncated, rewards = np.random.default_rng(0), False, []
    while not truncated:
        action = random.uniform(environment.action_space.low, environment.action_space.high)
        observation, reward, terminated, truncated, info = environment.step(action.astype(np.float32))
        assert observation in environment.observation_space and not terminated
        rewards.append(reward)
    assert len(rewards) == spec.episode_steps and np.isfinite(rewards).all()
    assert environment.reset()[0].keys() == spec.observation.keys()
    environment.close()
