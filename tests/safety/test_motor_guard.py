"""The driver's own limits, tick by tick, against figures that are worked out here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.safety.motor_guard import MotorGuard

PERIOD_S = 0.004
STILL = np.zeros(12)
KNEE = 2  # FR_calf_joint
TOLERANCE = 1e-9


class Driver:
    """A guard, and joints that are where they are said to be."""

    def __init__(self, robot=A1, position_rad=None, **changes):
        gains = robot.limits.gains
        self.robot = robot
        self.position_rad = np.array(robot.stand_pose_rad if position_rad is None else position_rad)
        self.guard = MotorGuard(
            JOINT_NAMES,
            robot.limits,
            **{
                "stiffness_n_m_rad": gains.stiffness_n_m_rad,
                "max_target_error_rad": gains.max_target_error_rad[0],
                "interpolate_s": 0.05,
                "command_timeout_s": 0.25,
                "period_s": PERIOD_S,
            }
            | changes,
        )
        self.time_s, self.commanded_s, self.last = 100.0, 0.0, None
        for _ in range(10):
            self.tick()

    def tick(self, command=None, position_rad=None, velocity_rad_s=STILL, after_s=PERIOD_S):
        """A state comes, and now and then the command; returns the target."""
        self.time_s += after_s
        self.guard.measured(self.position_rad if position_rad is None else position_rad, velocity_rad_s, self.time_s)
        if command is not None and (self.time_s - self.commanded_s > 0.06 or not np.array_equal(command, self.last)):
            self.guard.command(command, self.time_s)
            self.last, self.commanded_s = np.array(command), self.time_s
        return self.guard.target(self.time_s)

    def with_knee(self, angle_rad):
        position_rad = self.position_rad.copy()
        position_rad[KNEE] = angle_rad
        return position_rad


def test_after_the_machine_was_suspended_the_joints_are_damped_until_somebody_begins_anew():
    driver = Driver()
    target = driver.with_knee(-1.0)
    for slept_s in (100.0, 100.0, 100.001):
        driver.guard.wake(slept_s)
        assert driver.tick(target) is not None
    driver.guard.wake(220.0)
    assert driver.tick(target) is None and "suspended for 120 s" in driver.guard.stopped
    driver.guard.wake(220.0)
    assert driver.tick(target) is None
    driver.guard.begin_anew()
    assert driver.tick(driver.with_knee(-1.01)) is not None


def test_before_the_first_command_joints_are_damped():
    assert Driver().tick() is None


def test_the_first_target_departs_from_the_joint_at_the_rate_limit_and_stays_near_it():
    driver = Driver()
    for tick in range(1, 21):
        target = driver.tick(driver.with_knee(A1.limits.upper_rad[KNEE]))
        distance = target[KNEE] - driver.position_rad[KNEE]
        assert distance <= min(21.0 * PERIOD_S * tick, 0.2) + TOLERANCE
    assert distance == pytest.approx(0.2)  # nearer than the torque of 30 N m allows, 0.377 rad


def test_the_torque_is_that_of_the_supervisor_whatever_the_parameters():
    driver = Driver(max_target_error_rad=1.0, stiffness_n_m_rad=np.full(12, 300.0))
    for _ in range(50):
        target = driver.tick(driver.with_knee(-1.0))
    assert 300.0 * (target[KNEE] - driver.position_rad[KNEE]) == pytest.approx(0.9 * 33.5)


@pytest.mark.parametrize("robot", [A1, GO2])
def test_a_target_stays_within_the_joint_limits_and_their_margin(robot):
    upper = np.array(robot.limits.upper_rad)
    driver = Driver(robot, upper - 0.05)
    for _ in range(50):
        target = driver.tick(np.full(12, 1e6))
    np.testing.assert_allclose(target, upper - 0.01)


def test_one_wrong_sample_does_not_move_the_target():
    driver = Driver()
    pose = driver.position_rad + 0.1
    for _ in range(30):
        before = driver.tick(pose)
    for wrong_rad in (3.5, -6.0, 1e6):
        for position_rad in (driver.with_knee(wrong_rad), driver.position_rad):
            np.testing.assert_allclose(driver.tick(pose, position_rad), before)
    assert driver.guard.stopped is None


def test_a_joint_that_keeps_saying_so_stops_the_robot_until_somebody_begins_anew():
    driver = Driver()
    pose = driver.position_rad + 0.1
    for _ in range(30):
        before = driver.tick(pose)
    leapt = driver.with_knee(0.5)
    while (target := driver.tick(pose, leapt)) is not None:
        np.testing.assert_allclose(target, before)
    assert "FR_calf_joint leapt" in driver.guard.stopped
    # Neither commands that go on nor encoders that are right again set it in motion, nor does whoever commands by
    # damping for a moment, as for a sensor that is stuck, or before a silence, as with a loop that stands still.
    for silent_ticks in (1, 80, 300):
        for _ in range(30):
            assert driver.tick(pose) is None
        driver.guard.command(None, driver.time_s)
        assert not any(driver.tick() is not None for _ in range(silent_ticks))
        assert driver.tick(pose + 0.01) is None and "FR_calf_joint leapt" in driver.guard.stopped
    driver.guard.begin_anew()
    assert driver.tick(pose) is not None


def test_a_silence_of_whoever_commands_releases_nothing_but_somebody_else_does():
    driver = Driver()
    driver.tick(driver.position_rad)
    while driver.guard.stopped is None:
        driver.tick(driver.position_rad, driver.with_knee(0.5))
    for _ in range(100):
        driver.tick()
    for _ in range(30):
        assert driver.tick(driver.position_rad) is None
    driver.guard.begin_anew()
    assert driver.tick(driver.position_rad + 0.01) is not None


def test_a_joint_outside_its_limits_is_not_moved_and_is_named():
    driver = Driver(position_rad=A1.stand_pose_rad - 2 * np.pi * (np.arange(12) == KNEE))
    assert driver.tick() is None and driver.guard.stopped is None  # nobody has asked for anything
    assert driver.tick(driver.position_rad) is None
    assert "FR_calf_joint is outside its limits" in driver.guard.stopped


def test_a_joint_that_is_a_little_outside_is_brought_in_at_the_rate_limit():
    lower = A1.limits.lower_rad[KNEE]
    driver = Driver()
    driver = Driver(position_rad=driver.with_knee(lower - 0.15))
    before = lower - 0.15
    for _ in range(20):
        target = driver.tick(A1.stand_pose_rad)[KNEE]
        assert before - TOLERANCE <= target <= before + 21.0 * PERIOD_S + TOLERANCE
        before = target
    assert target > lower


def test_without_states_the_joints_are_damped_and_depart_anew():
    driver = Driver()
    pose = driver.position_rad + 0.15
    for _ in range(50):
        driver.tick(pose)
    for _ in range(40):
        driver.time_s += PERIOD_S
        driver.guard.command(pose, driver.time_s)
        target = driver.guard.target(driver.time_s)
    assert target is None
    first = next(target for _ in range(50) if (target := driver.tick(pose)) is not None)
    assert np.abs(first - driver.position_rad).max() <= 21.0 * PERIOD_S + TOLERANCE


def test_a_tick_that_comes_late_moves_a_target_no_further_than_two():
    driver = Driver()
    for _ in range(3):
        before = driver.tick(driver.position_rad)
    target = driver.tick(driver.position_rad + 0.19, after_s=0.08)
    assert np.abs(target - before).max() <= 2 * 21.0 * PERIOD_S + TOLERANCE


def test_where_a_motor_would_have_to_give_more_than_it_can_the_joints_are_damped_for_a_tick():
    driver = Driver(position_rad=A1.rest_pose_rad)
    for _ in range(30):
        driver.tick(A1.rest_pose_rad)
    gave_way = False
    for _ in range(14):  # the knee is stretched by something stronger, faster than the target may follow
        driver.position_rad[KNEE] += 28.0 * PERIOD_S
        target = driver.tick(A1.rest_pose_rad, velocity_rad_s=28.0 * (np.arange(12) == KNEE))
        gave_way |= target is None
        if target is not None:
            assert 80.0 * np.abs(target - driver.position_rad).max() <= 33.5 + TOLERANCE
    assert gave_way and driver.guard.stopped is None


samples = st.sampled_from([0.0, 0.02, -0.05, 0.3, -2.0, 6.3, 1e6, -1e300])
commands = st.none() | st.sampled_from(["damp", 0.0, 0.3, -0.3, 5.0, 1e6, -1e300])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([A1, GO2]),
    st.lists(st.tuples(commands, samples, samples, st.sampled_from([0.001, PERIOD_S, 0.02, 0.3])), max_size=60),
)
def test_whatever_is_commanded_and_measured_limits_and_rate_are_held(robot, events):
    driver, limits = Driver(robot), robot.limits
    previous = None
    for command, sample, velocity, after_s in events:
        asked = driver.position_rad + (0.0 if command in (None, "damp") else command)
        if command == "damp":
            driver.guard.command(None, driver.time_s)
        target = driver.tick(
            None if command in (None, "damp") else asked,
            driver.with_knee(driver.position_rad[KNEE] + sample),
            np.full(12, velocity),
            after_s,
        )
        if target is not None:
            assert np.isfinite(target).all()
            assert (target >= limits.lower_rad).all() and (target <= limits.upper_rad).all()
            departed_from = driver.position_rad if previous is None else previous
            change = np.abs(target - departed_from)
            change[KNEE] = 0.0 if previous is None else change[KNEE]  # it may have come somewhere else
            assert (change <= 2 * limits.command_rate_rad_s * PERIOD_S + TOLERANCE).all()
        previous = target
