"""Observations, rewards and endings of the Burger's tasks, against figures worked out by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from daydreamer.contract.signals import CAMERA
from daydreamer.robots.burger import ROBOT
from daydreamer.robots.burger.constants import LIMITS, TWIST_OF_WHEELS, WHEEL_SPEED_RAD_S
from daydreamer.robots.burger.embodiment import ABOVE
from daydreamer.robots.burger.reach import EPISODE_STEPS, Reach
from daydreamer.robots.burger.reach_from_above import ReachFromAbove
from daydreamer.session.new import configure

sys.path.append(str(Path(__file__).parent))
from burger_rig import GREY, measured, with_patch

RED = (200, 20, 20)
ALL = slice(None)
STANDING = np.zeros(2)


@pytest.fixture
def task():
    return Reach(seed=0)


def test_it_sees_its_wheels_and_its_gyroscope_in_their_own_units(task):
    state = task.observe(measured((0.11, 0.75)), np.array((0.11, 0.75)))
    # 0.11 m/s are half of the fastest; 0.75 rad/s are 0.06 m/s more on the right than in the middle.
    assert state.observation["wheel_speed"] == pytest.approx(((0.11 - 0.06) / 0.22, (0.11 + 0.06) / 0.22))
    assert state.observation["turn_rate"] == pytest.approx((0.5,))
    assert state.observation["camera"] is GREY and state.info["forward_velocity_m_s"] == pytest.approx(0.11)


def test_driving_towards_the_post_is_paid_and_standing_before_it_is_not(task):
    ahead, aside = with_patch(ALL, slice(30, 34), RED), with_patch(ALL, slice(0, 4), RED)
    told = np.array((0.22, 0.0))
    assert task.observe(measured((0.22, 0.0), ahead), told).reward == pytest.approx(0.2)
    assert task.observe(measured((0.0, 0.0), ahead), STANDING).reward == 0.0
    assert task.observe(measured((0.22, 0.0), aside), told).reward == pytest.approx(0.2 * (1 - 0.9375))
    assert task.observe(measured((0.22, 0.0)), told).reward == 0.0


def test_a_post_that_is_near_and_in_front_ends_the_episode(task):
    assert task.observe(measured(picture=with_patch(ALL, slice(22, 41), RED)), STANDING).ending is None
    state = task.observe(measured(picture=with_patch(ALL, slice(22, 42), RED)), STANDING)
    assert state.ending == "success" and state.reward_terms["reached"] == 3.0 and state.info["success_percent"] == 10.0
    assert (
        task.observe(measured(picture=with_patch(ALL, slice(0, 20), RED)), STANDING).ending is None
    )  # off to the side


def test_a_post_that_an_operator_drove_to_is_paid_and_no_success_of_the_policys(task):
    task.taken_over()
    there = with_patch(ALL, slice(22, 42), RED)
    state = task.observe(measured(picture=there), STANDING)
    assert (state.ending, state.reward_terms["reached"], state.info["success_percent"]) == ("success", 3.0, 0.0)
    task.restart(measured(), 0.0)
    assert task.observe(measured(picture=there), STANDING).info["success_percent"] == 10.0


@pytest.mark.parametrize(
    "told, said",
    [
        ((0.22, 0.0), {"wheels_rad_s": (0.5, 0.5)}),  # held at a carpet's edge
        ((0.22, 0.0), {"wheels_rad_s": (6.6, 0.1)}),  # by one wheel
        ((0.1, 1.5), {"twist": (0.1, 1.5), "turn_rad_s": 0.0}),  # leaning against a wall, with tyres that slip
        ((0.22, 0.0), {"twist": (0.22, 0.0), "turn_rad_s": 0.7}),  # turned by what it hits
    ],
)
def test_a_bump_that_lasts_two_steps_ends_the_episode(task, told, said):
    assert task.observe(measured(**said), np.array(told)).ending is None
    state = task.observe(measured(**said), np.array(told))
    assert state.ending == "failure" and state.reward_terms["bumped"] == -1.0
    task.reset()
    assert task.observe(measured(**said), np.array(told)).ending is None


@pytest.mark.parametrize("twist", [(0.22, 0.0), (0.1, 1.5), (0.0, -1.5), (0.0, 0.0)])
def test_driving_freely_is_no_bump(task, twist):
    for slip in (0.9, 1.0, 1.1):
        assert task.observe(measured(twist, turn_rad_s=slip * twist[1]), np.array(twist)).ending is None


def test_actions_lie_within_what_the_robot_can_do(task):
    corners = [task.setpoint(np.array((drive, turn)), measured(), STANDING) for drive in (-1, 1) for turn in (-1, 1)]
    assert np.array(corners).tolist() == [[0.0, -1.5], [0.0, 1.5], [0.22, -1.5], [0.22, 1.5]]
    assert task.operator_action(np.zeros(4)).tolist() == [-1.0, 0.0]
    assert task.operator_action(np.array((0.5, 1.0, 0.0, 0.0))).tolist() == [1.0, 0.5]


def leave(task, twist_of):
    """Lets it leave; every setpoint, 20 a second."""
    told, twist = [], STANDING
    while (setpoint := task.restart(measured(twist), len(told) / 20)) is not None:
        told.append(setpoint)
        twist = twist_of(setpoint)
        assert len(told) < 600
    return np.array(told)


def test_it_leaves_by_itself_and_differently_each_time(task):
    first, second = leave(task, np.array), leave(task, np.array)
    assert len(first) != len(second) or np.any(first != second)
    backed_m = -first[first[:, 0] < 0, 0].sum() * 0.05
    assert backed_m == pytest.approx(0.25, abs=0.02) and np.abs(first[:, 1]).max() == 1.5
    # At a wall it neither drives nor turns, and still begins.
    assert len(leave(task, lambda setpoint: STANDING)) > 0


def test_an_episode_whose_time_is_up_has_not_reached_the_post(task):
    task.observe(measured(picture=with_patch(ALL, slice(22, 42), RED)), STANDING)
    task.restart(measured(), 0.0)
    assert task.observe(measured(), STANDING).info["success_percent"] == 10.0
    for _ in range(10):
        task.restart(measured(), 0.0)
        state = task.observe(measured(), STANDING)
    assert state.info["success_percent"] == 0.0 and EPISODE_STEPS / 5.0 == 15.0


def test_an_episode_that_was_broken_off_is_no_failure(task):
    post = measured(picture=with_patch(ALL, slice(22, 42), RED))
    task.observe(post, STANDING)
    task.observe(measured(), STANDING)
    task.reset()
    task.restart(measured(), 0.0)
    for _ in range(9):
        task.observe(post, STANDING)
    assert task.observe(post, STANDING).info["success_percent"] == 100.0


def seen_from_above(picture):
    measurement = measured()
    measurement[ABOVE] = picture
    return measurement


def test_from_above_the_reward_is_the_distance_in_arena_units():
    task = ReachFromAbove(seed=0)
    picture = with_patch(slice(11, 15), slice(48, 52), (20, 200, 30))  # at (46, 9) of 56
    state = task.observe(seen_from_above(picture), STANDING)
    distance = np.hypot(46 / 56 - 0.825, 9 / 56 - 0.165)
    assert state.reward == pytest.approx(-distance) and distance < 0.006 and state.ending is None
    assert list(state.observation) == [ABOVE] and state.observation[ABOVE] is picture
    # Not seen: it is where it was.
    assert task.observe(seen_from_above(GREY), STANDING).reward == state.reward


def test_from_above_an_action_is_two_motors():
    task = ReachFromAbove(seed=0)
    assert task.setpoint(np.array((1.0, 1.0)), measured(), STANDING) == pytest.approx((0.22, 0.0))
    assert task.setpoint(np.array((-1.0, 1.0)), measured(), STANDING) == pytest.approx((0.0, 2.75))
    assert float(LIMITS.turn_rad_s) >= 2.75 and task.spec.control_rate_hz == 2.0 and task.spec.episode_steps == 100


def test_from_above_five_kicks_and_a_rest_begin_an_episode():
    told = leave(ReachFromAbove(seed=1), np.array)
    wheels = np.linalg.solve(TWIST_OF_WHEELS, told.T).T
    assert len(told) == 120 and np.abs(wheels[:100]) == pytest.approx(np.full((100, 2), WHEEL_SPEED_RAD_S))
    assert not told[100:].any() and len({tuple(np.sign(row)) for row in wheels[:100].round(3)}) > 1


@pytest.mark.parametrize("task", ROBOT.tasks)
@pytest.mark.parametrize("body", ["twin", "hardware"])
def test_each_preset_is_a_session(task, body):
    for preset in ROBOT.task(task).presets:
        config = configure(robot="burger", task=task, body=body, preset=preset, minutes=1.0, seed=0)
        made = ROBOT.task(task).make(config)
        assert set(made.embodiment.cameras) == ({CAMERA} if task == "reach" else {ABOVE}) and config.twin.camera
        assert config.safety.implausible_action == "hold"
