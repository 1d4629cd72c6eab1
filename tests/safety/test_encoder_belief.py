"""Samples of encoders, in the time of packets: which of them are believed."""

import numpy as np
import pytest

from daydreamer.robots.a1.constants import A1
from daydreamer.safety.encoder_belief import PERSISTENT_SAMPLES, EncoderBelief

PERIOD_S = 0.004
TRUE_RAD = A1.stand_pose_rad
STILL = np.zeros(12)


class Encoders:
    """Samples in order, each a period after the one before."""

    def __init__(self, position_rad=TRUE_RAD):
        self.belief = EncoderBelief(A1.limits.velocity_rad_s, pause_s=0.1)
        self.time_s = 0.0
        for _ in range(PERSISTENT_SAMPLES):
            self.say(position_rad)

    def say(self, position_rad, velocity_rad_s=STILL, after_s=PERIOD_S):
        self.time_s += after_s
        return self.belief.update(np.array(position_rad), np.array(velocity_rad_s), self.time_s)


def wrong(by_rad, joint=2):
    position_rad = np.array(TRUE_RAD)
    position_rad[joint] += by_rad
    return position_rad


def test_the_first_samples_must_agree():
    encoders = EncoderBelief(A1.limits.velocity_rad_s, pause_s=0.1)
    for index in range(20):
        believed, _ = encoders.update(wrong(index % 2), STILL, PERIOD_S * index)
        assert not believed[2] and encoders.age_s(PERIOD_S * index) == np.inf
    assert believed[0]


@pytest.mark.parametrize("by_rad", [0.1, 2.35, -6.28, 1e6])
def test_a_single_wrong_sample_is_not_believed_and_the_next_true_one_is(by_rad):
    encoders = Encoders()
    believed, leapt = encoders.say(wrong(by_rad))
    assert (np.flatnonzero(~believed) == 2).all() and not believed.all() and not leapt.any()
    np.testing.assert_array_equal(encoders.belief.position_rad, TRUE_RAD)
    assert encoders.belief.glitches == 1
    assert encoders.say(TRUE_RAD)[0].all()


def test_every_second_sample_may_be_wrong():
    encoders = Encoders()
    for _ in range(100):
        encoders.say(wrong(2.35))
        believed, leapt = encoders.say(TRUE_RAD)
        assert believed.all() and not leapt.any()


def test_a_wrong_sample_with_a_wrong_speed_moves_belief_by_what_a_joint_can_do():
    encoders = Encoders()
    encoders.say(wrong(0.5), np.full(12, 100.0))
    assert np.abs(encoders.belief.position_rad - TRUE_RAD).max() <= 0.05 + A1.limits.velocity_rad_s[2] * PERIOD_S


def test_what_persists_is_believed_and_said_to_have_leapt():
    encoders = Encoders()
    for _ in range(PERSISTENT_SAMPLES - 1):
        believed, leapt = encoders.say(wrong(2.35))
        assert not believed[2] and not leapt.any()
    believed, leapt = encoders.say(wrong(2.35))
    assert believed.all() and list(np.flatnonzero(leapt)) == [2]
    assert encoders.belief.position_rad[2] == TRUE_RAD[2] + 2.35


def test_a_joint_as_fast_as_its_motor_is_believed_at_every_sample():
    encoders, speed = Encoders(), 21.0
    position_rad = np.array(TRUE_RAD)
    for index in range(500):
        velocity = np.full(12, speed * np.cos(2 * np.pi * 4.0 * index * PERIOD_S))
        position_rad += velocity * PERIOD_S
        believed, leapt = encoders.say(position_rad, velocity)
        assert believed.all() and not leapt.any()


@pytest.mark.parametrize("lost", [1, 5, 15])
def test_samples_that_are_lost_on_the_way_do_not_look_like_a_leap(lost):
    random, encoders = np.random.default_rng(lost), Encoders()
    time_s = 0.0
    for _ in range(300):
        after = 1 + random.integers(0, lost + 1)
        time_s += after * PERIOD_S
        position_rad = TRUE_RAD + 0.8 * np.sin(2 * np.pi * 3.0 * time_s)
        velocity = np.full(12, 0.8 * 2 * np.pi * 3.0 * np.cos(2 * np.pi * 3.0 * time_s))
        _, leapt = encoders.say(position_rad, velocity, after * PERIOD_S)
        assert not leapt.any()
    assert encoders.belief.age_s(encoders.time_s) < 0.1


def test_after_a_pause_it_begins_anew():
    encoders = Encoders()
    believed, leapt = encoders.say(wrong(1.0), after_s=0.2)
    assert not believed.any() and not leapt.any()
    for _ in range(PERSISTENT_SAMPLES - 1):
        believed, leapt = encoders.say(wrong(1.0))
    assert believed.all() and not leapt.any()
