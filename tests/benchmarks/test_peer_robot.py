"""The robot that peers learn on is the one that we learn on."""

from pathlib import Path

import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.session.new import configure

STEPS = 260  # into the second episode
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def wave(step):
    return np.sin(0.3 * step + np.arange(12)).astype(np.float32)


class Waving:
    version = 1
    created_wall_s = 0.0

    def initial_state(self):
        return None

    def __call__(self, observation, state, is_first):
        return wave(self.steps), None


def run_our_loop(config):
    twin, task, policy, log = make_twin(config.twin, config.seed), QuadrupedWalkTask(A1), Waving(), []
    loop = ControlLoop(task, config.actor, log, actor_life=1, seed=config.seed, clock=lambda: twin.time_s)
    loop.set_policy(policy)
    for policy.steps in range(STEPS):
        twin.command(loop.step(twin.measure(), twin.time_s).setpoint)
        twin.advance(task.spec.control_period_s)
    return log


@pytest.fixture
def config():
    overrides = ["actor.fallen_reward=null", "actor.rhythm_hz=null"]
    return configure(robot="a1", minutes=1, seed=3, preset="tiny", overrides=overrides)


@pytest.fixture
def robot(config, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from peer_learners.robot import PeerRobot

    return PeerRobot(config)


def test_lives_as_under_our_own_loop(robot, config):
    for expected in run_our_loop(config):
        observation, reward = robot.state.observation, robot.state.reward
        flags = (robot.is_first, robot.is_last)
        step = robot.step(wave(expected.sequence))
        assert flags == (expected.is_first, expected.is_last) == (step.is_first, step.is_last)
        assert reward == step.reward == expected.reward
        for key, values in expected.observation.items():
            np.testing.assert_array_equal(observation[key], values)
        np.testing.assert_array_equal(step.action_requested, expected.action_requested)
        np.testing.assert_array_equal(step.action_sent, expected.action_sent)
    assert expected.sequence == STEPS - 1


def test_random_beginning_and_clock(robot, config):
    times_s, carried_out = [], []
    for sequence in range(STEPS):
        step = robot.step(wave(sequence))
        times_s.append(step.monotonic_ns * 1e-9)
        carried_out.append(np.array_equal(step.action_requested, wave(sequence)))
    assert carried_out == [sequence >= robot.spec.steps(config.actor.random_s) for sequence in range(STEPS)]
    np.testing.assert_allclose(np.diff(times_s), 0.05, atol=1e-6)
