import numpy as np
import pytest

from daydreamer.config import TwinConfig
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.twin import leg_motors
from daydreamer.safety.target_stream import TargetStream
from sim.motors import MeteredMotors, PositionMotors, VelocityMotors

POSITION = A1.stand_pose_rad
STILL = np.zeros(JOINTS)
IMMEDIATE = {"command_latency_s": 0.0, "interpolate_s": 0.0}


def make_driver(**changes):
    return leg_motors(TwinConfig(**changes), A1.limits.torque_n_m)


def test_damps_before_the_first_command():
    driver = make_driver()
    np.testing.assert_allclose(driver.torque(0.0, POSITION, np.ones(12)), -np.array([1.0, 2.0, 2.0] * 4))
    assert driver.damping


def test_pulls_towards_the_target():
    driver = make_driver(**IMMEDIATE)
    driver.command(POSITION + 0.1, 0.0)
    np.testing.assert_allclose(driver.torque(0.0, POSITION, STILL), 80.0 * 0.1)
    np.testing.assert_allclose(driver.torque(0.0, POSITION, np.ones(12))[:3], [8.0 - 1.0, 8.0 - 2.0, 8.0 - 2.0])


def test_keeps_the_target_near_the_measured_angle():
    driver = make_driver(**IMMEDIATE)
    driver.command(POSITION + 1.0, 0.0)
    np.testing.assert_allclose(driver.torque(0.0, POSITION, STILL), 80.0 * 0.2)
    np.testing.assert_allclose(driver.torque(0.0, POSITION + 1.9, STILL), -80.0 * 0.2)


def test_never_exceeds_the_motors_torque():
    driver = make_driver(**IMMEDIATE, max_target_error_rad=10.0)
    driver.command(POSITION + 1.0, 0.0)
    np.testing.assert_array_equal(driver.torque(0.0, POSITION, STILL), A1.limits.torque_n_m)
    np.testing.assert_array_equal(driver.torque(0.0, POSITION, np.full(12, 1000.0)), -A1.limits.torque_n_m)


def test_a_command_takes_effect_after_the_latency():
    driver = make_driver(command_latency_s=0.004, interpolate_s=0.0)
    driver.command(POSITION + 0.1, 1.0)
    assert not driver.torque(1.002, POSITION, STILL).any()
    np.testing.assert_allclose(driver.torque(1.004, POSITION, STILL), 8.0)


def test_moves_linearly_from_one_target_to_the_next():
    driver = make_driver(command_latency_s=0.0, interpolate_s=0.05)
    driver.command(POSITION, 0.0)
    driver.torque(0.0, POSITION, STILL)
    driver.torque(0.05, POSITION, STILL)
    driver.command(POSITION + 0.1, 0.1)
    torques = [driver.torque(0.1 + elapsed, POSITION, STILL)[0] for elapsed in (0.0, 0.0125, 0.025, 0.05, 0.2)]
    np.testing.assert_allclose(torques, [0.0, 2.0, 4.0, 8.0, 8.0])


def test_a_command_in_mid_move_sets_out_from_where_the_target_is():
    driver = make_driver(command_latency_s=0.0, interpolate_s=0.05)
    driver.command(POSITION + 0.1, 0.0)
    driver.torque(0.0, POSITION, STILL)
    driver.command(POSITION, 0.025)
    np.testing.assert_allclose(driver.torque(0.025, POSITION, STILL), 80.0 * 0.05)


def test_after_damping_the_target_sets_out_from_the_measured_angle():
    driver = make_driver(command_latency_s=0.0, interpolate_s=0.05)
    driver.command(POSITION + 0.1, 0.0)
    assert not driver.torque(0.0, POSITION, STILL).any()


def test_without_commands_it_damps_after_the_timeout():
    driver = make_driver(**IMMEDIATE, command_timeout_s=0.25)
    driver.command(POSITION + 0.1, 1.0)
    driver.torque(1.0, POSITION, STILL)
    assert driver.torque(1.249, POSITION, STILL).any()
    assert not driver.torque(1.251, POSITION, STILL).any()
    driver.command(POSITION + 0.1, 2.0)
    assert driver.torque(2.0, POSITION, STILL).any()


def test_without_a_timeout_it_holds_the_last_command_for_ever():
    driver = make_driver(**IMMEDIATE, command_timeout_s=0.0)
    driver.command(POSITION + 0.1, 0.0)
    driver.torque(0.0, POSITION, STILL)
    np.testing.assert_allclose(driver.torque(1e6, POSITION, STILL), 8.0)


def test_damps_when_told_to():
    driver = make_driver(**IMMEDIATE)
    driver.command(POSITION + 0.1, 0.0)
    assert driver.torque(0.0, POSITION, STILL).any()
    driver.command(None, 0.1)
    assert not driver.torque(0.1, POSITION, STILL).any()
    assert driver.damping


def test_keeps_its_own_copy_of_a_command():
    driver, target = make_driver(**IMMEDIATE), POSITION + 0.1
    driver.command(target, 0.0)
    target[:] = POSITION
    np.testing.assert_allclose(driver.torque(0.0, POSITION, STILL), 8.0)


@pytest.mark.parametrize("targets", [np.zeros(3), np.full(12, np.nan), np.full(12, np.inf)])
def test_refuses_commands_that_are_none(targets):
    with pytest.raises(ValueError, match="12 finite"):
        make_driver().command(targets, 0.0)


def make_servo(**figures):
    """Two servos that go limp without a target, and whose gears have play."""
    targets = TargetStream(interpolate_s=0.0, timeout_s=0.0, max_error_rad=np.inf)
    return PositionMotors(
        targets,
        stiffness_n_m_rad=np.full(2, 10.0),
        damping_n_m_s_rad=np.full(2, 0.5),
        torque_limit_n_m=np.array([3.0, 1.0]),
        relaxed_damping_n_m_s_rad=np.zeros(2),
        **figures,
    )


def test_a_servo_is_limp_until_it_is_told_where_to_go_and_when_it_is_let_go():
    servo = make_servo()
    assert not servo.torque(0.0, np.zeros(2), np.ones(2)).any()
    servo.command(np.full(2, 0.2), 0.0)
    np.testing.assert_allclose(servo.torque(0.0, np.zeros(2), np.ones(2)), [1.5, 1.0])
    servo.command(None, 1.0)
    assert not servo.torque(1.0, np.zeros(2), np.ones(2)).any() and servo.damping


def test_gears_with_play_leave_a_servos_joint_free_around_its_target():
    servo = make_servo(backlash_rad=np.array([0.01, 0.0]))
    servo.command(np.zeros(2), 0.0)
    np.testing.assert_allclose(servo.torque(0.0, np.full(2, 0.01), np.zeros(2)), [0.0, -0.1])
    np.testing.assert_allclose(servo.torque(0.0, np.full(2, -0.03), np.zeros(2)), [0.2, 0.3])


def make_wheels(timeout_s=0.0):
    targets = TargetStream(interpolate_s=0.0, timeout_s=timeout_s, max_error_rad=np.inf)
    return VelocityMotors(
        targets, gain_n_m_s_rad=np.ones(2), torque_limit_n_m=np.full(2, 5.0), acceleration_rad_s2=np.full(2, 4.0)
    )


def speed(wheels, time_s):
    """Of standing wheels, by the torque that it takes."""
    return wheels.torque(time_s, np.zeros(2), np.zeros(2))


def test_wheels_approach_their_speed_no_faster_than_they_may():
    wheels = make_wheels()
    assert not speed(wheels, 0.0).any()
    wheels.command(np.array([1.0, -0.2]), 0.0)
    speed(wheels, 0.0)
    np.testing.assert_allclose(speed(wheels, 0.1), [0.4, -0.2])
    np.testing.assert_allclose(speed(wheels, 1.0), [1.0, -0.2])
    wheels.command(np.full(2, 100.0), 1.0)
    assert (speed(wheels, 10.0) == 5.0).all()
    wheels.reset()
    assert not speed(wheels, 0.0).any()


def test_wheels_brake_when_they_are_told_nothing():
    wheels = make_wheels(timeout_s=0.5)
    wheels.command(np.ones(2), 0.0)
    np.testing.assert_allclose([speed(wheels, at)[0] for at in (0.0, 0.5, 0.6, 1.0)], [0.0, 1.0, 0.6, 0.0])
    assert wheels.damping


def test_what_motors_give_is_counted_and_what_they_take_is_not():
    metered = MeteredMotors(make_driver(**IMMEDIATE), 0.002)
    metered.command(POSITION + 0.1, 0.0)
    torque = metered.torque(0.0, POSITION, np.ones(JOINTS))
    assert not metered.damping
    np.testing.assert_allclose(torque, (8.0 - 1.0, 8.0 - 2.0, 8.0 - 2.0) * 4)
    metered.torque(0.002, POSITION, -np.ones(JOINTS))  # driven backwards
    np.testing.assert_allclose(metered.work_j, 0.002 * torque)
    metered.reset()
    assert metered.damping and metered.work_j.all()
