"""The robot that peers learn on is the one that we learn on."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.new import configure

STEPS = 260  # into the A1's second episode
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def wave(step, size):
    return np.sin(0.3 * step + np.arange(size)).astype(np.float32)


class Waving:
    version = 1
    created_wall_s = 0.0

    def __init__(self, log, size):
        self._log, self._size = log, size

    def initial_state(self):
        return None

    def __call__(self, observation, state, is_first):
        return wave(len(self._log), self._size), None


def run_our_loop(config, steps):
    twin, task, log = find_robot(config.robot).make_twin(config.twin, config.seed), make_task(config), []
    policy = Waving(log, task.spec.action.size)
    loop = ControlLoop(task, config.actor, log, actor_life=1, seed=config.seed, clock=lambda: twin.time_s)
    loop.set_policy(policy)
    with contextlib.closing(twin):
        while len(log) < steps:
            twin.command(loop.step(twin.measure(), twin.time_s).setpoint)
            twin.advance(loop.tick_period_s)
    return log


def configured(robot, **named):
    overrides = ["actor.fallen_reward=null", "actor.rhythm_hz=null"]
    return configure(robot=robot, minutes=1, seed=3, preset="tiny", overrides=overrides, **named)


@pytest.fixture
def peer_robot(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from peer_learners.robot import PeerRobot

    with contextlib.ExitStack() as stack:
        yield lambda config: stack.enter_context(contextlib.closing(PeerRobot(config)))


@pytest.mark.parametrize(
    "config, steps",
    [(configured("a1"), STEPS), (configured("burger", task="reach"), 120)],
    ids=["a1", "burger"],
)
def test_lives_as_under_our_own_loop(peer_robot, config, steps):
    robot, endings = peer_robot(config), []
    assert robot.restarts == (config.robot == "burger")
    for expected in run_our_loop(config, steps):
        observation, reward = robot.state.observation, robot.state.reward
        flags = (robot.is_first, robot.is_last)
        step = robot.step(wave(expected.sequence, robot.spec.action.size))
        assert (robot.last_ending is not None) == expected.is_terminal
        endings += [robot.last_ending] if expected.is_last else []
        assert flags == (expected.is_first, expected.is_last) == (step.is_first, step.is_last)
        assert reward == step.reward == expected.reward
        for key, values in expected.observation.items():
            np.testing.assert_array_equal(observation[key], values)
        np.testing.assert_array_equal(step.action_requested, expected.action_requested)
        np.testing.assert_array_equal(step.action_sent, expected.action_sent)
    assert expected.sequence == steps - 1
    assert len(endings) == 1 if config.robot == "a1" else "failure" in endings


def test_random_beginning_and_clock(peer_robot):
    config, times_s, carried_out = configured("a1"), [], []
    robot = peer_robot(config)
    for sequence in range(STEPS):
        step = robot.step(wave(sequence, 12))
        times_s.append(step.monotonic_ns * 1e-9)
        carried_out.append(np.array_equal(step.action_requested, wave(sequence, 12)))
    assert carried_out == [sequence >= robot.spec.steps(config.actor.random_s) for sequence in range(STEPS)]
    np.testing.assert_allclose(np.diff(times_s), 0.05, atol=1e-6)
