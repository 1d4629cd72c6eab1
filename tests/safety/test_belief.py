"""What of a measurement is believed."""

import numpy as np
import pytest

from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.belief import JointBelief, SignalCheck

PERIOD_S = 0.05
STEP_RAD = 21.0 * PERIOD_S
POSE_RAD = A1.stand_pose_rad


def believe(samples, period_s=PERIOD_S):
    belief = JointBelief(A1.limits, PERIOD_S)
    for index, sample in enumerate(samples):
        doubted = belief.update(index * period_s, sample)
    return belief, doubted


def moved(joint, angle_rad):
    pose_rad = POSE_RAD.copy()
    pose_rad[joint] += angle_rad
    return pose_rad


def test_nothing_is_believed_that_has_been_said_once():
    belief, doubted = believe([POSE_RAD])
    assert belief.position_rad is None and doubted.all() and not belief.certain
    belief, doubted = believe([POSE_RAD, POSE_RAD])
    np.testing.assert_array_equal(belief.position_rad, POSE_RAD)
    assert belief.certain and not doubted.any()


@pytest.mark.parametrize("leap", [2.35, -1.2, 6.28, np.nan, np.inf, 1e300])
def test_a_leap_of_one_sample_is_a_glitch_and_of_one_joint(leap):
    belief, doubted = believe([POSE_RAD, POSE_RAD, moved(4, leap) + 0.01])
    assert doubted.nonzero()[0].tolist() == [4] and not belief.certain
    expected = POSE_RAD + 0.01
    expected[4] = POSE_RAD[4]
    np.testing.assert_allclose(belief.position_rad, expected)
    belief.update(3 * PERIOD_S, POSE_RAD)
    assert belief.certain


def test_what_two_samples_say_is_believed():
    belief, _ = believe([POSE_RAD, POSE_RAD, moved(4, 2.0), moved(4, 2.1)])
    np.testing.assert_array_equal(belief.position_rad, moved(4, 2.1))


def test_a_motion_that_a_command_can_lead_to_is_believed_at_once():
    belief, doubted = believe([POSE_RAD, POSE_RAD, moved(4, 0.99 * STEP_RAD)])
    assert belief.certain and not doubted.any()


def test_the_same_message_looked_at_twice_confirms_nothing():
    belief, _ = believe([POSE_RAD, POSE_RAD])
    belief.update(2 * PERIOD_S, moved(4, 2.0))
    for time_s in (2.0 * PERIOD_S, 2.3 * PERIOD_S):  # an IMU that is a little newer carries it along
        belief.update(time_s, moved(4, 2.0))
        assert belief.position_rad[4] == POSE_RAD[4]


def test_joints_that_contradict_themselves_grow_old():
    samples = [POSE_RAD, POSE_RAD] + [moved(4, leap) for leap in (3.0, -3.0) * 5]
    belief, _ = believe(samples)
    assert belief.doubt_s == pytest.approx(10 * PERIOD_S)
    np.testing.assert_array_equal(belief.position_rad, POSE_RAD)


def test_what_no_encoder_can_say_is_never_believed_however_often_it_is_said():
    belief = JointBelief(A1.limits, PERIOD_S, largest_rad=1e3)
    for index, sample in enumerate([POSE_RAD, POSE_RAD, *[moved(4, -1e154)] * 5]):
        doubted = belief.update(index * PERIOD_S, sample)
    assert doubted.tolist() == [joint == 4 for joint in range(12)]
    np.testing.assert_array_equal(belief.position_rad, POSE_RAD)


def test_an_angle_that_no_joint_can_have_is_known_and_never_said_to_a_driver():
    belief, _ = believe([POSE_RAD, POSE_RAD, *[moved(4, 7.0)] * 5])
    assert belief.position_rad[4] == pytest.approx(POSE_RAD[4] + 7.0)
    np.testing.assert_array_equal(belief.possible_rad, POSE_RAD)


MEASUREMENT = Measurement(
    time_s=1.0,
    values=dict(
        joint_position_rad=POSE_RAD,
        joint_velocity_rad_s=np.zeros(12),
        orientation_wxyz=np.array([0.5, 0.0, 0.0, 0.0]),  # scaled quaternions are as good as others
        angular_velocity_rad_s=np.zeros(3),
        linear_acceleration_m_s2=np.array([0.0, 0.0, 9.81]),
        foot_force_n=np.full(4, 30.0),
    ),
)


CHECK = SignalCheck(QuadrupedWalkTask(A1).embodiment.signals)


@pytest.mark.parametrize(
    "field, value",
    [
        ("joint_position_rad", np.nan),
        ("joint_velocity_rad_s", -np.inf),
        ("orientation_wxyz", 3.39e38),
        ("angular_velocity_rad_s", 1e154),
        ("linear_acceleration_m_s2", -3.39e38),
        ("linear_acceleration_m_s2", 9.81 * 2**16),  # one wrong bit of a float32's exponent
        ("foot_force_n", 1e154),
    ],
)
def test_what_no_sensor_can_say_is_named(field, value):
    assert CHECK.unusable_quantity(MEASUREMENT) is None
    values = MEASUREMENT[field].copy()
    values[0] = value
    assert CHECK.unusable_quantity(MEASUREMENT.with_value(field, values)) == field


def test_what_is_missing_is_named():
    values = {name: value for name, value in MEASUREMENT.values.items() if name != "foot_force_n"}
    assert CHECK.unusable_quantity(Measurement(1.0, values)) == "foot_force_n"


def test_an_orientation_without_length_is_none():
    level = MEASUREMENT.with_value("orientation_wxyz", np.zeros(4))
    assert CHECK.unusable_quantity(level) == "orientation_wxyz"
