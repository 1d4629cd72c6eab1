import dataclasses

import numpy as np
import pytest

from daydreamer.contract.frames import GRAVITY_M_S2, rotation_matrix
from daydreamer.contract.signals import Measurement
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.kinematics import leg_kinematics
from daydreamer.robots.quadruped.odometry import LegOdometry, stance_velocities_m_s
from daydreamer.robots.quadruped.task import CONTROL_RATE_HZ

PERIOD_S = 1 / CONTROL_RATE_HZ
STANDING_FORCE_N = np.full(4, 30.0)


def measurement(robot, time_s, **changes):
    """Standing still, upright."""
    at_rest = Measurement(
        time_s=time_s,
        values=dict(
            joint_position_rad=robot.stand_pose_rad,
            joint_velocity_rad_s=np.zeros(JOINTS),
            orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            angular_velocity_rad_s=np.zeros(3),
            linear_acceleration_m_s2=np.array([0.0, 0.0, GRAVITY_M_S2]),
            foot_force_n=STANDING_FORCE_N,
        ),
    )
    time_s = changes.pop("time_s", at_rest.time_s)
    return Measurement(time_s, at_rest.values | changes)


def update(odometry, sample):
    return odometry.update(sample, rotation_matrix(sample["orientation_wxyz"]))


def stance_joint_velocity(robot, trunk_velocity_m_s):
    """Joint velocities of a trunk that moves over four feet which do not turn: each foot moves backwards.

    The rolling of the feet, which is second order here, is left to the tests against the simulator.
    """
    jacobian = leg_kinematics(robot, robot.stand_pose_rad).jacobian_m_rad
    return np.concatenate([np.linalg.solve(leg, -np.asarray(trunk_velocity_m_s)) for leg in jacobian])


def test_rotation_matrix_turns_body_vectors_into_the_world():
    quarter_about_z = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
    np.testing.assert_allclose(rotation_matrix(quarter_about_z) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rotation_matrix(3 * quarter_about_z) @ [0, 1, 0], [-1, 0, 0], atol=1e-12)


def test_standing_feet_tell_the_velocity(robot):
    odometry, velocity = LegOdometry(robot), (0.3, 0.1, 0.0)
    for step in range(40):
        sample = measurement(robot, step * PERIOD_S, joint_velocity_rad_s=stance_joint_velocity(robot, velocity))
        estimate = update(odometry, sample)
    # A foot that rolls forward over its radius of 20 mm moves the trunk by up to a tenth more.
    np.testing.assert_allclose(estimate, velocity, atol=0.05)
    assert odometry.feet_in_contact == 4


def test_a_slipping_foot_is_outvoted(robot):
    odometry = LegOdometry(robot)
    slipping = np.zeros((4, 3))
    slipping[0] = stance_joint_velocity(robot, (1.0, 0.0, 0.0))[:3]
    for step in range(40):
        estimate = update(odometry, measurement(robot, step * PERIOD_S, joint_velocity_rad_s=slipping.reshape(-1)))
    assert abs(estimate[0]) < 0.05  # the plain mean of four feet is 0.25


def test_turning_on_the_spot_is_not_moving(robot):
    """The hips turn the feet back as fast as the trunk turns: the trunk's centre stays."""
    odometry, yaw_rate = LegOdometry(robot), 0.5
    legs = leg_kinematics(robot, robot.stand_pose_rad)
    spin = np.array([0.0, 0.0, yaw_rate])
    feet_velocity = -np.cross(spin, legs.foot_position_m)
    joint_velocity = np.concatenate(
        [np.linalg.solve(leg, foot) for leg, foot in zip(legs.jacobian_m_rad, feet_velocity, strict=True)]
    )
    for step in range(20):
        sample = measurement(robot, step * PERIOD_S, angular_velocity_rad_s=spin, joint_velocity_rad_s=joint_velocity)
        estimate = update(odometry, sample)
    assert np.linalg.norm(estimate[:2]) < 0.03


def test_a_trunk_that_tips_over_its_feet_moves_as_fast_as_it_is_high(robot):
    """Joints at rest, nose going down at 1 rad/s: the trunk turns about each foot's contact with the ground."""
    sample = measurement(robot, 0.0, angular_velocity_rad_s=np.array([0.0, 1.0, 0.0]))
    told = stance_velocities_m_s(robot, sample, np.eye(3))
    np.testing.assert_allclose(told[:, 0], robot.stand_height_m, atol=0.002)
    np.testing.assert_allclose(told[:, 1], 0.0, atol=1e-12)
    front_m = robot.hip_position_m[0, 0]  # each foot stands below its hip
    np.testing.assert_allclose(told[:, 2], [front_m, front_m, -front_m, -front_m], atol=1e-3)


def test_a_foot_that_rolls_carries_the_trunk_along(robot):
    """Calves swing forward at 1 rad/s, everything else is at rest.

    A calf stands 0.9 rad from the vertical, and what touches the ground is the point below its round end's middle.
    """
    joint_velocity = np.tile([0.0, 0.0, -1.0], 4)
    sample = measurement(robot, 0.0, joint_velocity_rad_s=joint_velocity)
    told = stance_velocities_m_s(robot, sample, np.eye(3))
    lever_m = robot.calf_length_m * np.cos(0.9) + robot.foot_radius_m
    np.testing.assert_allclose(told[:, 0], -lever_m, atol=1e-9)
    np.testing.assert_allclose(told[:, 2], -robot.calf_length_m * np.sin(0.9), atol=1e-9)


def test_a_push_is_felt_before_the_feet_tell(robot):
    odometry = LegOdometry(robot)
    update(odometry, measurement(robot, 0.0, foot_force_n=np.zeros(4)))
    pushed = np.array([4.0, 0.0, GRAVITY_M_S2])
    estimate = update(odometry, measurement(robot, PERIOD_S, foot_force_n=np.zeros(4), linear_acceleration_m_s2=pushed))
    assert 0.02 < estimate[0] < 0.2


@pytest.mark.parametrize("upside_down", [False, True])
def test_without_contact_the_velocity_decays_instead_of_drifting(robot, upside_down):
    """An accelerometer with a bias of 0.2 m/s2, integrated for two minutes, would tell 24 m/s."""
    odometry = LegOdometry(robot)
    orientation = np.array([0.0, 1.0, 0.0, 0.0]) if upside_down else np.array([1.0, 0.0, 0.0, 0.0])
    gravity = -GRAVITY_M_S2 if upside_down else GRAVITY_M_S2
    moving = measurement(robot, 0.0, joint_velocity_rad_s=stance_joint_velocity(robot, (0.5, 0.0, 0.0)))
    for step in range(20):
        start = update(odometry, dataclasses.replace(moving, time_s=step * PERIOD_S))
    assert start[0] > 0.4
    for step in range(20, 2400):
        sample = measurement(
            robot,
            step * PERIOD_S,
            foot_force_n=np.zeros(4),
            orientation_wxyz=orientation,
            linear_acceleration_m_s2=np.array([0.2, 0.0, gravity]),
        )
        estimate = update(odometry, sample)
        if step == 40:
            assert abs(estimate[0]) < 0.1
    assert np.linalg.norm(estimate) < 0.1
    assert odometry.feet_in_contact == 0


def test_a_trunk_that_rolls_on_its_shell_moves(robot):
    """Upside down and pitching at 2 rad/s, world frame: the centre moves by about the shell's radius times that."""
    odometry = LegOdometry(robot)
    for step in range(20):
        sample = measurement(
            robot,
            step * PERIOD_S,
            foot_force_n=np.zeros(4),
            orientation_wxyz=np.array([0.0, 1.0, 0.0, 0.0]),
            linear_acceleration_m_s2=np.array([0.0, 0.0, -GRAVITY_M_S2]),
            angular_velocity_rad_s=np.array([0.0, -2.0, 0.0]),
        )
        estimate = update(odometry, sample)
    np.testing.assert_allclose(estimate, [0.12, 0.0, 0.0], atol=0.01)


def test_recovers_from_an_impact_within_a_second(robot):
    odometry = LegOdometry(robot)
    update(odometry, measurement(robot, 0.0))
    update(odometry, measurement(robot, PERIOD_S, linear_acceleration_m_s2=np.array([200.0, 0.0, 0.0])))
    for step in range(2, 22):
        estimate = update(odometry, measurement(robot, step * PERIOD_S))
    assert np.linalg.norm(estimate) < 0.05


def test_forgets_the_velocity_over_a_gap_and_on_reset(robot):
    for forget in (lambda odometry: odometry.reset(), lambda odometry: None):
        odometry = LegOdometry(robot)
        moving = measurement(robot, 0.0, joint_velocity_rad_s=stance_joint_velocity(robot, (0.5, 0.0, 0.0)))
        for step in range(20):
            update(odometry, dataclasses.replace(moving, time_s=step * PERIOD_S))
        forget(odometry)
        assert np.linalg.norm(update(odometry, measurement(robot, 60.0, foot_force_n=np.zeros(4)))) == 0.0


@pytest.mark.parametrize("feet_n", [0.0, 30.0, np.nan, 1e300])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3.39e38, 1e154, 1e300, 1e-310])
@pytest.mark.parametrize(
    "field",
    ["orientation_wxyz", "angular_velocity_rad_s", "linear_acceleration_m_s2", "joint_velocity_rad_s"]
    + ["joint_position_rad"],
)
def test_no_number_whatever_makes_the_estimate_one_that_is_not_finite(robot, field, value, feet_n):
    odometry = LegOdometry(robot)
    for step in range(3):
        update(odometry, measurement(robot, step * PERIOD_S))
    good = measurement(robot, 3 * PERIOD_S, foot_force_n=np.full(4, feet_n))
    for change in (slice(0, 1), slice(None)):
        values = good[field].astype(float).copy()
        values[change] = value
        assert np.isfinite(update(odometry, good.with_value(field, values))).all()
    for step in range(4, 24):
        estimate = update(odometry, measurement(robot, step * PERIOD_S))
    assert np.linalg.norm(estimate) < 0.05


def test_an_orientation_without_length_ends_nothing(robot):
    odometry = LegOdometry(robot)
    for step in range(5):
        assert np.isfinite(update(odometry, measurement(robot, step * PERIOD_S, orientation_wxyz=np.zeros(4)))).all()
