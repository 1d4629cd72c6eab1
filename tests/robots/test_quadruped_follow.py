import numpy as np
import pytest

from daydreamer.contract.signals import WISHED_TWIST, Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped import reward
from daydreamer.robots.quadruped.follow import (
    FORWARD_M_S,
    TERMS,
    TURN_RAD_S,
    WISH_SCALE,
    DirectionsToGo,
    QuadrupedFollowTask,
    Wishes,
    follow_reward,
)
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from daydreamer.session.new import configure

STANDING = dict.fromkeys(reward.TERMS[:-1], 1.0) | {"r_velocity": 0.3}


def standing_measurement(turn_rad_s=0.0, wish=None):
    values = {
        "joint_position_rad": A1.stand_pose_rad,
        "joint_velocity_rad_s": np.zeros(12),
        "orientation_wxyz": np.array((1.0, 0.0, 0.0, 0.0)),
        "angular_velocity_rad_s": np.array((0.0, 0.0, turn_rad_s)),
        "linear_acceleration_m_s2": np.array((0.0, 0.0, 9.81)),
        "foot_force_n": np.full(4, 30.0),
    }
    return Measurement(0.0, values | ({} if wish is None else {WISHED_TWIST: np.array(wish)}))


def test_following_pays_what_walking_pays_and_every_step_towards_the_wish():
    def paid(done, wish, **terms):
        return follow_reward(STANDING | terms, np.array(done), np.array(wish))

    best, terms = paid((0.3, -0.5), (0.3, -0.5))
    assert best == 14.0 and tuple(terms) == TERMS
    assert paid((0.15, 0.0), (0.3, 0.0))[0] == paid((0.0, -0.4), (0.0, -0.8))[0] == pytest.approx(11.5)
    rewards = [paid(done, (0.3, -0.5))[0] for done in ((0.0, 0.0), (0.1, 0.0), (0.3, 0.0), (0.3, -0.3), (0.3, -0.5))]
    assert np.diff(rewards).min() > 0.5
    # Standing is not paid for a wish to go, and is for one to stand; a little beside it pays a little less.
    assert paid((0.0, 0.0), (0.3, -0.5))[0] == paid((-0.3, 0.5), (0.3, -0.5))[0] == 9.0
    assert paid((0.0, 0.0), (0.0, 0.0))[0] == 14.0
    assert paid((0.1, 0.0), (0.0, 0.0))[0] == pytest.approx(11.5)
    assert paid((0.3, -0.5), (0.3, -0.5), r_knee=0.4)[0] == pytest.approx(8.4)  # not on its feet


def test_what_was_done_is_replayed_as_if_it_had_been_wished_for():
    task = QuadrupedFollowTask(A1)
    wish = (0.0, 0.5)
    states = [task.observe(standing_measurement(turn_rad_s=0.5, wish=wish), A1.stand_pose_rad) for _ in range(30)][10:]
    crouching = standing_measurement(turn_rad_s=0.5, wish=wish)
    crouching["joint_position_rad"] = 0.4 * A1.stand_pose_rad
    states += [task.observe(crouching, A1.stand_pose_rad) for _ in range(20)]
    logged = {key: np.stack([state.observation[key] for state in states])[None] for key in states[0].observation}
    other = logged | {"wish": np.full_like(logged["wish"], -0.3)}
    wished, paid = task.hindsight(other)
    np.testing.assert_allclose(wished["wish"][0, :, 1], 0.5, atol=0.01)
    still = logged | {"wish": np.asarray(wished["wish"])}
    assert {key for key in still if still[key] is not wished.get(key)} <= {"wish"}
    expected = [follow_reward(state.reward_terms, *done_and_wish(state, wished["wish"][0, 0]))[0] for state in states]
    np.testing.assert_allclose(paid[0], expected, atol=2e-5)
    assert np.ptp(expected) > 0.5


def done_and_wish(state, observed_wish):
    done = np.array((state.info["forward_velocity_m_s"], state.info["turn_rate_rad_s"]))
    return done, np.asarray(observed_wish, np.float64) * WISH_SCALE


def test_a_wish_that_is_said_takes_the_place_of_drawn_ones():
    task = QuadrupedFollowTask(A1)
    state = task.observe(standing_measurement(wish=(0.25, -0.5)), A1.stand_pose_rad)
    np.testing.assert_allclose(state.observation["wish"], (0.5, -0.5))
    turning = task.observe(standing_measurement(turn_rad_s=-0.5, wish=(0.25, -0.5)), A1.stand_pose_rad)
    assert turning.info["turn_error_rad_s"] == pytest.approx(0.45, abs=1e-6)  # a mean over 0.5 s
    assert turning.info["forward_error_m_s"] == pytest.approx(0.25, abs=0.05)
    for _ in range(9):
        turning = task.observe(standing_measurement(turn_rad_s=-0.5, wish=(9.0, 9.0)), A1.stand_pose_rad)
    np.testing.assert_allclose(turning.observation["turn_rate"], -0.5)
    np.testing.assert_allclose(turning.observation["wish"], (FORWARD_M_S[1] / 0.5, TURN_RAD_S[1]))
    assert set(turning.reward_terms) == set(task.spec.reward_terms) and set(turning.info) == set(task.spec.info)


def test_without_wishes_to_draw_it_stands_until_somebody_says_one():
    config = configure(robot="a1", task="follow", minutes=1.0, seed=0, overrides=["actor.draws_wishes=false"])
    task = find_robot("a1").task("follow").make(config)
    for _ in range(400):
        state = task.observe(standing_measurement(), A1.stand_pose_rad)
        assert not state.observation["wish"].any()
    assert task.observe(standing_measurement(wish=(0.1, 0.0)), A1.stand_pose_rad).observation["wish"].any()


def test_wishes_are_drawn_over_all_that_may_be_wished_and_last():
    wishes = Wishes(0.05, seed=1)
    drawn = np.array([wishes.next() for _ in range(20 * 60 * 30)])
    changes = np.flatnonzero(np.abs(np.diff(drawn, axis=0)).any(1))
    assert 3.9 < np.diff(changes).min() * 0.05 and 5.0 < np.diff(changes).mean() * 0.05 < 9.0
    assert 0.1 < (drawn == 0.0).all(1).mean() < 0.3
    low, high = drawn.min(0), drawn.max(0)
    np.testing.assert_allclose(low, (FORWARD_M_S[0], TURN_RAD_S[0]), atol=0.1)
    np.testing.assert_allclose(high, (FORWARD_M_S[1], TURN_RAD_S[1]), atol=0.1)
    again = Wishes(0.05, seed=1)
    np.testing.assert_array_equal(drawn[:1000], [again.next() for _ in range(1000)])


def test_relatives_of_a_rhythm_swing_the_other_way_or_do_less_on_one_side():
    directions, generator = DirectionsToGo(), np.random.default_rng(0)
    amplitude = np.random.default_rng(1).normal(size=12) * (1.0 + 0.5j)
    found = {tuple(np.round((directions.relative(amplitude, generator) / amplitude).real, 6)) for _ in range(100)}
    reversed_, half = np.array((1.0, -1.0, 1.0)), np.full(3, 0.5)
    left, right = np.array((0, 1, 0, 1)), np.array((1, 0, 1, 0))  # FR, FL, RR, RL

    def changed(legs, factors):
        return tuple(np.where(legs[:, None], factors, 1.0).ravel().tolist())

    sides = {changed(legs, factors) for legs in (left, right) for factors in (reversed_, half)}
    assert found == sides | {changed(left + right, reversed_)}


def test_its_mirror_image_turns_the_other_way():
    spec = QuadrupedFollowTask(A1).spec
    np.testing.assert_allclose(spec.mirror_image("wish", np.array((0.4, 0.7))), (0.4, -0.7))


def test_walking_is_as_it_was():
    assert "wish" not in QuadrupedWalkTask(A1).spec.observation
    assert WISHED_TWIST not in QuadrupedWalkTask(A1).embodiment.signals
