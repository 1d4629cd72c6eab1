"""Rhythms: what they are, when they are tried, and that some of them walk."""

import msgspec
import numpy as np
import pytest

from daydreamer.errors import UserError
from daydreamer.robots.quadruped.rhythm import (
    BOUT_S,
    KEPT,
    PAUSE_S,
    SHOWING_S,
    STILL_S,
    TRIED_AT_LEAST,
    Rhythm,
    Rhythms,
)
from daydreamer.session.new import configure
from daydreamer.spec import RobotSpec, Space
from sim.environment import make_environment

SPEC = RobotSpec(
    "toy", "toy", 20.0, 250, ("a", "b", "c", "d"), (), {"x": Space((1,))}, Space((4,), low=-1.0, high=1.0), ("r",)
)
MIRRORED = msgspec.structs.replace(SPEC, mirror={"x": (1,), "action": (-2, -1, 4, 3)})
RANGE_HZ = (1.0, 2.0)


def make(spec=MIRRORED, seed=0):
    return Rhythms(spec, RANGE_HZ, np.random.default_rng(seed))


def run(rhythms, steps, reward, policy_acts=True, fallen=False, may_begin=True, stands=True):
    """The actions of `steps`; `reward` is a number or a function of the action before."""
    actions, last = [], None
    for _ in range(steps):
        now = reward(last) if callable(reward) else reward
        last = rhythms.choose(now, stands=stands, fallen=fallen, policy_acts=policy_acts, may_begin=may_begin)
        actions.append(last)
    return actions


def rhythm(wave_of, seed=0):
    rhythms = make(wave_of, seed)
    run(rhythms, 1, 9.0)
    return rhythms._rhythm


def test_a_bout_begins_at_rest_and_stays_in_range():
    wave = Rhythm(2.0, np.array([5.0 + 0j, 0.1j]))
    actions = np.array([wave.action(0.05 * step) for step in range(80)])
    still = round(STILL_S * 20)
    assert not actions[: still + 1].any() and np.abs(actions).max() == 1.0
    np.testing.assert_allclose(np.abs(actions[2 * still :, 1]).max(), 0.1, rtol=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_sides_take_turns(seed):
    """Half a period later the robot does the mirror image."""
    found = rhythm(MIRRORED, seed)
    times_s = 10.0 + np.arange(40) / 37
    now = np.array([found.action(t) for t in times_s])
    later = np.array([found.action(t + 0.5 / found.frequency_hz) for t in times_s])
    np.testing.assert_allclose(later, MIRRORED.mirror_image("action", now), atol=1e-6)
    assert RANGE_HZ[0] <= found.frequency_hz <= RANGE_HZ[1] and np.abs(now).max() > 0.05


def test_a_robot_without_sides_has_rhythms_too():
    assert np.abs(rhythm(SPEC).amplitude).min() > 0.0


def test_actions_without_rhythm_are_refused():
    discrete = msgspec.structs.replace(SPEC, action=Space((), classes=5))
    with pytest.raises(UserError, match="actor.rhythm_hz to null"):
        make(discrete)


@pytest.mark.parametrize("frequency_hz", [(2.0, 1.0), (0.0, 1.0), (1.0, 11.0)])
def test_frequencies_that_cannot_be_are_refused(frequency_hz):
    with pytest.raises(UserError, match="actor.rhythm_hz"):
        Rhythms(MIRRORED, frequency_hz, np.random.default_rng(0))


def test_bouts_and_policy_take_turns():
    actions = run(make(), 20 * 60, 9.0)
    lengths = np.diff(np.flatnonzero(np.diff([0, *[action is not None for action in actions], 0])))
    np.testing.assert_allclose(lengths[::2][:-1], BOUT_S * 20, atol=1)
    np.testing.assert_allclose(lengths[1::2], PAUSE_S * 20, atol=1)


def test_without_policy_bouts_follow_one_another():
    assert all(action is not None for action in run(make(), 400, 9.0, policy_acts=False))


@pytest.mark.parametrize("hindrance", [{"stands": False}, {"may_begin": False}, {"fallen": True}])
def test_where_no_bout_begins(hindrance):
    assert not any(action is not None for action in run(make(), 400, 9.0, **hindrance))


def test_a_fall_ends_a_bout_and_counts():
    fell, stood = make(), make()
    run(fell, 30, 9.0)
    assert run(fell, 20, 5.0, fallen=True)[-1] is None
    run(fell, 100, 9.0)
    run(stood, 150, 9.0)
    assert fell._best[0][-1].scores[0] < 7.0 < stood._best[0][-1].scores[0]


def test_what_pays_is_found_and_kept_until_the_policy_does_as_well():
    """Here the third element has to swing."""
    rhythms, policy = make(), [9.0]

    def reward(action):
        return policy[0] if action is None else 9.0 + 4.0 * min(1.0, float(np.abs(action[2])))

    run(rhythms, 20 * 300, reward)
    scores = [found.scores[0] for found in rhythms._best[0]]
    assert len(scores) == KEPT and min(scores) > 10.0
    policy[0] = 13.0
    assert not any(action is not None for action in run(rhythms, 1000, reward)[500:])
    policy[0] = 8.0  # it forgets how: help comes back
    assert any(action is not None for action in run(rhythms, 1000, reward)[500:])


def test_each_aim_has_its_own_best():
    """Here the first is that the third element swings, and the second that the fourth does and the third does not."""

    class Swinging:
        alternate = (True, False)
        action = None

        def relative(self, amplitude, generator):
            return amplitude * (1.0, 1.0, 0.2, 1.5)

        def last_step(self):
            return np.zeros(2) if self.action is None else np.minimum(np.abs(self.action[2:]), 1.0)

        def scores(self, steps):
            third, fourth = steps.mean(0)
            return [9.0 + 4.0 * third, 9.0 + 4.0 * max(0.0, fourth - third)]

    aims = Swinging()
    rhythms = Rhythms(MIRRORED, RANGE_HZ, np.random.default_rng(0), aims=aims)
    for _ in range(20 * 300):
        aims.action = rhythms.choose(9.0, stands=True, fallen=False, policy_acts=True, may_begin=True)
    scores = np.array([np.mean([found.scores for found in best], axis=0) for best in rhythms._best])
    assert scores[0, 0] > scores[1, 0] + 0.5 and scores[1, 1] > scores[0, 1] + 0.5
    # Sides that take turns swing alike, so that only the second aim can find what it is after.
    assert scores[0, 1] < 9.1 and scores.min() >= 9.0


def test_what_never_pays_is_given_up():
    actions = run(make(), 20 * 60 * 10, lambda action: 9.0 if action is None else 8.0)
    tried = sum(
        before is None and action is not None for before, action in zip([None, *actions], actions, strict=False)
    )
    assert tried == TRIED_AT_LEAST


def test_some_rhythms_walk():
    """In the twin, of a standing A1: forwards by 10 cm/s or more, without a fall. Measured: one in five to ten."""
    config = configure(robot="a1", minutes=1.0, seed=0, overrides=[])
    with make_environment("a1", config) as environment:
        environment.reset()
        twin, spec = environment.physics.twin, environment.task.robot_task.spec
        rhythms = Rhythms(spec, config.actor.rhythm_hz, np.random.default_rng(0))
        walked = 0
        for _ in range(40):
            twin.reset("standing")
            found = rhythms._draw()
            start_m = twin.data.qpos[0]
            for step in range(round(BOUT_S * 20)):
                environment.step(found.action(step / 20))
            moved_m = twin.data.qpos[0] - start_m
            walked += moved_m > 0.1 * (BOUT_S - 2 * STILL_S) and environment.truth.up_z > 0.7
    assert 2 <= walked <= 20


def test_a_policy_that_does_what_it_did_elsewhere_is_left_alone():
    def make_until(reward):
        return Rhythms(MIRRORED, RANGE_HZ, np.random.default_rng(0), until_reward=reward)

    assert set(run(make_until(8.5), 20 * 60, 9.0)) == {None}
    rhythms = make_until(9.5)
    first = run(rhythms, 20 * 60, 9.0)
    begun = [action is not None for action in first].index(True)
    assert begun == pytest.approx(SHOWING_S * 20, abs=1), "once it has shown what it can do"
    run(rhythms, round(BOUT_S * 20), 9.0)  # whatever is under way
    assert any(action is not None for action in run(rhythms, 20 * 60, 9.0))
    run(rhythms, 20 * 60, lambda action: 12.0 if action is None else 6.0)
    assert set(run(rhythms, 20 * 60, 12.0)) == {None}, "once the policy has become as good"
