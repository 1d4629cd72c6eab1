import dataclasses
import math
import random

import numpy as np
import pytest

from daydreamer.experience.step import Step
from daydreamer.presentation import Milestone
from daydreamer.robots.quadruped.presentation import (
    FORWARD_VELOCITY,
    HOLD_S,
    MEAN_S,
    PUBLISHED_REWARD,
    STANDING,
    STANDING_REWARD,
    UPRIGHT,
    UPRIGHT_HOLD_S,
    UPRIGHT_TERM,
    WALK,
    WALKING,
    WALKING_SPEED_M_S,
)
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones

PERIOD_S = 0.05
LYING = (0.0, 5.0, 0.0)
ROLLED_OVER = (UPRIGHT_TERM, 7.0, 0.0)
STILL = (1.0, STANDING_REWARD, 0.0)
AT_A_WALK = (1.0, 14.0, WALKING_SPEED_M_S)
# The first mean needs `MEAN_S` of steps, and its last step is the first of the hold.
HELD_FROM_START_S = MEAN_S + HOLD_S - PERIOD_S


def values(r_upright, reward, forward_m_s):
    return {"reward_terms/r_upright": r_upright, PUBLISHED_REWARD: reward, FORWARD_VELOCITY: forward_m_s}


def feed(milestones, step_values, seconds):
    """Names of the milestones reached in `seconds` of steps with the same values."""
    reached = []
    for _ in range(round(seconds / PERIOD_S)):
        reached += milestones.update(values(*step_values))
    return reached


def test_nothing_is_reached_by_lying():
    milestones = Milestones(WALK.milestones, PERIOD_S)
    assert feed(milestones, LYING, 120.0) == []
    assert milestones.reached_s == {}


def test_each_is_reached_once_at_the_exact_end_of_its_hold():
    milestones = Milestones(WALK.milestones, PERIOD_S)
    assert feed(milestones, LYING, 60.0) == []
    assert feed(milestones, ROLLED_OVER, UPRIGHT_HOLD_S - PERIOD_S) == []
    assert milestones.update(values(*ROLLED_OVER)) == (UPRIGHT,)
    # The mean is at the threshold only once the last lesser step has left its window.
    assert feed(milestones, STILL, HELD_FROM_START_S - PERIOD_S) == []
    assert milestones.update(values(*STILL)) == (STANDING,)
    assert feed(milestones, (1.0, 14.0, 0.2), 40.0) == []
    assert feed(milestones, AT_A_WALK, HELD_FROM_START_S - PERIOD_S) == []
    assert milestones.update(values(*AT_A_WALK)) == (WALKING,)
    assert feed(milestones, AT_A_WALK, 60.0) == []
    upright_s = 60.0 + UPRIGHT_HOLD_S
    standing_s = upright_s + HELD_FROM_START_S
    walking_s = standing_s + 40.0 + HELD_FROM_START_S
    assert milestones.reached_s == pytest.approx({UPRIGHT: upright_s, STANDING: standing_s, WALKING: walking_s})


def test_milestones_do_not_wait_for_one_another():
    milestones = Milestones(WALK.milestones, PERIOD_S)
    reached = feed(milestones, (0.0, 5.0, WALKING_SPEED_M_S), 40.0)
    reached += feed(milestones, (0.0, STANDING_REWARD, 0.0), 40.0)
    reached += feed(milestones, (1.0, 5.0, 0.0), 40.0)
    assert reached == [WALKING, STANDING, UPRIGHT]


def test_reached_at_the_same_step():
    assert set(feed(Milestones(WALK.milestones, PERIOD_S), AT_A_WALK, HELD_FROM_START_S)) == {
        UPRIGHT,
        STANDING,
        WALKING,
    }


@pytest.mark.parametrize(
    ("good", "bad", "name", "held_s"),
    [
        (ROLLED_OVER, (UPRIGHT_TERM - 0.01, 7.0, 0.0), UPRIGHT, UPRIGHT_HOLD_S),
        (STILL, (1.0, STANDING_REWARD - 0.01, 0.0), STANDING, HELD_FROM_START_S),
        (AT_A_WALK, (1.0, 14.0, WALKING_SPEED_M_S - 0.001), WALKING, HELD_FROM_START_S),
        (AT_A_WALK, (1.0, 14.0, math.nan), WALKING, HELD_FROM_START_S),
        (AT_A_WALK, (1.0, 14.0, math.inf), WALKING, HELD_FROM_START_S),
        (AT_A_WALK, (math.nan, math.nan, math.nan), WALKING, HELD_FROM_START_S),
    ],
)
def test_one_bad_step_just_before_the_end_starts_the_hold_anew(good, bad, name, held_s):
    milestones = Milestones(WALK.milestones, PERIOD_S)
    feed(milestones, good, held_s - PERIOD_S)
    assert name not in milestones.update(values(*bad))
    assert name not in feed(milestones, good, held_s - PERIOD_S)
    assert name in milestones.update(values(*good))
    assert milestones.reached_s[name] == pytest.approx(2 * held_s)


def test_sway_within_the_running_mean_is_no_break_but_a_slow_stretch_is():
    trot = [(1.0, 12.0, 0.32 + 0.2 * math.sin(4 * math.pi * step * PERIOD_S)) for step in range(2000)]
    milestones = Milestones(WALK.milestones, PERIOD_S)
    for each in trot:
        milestones.update(values(*each))
    assert WALKING in milestones.reached_s

    milestones = Milestones(WALK.milestones, PERIOD_S)
    for step, each in enumerate(trot):
        slow = step % 400 < 2 * MEAN_S / PERIOD_S
        milestones.update(values(*((1.0, 12.0, 0.25) if slow else each)))
    assert WALKING not in milestones.reached_s


def test_what_is_held_has_that_mean_over_the_whole_hold():
    generator = random.Random(0)
    rewards = [generator.gauss(STANDING_REWARD + 0.05, 0.4) for _ in range(40_000)]
    milestones = Milestones(WALK.milestones, PERIOD_S)
    reached_step = next(
        step for step, reward in enumerate(rewards, 1) if STANDING in milestones.update(values(1, reward, 0))
    )
    held = rewards[reached_step - round(HOLD_S / PERIOD_S) : reached_step]
    assert sum(held) / len(held) >= STANDING_REWARD
    assert min(held) < STANDING_REWARD


def test_an_interruption_starts_every_hold_anew():
    milestones = Milestones(WALK.milestones, PERIOD_S)
    feed(milestones, AT_A_WALK, UPRIGHT_HOLD_S - PERIOD_S)
    milestones.interrupt()
    assert feed(milestones, AT_A_WALK, UPRIGHT_HOLD_S - PERIOD_S) == []
    assert milestones.update(values(*AT_A_WALK)) == (UPRIGHT,)
    assert feed(milestones, AT_A_WALK, HELD_FROM_START_S - UPRIGHT_HOLD_S) == [STANDING, WALKING]


def step(**changes):
    nothing = np.zeros(0)
    fields = dict.fromkeys([field.name for field in dataclasses.fields(Step)], 0)
    fields |= {"observation": {}, "action_requested": nothing, "action_sent": nothing, "info": {}}
    fields |= {"reward_terms": {"r_upright": 1.0}, "is_first": False, "is_last": False}
    return Step(**fields | changes)


def test_only_an_episode_that_was_cut_short_breaks_a_hold():
    for last, expected in ((True, 10.0), (False, 15.0)):
        events = []
        milestones = Milestones(WALK.milestones, PERIOD_S)
        recorder = MilestoneRecorder(milestones, lambda kind, events=events, **fields: events.append(fields))
        for index in range(300):
            recorder.add(step(is_first=index in (0, 100), is_last=last and index == 99))
        assert events == [{"name": UPRIGHT, "robot_seconds": pytest.approx(expected)}]
        assert recorder.reached_s == pytest.approx({UPRIGHT: expected})


def test_a_task_without_the_term_is_never_upright():
    recorder = MilestoneRecorder(Milestones(WALK.milestones, PERIOD_S), lambda kind, **fields: pytest.fail(kind))
    for _ in range(300):
        recorder.add(step(reward_terms={}))


def test_goes_on_from_an_earlier_part_of_the_session():
    milestones = Milestones(WALK.milestones, PERIOD_S, earlier_s=600.0, earlier_reached_s={UPRIGHT: 120.0})
    assert feed(milestones, STILL, 60.0) == [STANDING]
    assert milestones.reached_s == pytest.approx({UPRIGHT: 120.0, STANDING: 600.0 + HELD_FROM_START_S})


def test_a_simulators_truth_is_judged_in_place_of_what_was_measured():
    reached = {}
    for truth in ({}, {FORWARD_VELOCITY: WALKING_SPEED_M_S}):
        recorder = MilestoneRecorder(Milestones(WALK.milestones, PERIOD_S), lambda kind, **fields: None)
        for _ in range(round(HELD_FROM_START_S / PERIOD_S)):
            recorder.add(step(info={"forward_velocity_m_s": 0.1}), truth)
        reached[bool(truth)] = set(recorder.reached_s)
    assert reached == {False: {UPRIGHT}, True: {UPRIGHT, WALKING}}


@pytest.mark.parametrize("period_s", [0.05, 2.0])
def test_what_is_done_in_a_moment_takes_one_step_however_slow_they_are(period_s):
    grasped = Milestone(name="grasped", did="grasped it", quantity="reward", at_least=1.0, hold_s=0.0, mean_s=0.5)
    milestones = Milestones([grasped], period_s)
    steps = max(1, round(0.5 / period_s))
    reached = [milestones.update({"reward": float(step >= 10)}) for step in range(10 + steps)]
    assert reached == [()] * (9 + steps) + [("grasped",)]


@pytest.mark.parametrize("shown", [False, True])
def test_what_somebody_else_had_a_part_in_is_no_milestone_unless_it_is_shown(shown):
    paid = Milestone(name="paid", did="was paid", quantity="reward", at_least=0.5, hold_s=0.0, mean_s=PERIOD_S)
    reached = []
    recorder = MilestoneRecorder(Milestones([paid], PERIOD_S), lambda kind, **fields: reached.append(fields), shown)
    recorder.add(step(is_first=True, reward=0.0, intervention=True))
    recorder.add(step(is_last=True, reward=1.0, intervention=False), {"reward": 1.0})
    assert len(reached) == shown
    recorder.add(step(is_first=True, reward=1.0, intervention=False))
    assert len(reached) == 1


def test_a_robot_without_milestones_reaches_none():
    milestones = Milestones((), PERIOD_S)
    assert milestones.update({}) == () and milestones.reached_s == {}
