import numpy as np
import pytest

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped import reward
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.reward import TERMS, pose_errors, ramp

STAND = A1.reward_stand_pose
REST = np.zeros(3)
PUBLISHED_TARGET = np.array([0.3, 0.0, 0.0])
TARGET = np.array([0.4, 0.0, 0.0])


def walk_reward(up_z, pose, velocity):
    return reward.walk_reward(up_z, pose_errors(pose, STAND), velocity)


def published_reward(up_z, pose, velocity):
    return reward.published_reward(up_z, pose_errors(pose, STAND), velocity)


def moved(joint, amount):
    """The stand pose with one joint (0 hip, 1 upper, 2 lower) of every leg moved, in units of the range."""
    pose = STAND.copy()
    pose[joint::3] += amount
    return pose


def test_both_rewards_on_the_back_standing_and_walking():
    assert published_reward(-1.0, STAND, REST) == pytest.approx(5.0)
    assert published_reward(1.0, STAND, REST) == pytest.approx(9.0)
    assert published_reward(1.0, STAND, PUBLISHED_TARGET) == pytest.approx(14.0)
    assert walk_reward(-1.0, STAND, REST)[0] == pytest.approx(5.0)
    assert walk_reward(1.0, STAND, REST)[0] == pytest.approx(9.0)
    assert walk_reward(1.0, STAND, TARGET)[0] == pytest.approx(14.0)
    assert walk_reward(1.0, STAND, -TARGET)[0] == pytest.approx(4.0)


@pytest.mark.parametrize("speed_m_s", [5e-324, 1e-200, 1e-150])
def test_a_robot_that_all_but_rests_is_paid_as_one_that_rests(speed_m_s):
    creeping = np.array([speed_m_s, 0.0, 0.0])
    assert published_reward(1.0, STAND, creeping) == pytest.approx(9.0)


def test_each_published_stage_needs_the_one_before():
    forward = PUBLISHED_TARGET
    # Upright to 0.7 (up_z 0.4) and no further: nothing else counts.
    assert published_reward(0.39, STAND, forward) == pytest.approx(0.695 + 5.0)
    assert published_reward(0.41, STAND, forward) == pytest.approx(0.705 + 3.0 + 10.0)
    # Each joint's error is measured against the far end of its range: 1 for hips, 1.2 for shoulders, 2 for knees.
    assert published_reward(1.0, moved(0, 0.31), forward) == pytest.approx(1.0 + 0.69 + 5.0)
    assert published_reward(1.0, moved(1, 0.48), forward) == pytest.approx(1.0 + 1.0 + 0.6 + 5.0)
    assert published_reward(1.0, moved(2, -0.7), forward) == pytest.approx(1.0 + 1.0 + 1.0 + 0.65 + 5.0)


def test_each_learned_stage_fades_in_with_the_one_before():
    assert [ramp(x) for x in (0.0, 0.5, 0.65, 0.8, 1.0)] == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert walk_reward(0.0, STAND, TARGET)[0] == pytest.approx(0.5 + 5.0)
    terms = walk_reward(0.3, STAND, TARGET)[1]  # upright 0.65
    assert list(terms.values()) == pytest.approx([0.65, 0.3, 0.0, 0.0, 0.0])
    terms = walk_reward(1.0, moved(2, -0.7), TARGET)[1]
    assert list(terms.values()) == pytest.approx([1.0, 1.0, 1.0, 0.65, 0.5])


def test_the_learned_reward_has_no_steps():
    """Along any straight way between two states it changes by no more than its slope allows."""
    random = np.random.default_rng(0)
    for _ in range(20):
        ends = random.uniform(-1, 1, (2, 16))
        ends[:, 13:] *= 0.3
        way = np.linspace(*ends, 2000)
        rewards = [walk_reward(row[0], np.clip(row[1:13] * 0.3 + STAND, -1, 1), row[13:])[0] for row in way]
        assert np.abs(np.diff(rewards)).max() < 0.2


def test_errors_saturate_at_the_far_end_of_the_range():
    assert walk_reward(1.0, moved(0, 5.0), REST)[1]["r_hip"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("velocity", "published", "learned"),
    [
        ((0.15, 0.0, 0.0), 0.5, 0.375),
        ((0.6, 0.0, 0.0), 1.0, 1.0),
        ((0.9, 0.0, 0.0), 1.0, 0.5),
        ((1.3, 0.0, 0.0), 1.0, 0.0),
        ((-1.3, 0.0, 0.0), 0.0, -1.0),
        ((0.3, 0.4, 0.0), 0.6, 0.6),
        ((0.3, 0.0, 0.4), 0.6, 0.6),
        ((-0.2, 0.0, 0.0), 0.0, -0.5),
        ((0.0, 0.5, 0.0), 0.0, 0.0),
        ((0.0, 0.0, 0.0), 0.0, 0.0),
    ],
)
def test_velocity_counts_forward_and_straight(velocity, published, learned):
    assert published_reward(1.0, STAND, np.array(velocity)) == pytest.approx(9.0 + 5 * published)
    total, terms = walk_reward(1.0, STAND, np.array(velocity))
    assert terms["r_velocity"] == pytest.approx(learned)
    assert total == pytest.approx(9.0 + 5 * learned)


def test_the_terms_add_up_to_the_reward():
    random = np.random.default_rng(0)
    for _ in range(200):
        pose = STAND + 0.4 * random.standard_normal(JOINTS)
        total, terms = walk_reward(random.uniform(-1, 1), pose, random.standard_normal(3))
        assert tuple(terms) == TERMS
        staged = sum(terms[name] for name in ("r_upright", "r_hip", "r_shoulder", "r_knee"))
        assert total == pytest.approx(staged + 5 * (terms["r_velocity"] + 1))
        assert 0.0 <= total <= 14.0
