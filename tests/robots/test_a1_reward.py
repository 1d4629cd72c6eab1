import numpy as np
import pytest

from daydreamer.robots.a1 import constants as a1
from daydreamer.robots.a1.reward import walk_reward

STAND = a1.REWARD_STAND_POSE
REST = np.zeros(3)


def moved(joint, amount):
    """The stand pose with one joint (0 hip, 1 upper, 2 lower) of every leg moved, in units of the action."""
    pose = STAND.copy()
    pose[joint::3] += amount
    return pose


def test_on_its_back_standing_and_walking():
    assert walk_reward(-1.0, STAND, REST)[0] == pytest.approx(5.0)
    assert walk_reward(1.0, STAND, REST)[0] == pytest.approx(9.0)
    assert walk_reward(1.0, STAND, np.array([0.3, 0.0, 0.0]))[0] == pytest.approx(14.0)


def test_each_stage_needs_the_one_before():
    forward = np.array([0.3, 0.0, 0.0])
    # Upright to 0.7 (up_z 0.4) and no further: nothing else counts.
    assert walk_reward(0.39, STAND, forward)[0] == pytest.approx(0.695 + 5.0)
    assert walk_reward(0.41, STAND, forward)[0] == pytest.approx(0.705 + 3.0 + 10.0)
    # Each joint's error is measured against the far end of its range: 1 for hips, 1.2 for shoulders, 2 for knees.
    total, terms = walk_reward(1.0, moved(0, 0.31), forward)
    assert terms["r_hip"] == pytest.approx(0.69)
    assert total == pytest.approx(1.0 + 0.69 + 5.0)
    total, terms = walk_reward(1.0, moved(1, 0.48), forward)
    assert terms["r_shoulder"] == pytest.approx(0.6)
    assert total == pytest.approx(1.0 + 1.0 + 0.6 + 5.0)
    total, terms = walk_reward(1.0, moved(2, -0.7), forward)
    assert terms["r_knee"] == pytest.approx(0.65)
    assert total == pytest.approx(1.0 + 1.0 + 1.0 + 0.65 + 5.0)


def test_errors_saturate_at_the_far_end_of_the_range():
    assert walk_reward(1.0, moved(0, 5.0), REST)[1]["r_hip"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("velocity", "expected"),
    [
        ((0.15, 0.0, 0.0), 0.5),
        ((0.9, 0.0, 0.0), 1.0),
        ((0.3, 0.4, 0.0), 0.6),
        ((0.3, 0.0, 0.4), 0.6),
        ((-0.3, 0.0, 0.0), 0.0),
        ((0.0, 0.5, 0.0), 0.0),
        ((0.0, 0.0, 0.0), 0.0),
    ],
)
def test_velocity_counts_forward_and_straight(velocity, expected):
    total, terms = walk_reward(1.0, STAND, np.array(velocity))
    assert terms["r_velocity"] == pytest.approx(expected)
    assert total == pytest.approx(9.0 + 5 * expected)


def test_the_terms_add_up_to_the_reward():
    random = np.random.default_rng(0)
    for _ in range(200):
        pose = STAND + 0.4 * random.standard_normal(a1.JOINTS)
        total, terms = walk_reward(random.uniform(-1, 1), pose, random.standard_normal(3))
        staged = sum(terms[name] for name in ("r_upright", "r_hip", "r_shoulder", "r_knee"))
        assert total == pytest.approx(staged + 5 * (terms["r_velocity"] + 1))
        assert 5.0 <= total <= 14.0
