import numpy as np
import pytest

from daydreamer.actor.exploration import EXTREMES, Explorer, random_action
from daydreamer.config import ActorConfig
from daydreamer.spec import RobotSpec, Space

ACTION = Space((4,), low=-1.0, high=1.0)
SPEC = RobotSpec("toy", "toy", 20.0, 250, ("a", "b", "c", "d"), (), {"x": Space((1,))}, ACTION, ("r",))
HOLD_STEPS = 20


def make(**actor):
    return Explorer(SPEC, ActorConfig(**actor), np.random.default_rng(0))


def run(explorer, rewards, first=0, has_policy=True):
    return [explorer.choose(reward, first + step, has_policy) for step, reward in enumerate(rewards)]


def share_of_chance(actions):
    return np.mean([action is not None for action in actions])


def test_chance_acts_alone_at_first_and_holds_its_actions():
    actions = run(make(random_steps=50), [5.0] * 90)
    assert all(action is not None for action in actions[:50])
    assert all(action is None for action in actions[50:])
    for begin in (0, 20, 40):
        held = np.array(actions[begin : min(begin + HOLD_STEPS, 50)])
        np.testing.assert_array_equal(held, np.broadcast_to(held[0], held.shape))
    assert not np.array_equal(actions[0], actions[20])


def test_chance_acts_until_there_is_a_policy_and_leaves_as_soon_as_it_comes():
    explorer = make(random_steps=0)
    assert share_of_chance(run(explorer, [5.0] * 30, has_policy=False)) == 1.0
    assert explorer.choose(5.0, 30, True) is None


def test_a_robot_that_does_as_well_as_ever_is_left_alone():
    explorer = make(random_steps=0)
    assert share_of_chance(run(explorer, np.linspace(5, 14, 4000))) == 0.0
    assert not explorer.struggling


def test_chance_takes_turns_with_the_policy_after_a_fall_until_the_robot_is_up():
    explorer = make(random_steps=0, rescue=0.5)
    run(explorer, [5.0] * 200 + [9.0] * 400)
    fallen = run(explorer, [5.0] * 4000, first=600)
    assert 0.35 < share_of_chance(fallen[200:]) < 0.65
    assert share_of_chance(fallen[:40]) == 0.0  # a stumble of two seconds is no fall
    up = run(explorer, [9.0] * 400, first=4600)
    assert share_of_chance(up[120:]) == 0.0


def test_without_rescue_the_policy_is_left_to_itself():
    explorer = make(random_steps=0, rescue=0.0)
    run(explorer, [5.0] * 200 + [9.0] * 400)
    assert share_of_chance(run(explorer, [5.0] * 1000, first=600)) == 0.0


@pytest.mark.parametrize("space", [ACTION, Space((), classes=6)], ids=["continuous", "discrete"])
def test_random_actions_are_valid_and_reach_the_ends(space):
    generator = np.random.default_rng(0)
    actions = np.array([random_action(space, generator) for _ in range(2000)])
    if space.is_discrete:
        assert set(actions.tolist()) == set(range(6))
        return
    assert np.abs(actions).max() == 1.0
    assert 0.7 * EXTREMES < np.mean(np.abs(actions) == 1.0) < EXTREMES
    small = np.abs(actions).max(axis=1) <= 0.3
    assert 0.15 < small.mean() < 0.25
