"""Sensors that contradict each other, and joints that do not obey, on a clock of the test's own."""

import math

import numpy as np
import pytest

from daydreamer.config import ActorConfig, SafetyConfig, resolve
from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from daydreamer.robots.ur5e.constants import READY_RAD, UR5E
from daydreamer.safety.plausibility import following_check
from daydreamer.safety.supervisor import SafetySupervisor

PERIOD_S = 0.05
TASK = QuadrupedWalkTask(A1)
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])
ON_ITS_BACK = np.array([0.0, 1.0, 0.0, 0.0])
JOINT = 4
GRIPPER = 6


class Robot:
    """Joints that are where they are told, sagging by 0.05 rad, told twenty times a second to stand.

    Attributes:
      change: called with each measurement before it is looked at.
    """

    def __init__(self, noise_rad=0.002, change=lambda measurement: None, **safety):
        self.events = []
        self.supervisor = SafetySupervisor(
            TASK,
            ActorConfig(),
            SafetyConfig(ramp_pose="stand", **safety),
            lambda kind, **fields: self.events.append({"kind": kind} | fields),
        )
        self.change = change
        self.now_s = 100.0
        self.joint_rad = A1.stand_pose_rad + 0.05
        self.orientation_wxyz = UPRIGHT
        self.target_rad = A1.stand_pose_rad
        self.sag_rad = 0.05
        self._noise_rad = noise_rad
        self._random = np.random.default_rng(0)
        self.supervisor.activate()

    def measure(self):
        w, x, y, z = self.orientation_wxyz
        up = np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])
        measurement = Measurement(
            time_s=self.now_s,
            values=dict(
                joint_position_rad=self.joint_rad + self._noise_rad * self._random.standard_normal(12),
                joint_velocity_rad_s=np.zeros(12),
                orientation_wxyz=self.orientation_wxyz.copy(),
                angular_velocity_rad_s=np.zeros(3),
                linear_acceleration_m_s2=GRAVITY_M_S2 * up,
                foot_force_n=np.zeros(4),
            ),
        )
        self.change(measurement)
        return measurement

    def live(self, seconds):
        """What was raised meanwhile, as (name, subject)."""
        before = len(self.events)
        for _ in range(round(seconds / PERIOD_S)):
            self.now_s += PERIOD_S
            measurement = self.measure()
            if self.supervisor.begin_tick(self.now_s, measurement) == "running":
                command = self.supervisor.command(self.target_rad)
            else:
                command = self.supervisor.command_without_policy()
            if not command.relaxes:
                self.joint_rad = command.setpoint + self.sag_rad
        return [(e["name"], e.get("subject")) for e in self.events[before:] if e["kind"] == "watchdog"]


def freeze(measurement):
    measurement["joint_position_rad"][JOINT] = 0.8


def test_a_robot_in_order_raises_nothing():
    assert Robot().live(20.0) == []


def test_an_angle_that_is_stuck_among_noisy_ones_damps_until_it_has_changed_for_two_seconds():
    robot = Robot()
    robot.live(3.0)
    robot.change = freeze
    assert robot.live(0.45) == []
    assert robot.live(0.15) == [("encoder_stuck", JOINT_NAMES[JOINT])]
    assert robot.supervisor.state == "damping"
    # Damped, it has no command that it could disobey; it is stuck all the same.
    robot.live(5.0)
    assert robot.supervisor.state == "damping"
    robot.change = lambda measurement: None
    robot.live(1.9)
    assert robot.supervisor.state == "damping"
    robot.live(0.2)
    assert robot.supervisor.state == "ramping"


def test_an_angle_that_does_not_change_contradicts_a_velocity_even_without_noise():
    def move(measurement):
        measurement["joint_velocity_rad_s"][JOINT] = -0.5

    robot = Robot(noise_rad=0.0)
    robot.live(3.0)
    robot.change = move
    assert robot.live(1.0) == [("encoder_stuck", JOINT_NAMES[JOINT])]


def test_a_simulator_without_noise_may_stand_still_away_from_its_commands():
    assert Robot(noise_rad=0.0).live(20.0) == []


def test_a_simulator_without_noise_may_settle_joint_by_joint():
    robot = Robot(noise_rad=0.0)
    robot.live(3.0)

    def settle(measurement):
        measurement["joint_position_rad"] += np.where(np.arange(12) == JOINT, 0.0, 1e-4 * math.exp(103.0 - robot.now_s))

    robot.change = settle
    assert robot.live(20.0) == []


def test_mocked_hardware_whose_joints_are_where_they_are_told_is_in_order():
    """Exactly there: one that is told the same again and again stands still while others move."""
    robot = Robot(noise_rad=0.0)
    robot.sag_rad = 0.0
    robot.live(3.0)
    for step in range(100):
        robot.target_rad = A1.stand_pose_rad + np.where(np.arange(12) == JOINT, 0.0, 0.2 * math.sin(step / 3))
        assert robot.live(PERIOD_S) == []


def test_a_driver_that_repeats_all_angles_is_not_a_stuck_encoder():
    robot = Robot()
    robot.live(3.0)
    last = robot.measure()["joint_position_rad"]
    robot.change = lambda measurement: measurement["joint_position_rad"].__setitem__(slice(None), last + 0.01)
    assert robot.live(2.0) == []


@pytest.mark.parametrize(
    "orientation, limit_s, name", [(UPRIGHT, 4.0, "joint_not_following"), (ON_ITS_BACK, 10.0, "joint_blocked")]
)
def test_a_joint_that_stays_where_no_working_motor_would_is_reported(orientation, limit_s, name):
    def leave(measurement):
        measurement["joint_position_rad"][JOINT] += 0.4

    robot = Robot(blocked_s=10.0)
    robot.orientation_wxyz = orientation
    robot.live(2.0)
    robot.change = leave
    assert robot.live(limit_s - 0.1) == []
    assert robot.live(0.2) == [(name, JOINT_NAMES[JOINT])]
    assert robot.supervisor.state == "running"  # a warning in the twin


def test_a_robot_of_which_half_does_not_obey_is_reported_soon_however_it_lies():
    """As one that does not hear its commands."""

    def ignore(measurement):
        measurement["joint_position_rad"][:] = A1.stand_pose_rad + np.where(np.arange(12) % 2, 0.4, 0.0)

    robot = Robot()
    robot.orientation_wxyz = ON_ITS_BACK
    robot.live(2.0)
    robot.change = ignore
    assert robot.live(3.9) == []
    ((name, subject),) = robot.live(0.2)
    assert name == "joint_not_following" and subject in JOINT_NAMES


def test_a_joint_that_lags_by_what_its_motor_can_bear_is_in_order():
    def load(measurement):
        measurement["joint_position_rad"][JOINT] += A1.limits.gains.max_target_error_rad[JOINT]

    assert Robot(change=load).live(20.0) == []


def test_a_joint_that_comes_back_now_and_then_is_in_order():
    robot = Robot()

    def struggle(measurement):
        if robot.now_s % 2.5 > 0.1:
            measurement["joint_position_rad"][JOINT] += 0.6

    robot.change = struggle
    assert robot.live(20.0) == []


def test_a_robot_that_does_not_follow_is_damped_until_an_operator_has_looked():
    def leave(measurement):
        measurement["joint_position_rad"][JOINT] += 0.4

    robot = Robot(not_following_action="damp", latching=("joint_not_following",))
    robot.live(2.0)
    robot.change = leave
    robot.live(4.2)
    supervisor = robot.supervisor
    assert supervisor.state == "damping"
    assert not supervisor.resume(robot.now_s) and "joint_not_following" in supervisor.refusal
    robot.change = lambda measurement: None
    robot.live(30.0)
    assert supervisor.state == "damping" and "joint_not_following" in supervisor.cause
    assert supervisor.resume(robot.now_s)
    assert robot.live(5.0) == []
    assert supervisor.state == "running"


def test_what_joints_do_that_have_stopped_following_is_in_doubt_long_before_they_are_given_up():
    def leave(measurement):
        measurement["joint_position_rad"][:] = A1.rest_pose_rad

    robot = Robot(not_following_action="damp")

    def doubts():
        return robot.supervisor.watchdogs.joints_in_doubt

    robot.live(2.0)
    assert not doubts()
    robot.change = leave
    robot.live(1.0)
    assert doubts() and robot.supervisor.state == "running"
    robot.change = lambda measurement: None
    robot.live(0.2)
    assert not doubts()
    warned = Robot(not_following_action="warn")
    warned.live(2.0)
    warned.change = leave
    warned.live(3.0)
    assert not warned.supervisor.watchdogs.joints_in_doubt  # the twin learns from all that happens to it


def turned(axis, angle_rad):
    return np.array([math.cos(angle_rad / 2), *(math.sin(angle_rad / 2) * np.array(axis))])


def test_a_robot_that_turns_as_its_gyroscope_says_is_in_order_whatever_the_quaternions_sign():
    robot = Robot()
    axis, speed_rad_s = np.array([0.6, 0.0, 0.8]), 3.0

    def roll(measurement):
        measurement["angular_velocity_rad_s"][:] = speed_rad_s * axis

    robot.change = roll
    for step in range(200):
        robot.orientation_wxyz = (-1) ** step * turned(axis, speed_rad_s * step * PERIOD_S)
        assert [name for name, _ in robot.live(PERIOD_S) if name == "imu_inconsistent"] == []


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_gyroscope_that_turns_while_the_orientation_does_not_is_reported(axis):
    def bias(measurement):
        measurement["angular_velocity_rad_s"][axis] -= 0.5

    robot = Robot(imu_action="hold")
    robot.live(2.0)
    robot.change = bias
    assert robot.live(3.0) == [("imu_inconsistent", "gyroscope_bias_rad_s")]
    assert robot.supervisor.state == "holding"
    robot.change = lambda measurement: None
    robot.live(6.0)
    assert robot.supervisor.state == "running"


def test_an_orientation_that_leaps_once_is_no_bias():
    """As where messages that were delayed arrive all at once."""
    robot = Robot()
    robot.live(2.0)
    robot.orientation_wxyz = turned((0.0, 0.0, 1.0), 1.5)
    assert robot.live(3.0) == []


def test_an_orientation_that_contradicts_gravity_is_reported():
    def tilt(measurement):
        measurement["orientation_wxyz"][:] = turned((0.0, 1.0, 0.0), 0.4)

    robot = Robot()
    robot.change = tilt
    assert ("imu_inconsistent", "tilt_rad") in robot.live(5.0)


def test_impacts_are_no_gravity():
    robot = Robot()

    def hit(measurement):
        if round(robot.now_s / PERIOD_S) % 2:
            measurement["linear_acceleration_m_s2"][0] += 30.0

    robot.change = hit
    assert robot.live(10.0) == []


def test_after_a_gap_the_checks_begin_anew():
    robot = Robot()
    robot.live(2.0)
    robot.change = freeze
    robot.live(0.45)
    robot.now_s += 0.5
    assert [name for name, _ in robot.live(0.45) if name == "encoder_stuck"] == []


def test_hardware_does_more_than_warn():
    safety = resolve(find_robot("a1").preset("walk", "default", "hardware")).safety
    assert (safety.not_following_action, safety.imu_action) == ("damp", "hold")


@pytest.mark.parametrize("joint, notices", [(1, True), (GRIPPER, False)])
def test_an_arm_that_its_own_stop_holds_is_noticed_by_one_joint_though_its_gains_are_a_secret(joint, notices):
    """A gripper that holds something is as far from its command, for as long as it likes."""
    check = following_check(UR5E.joints, UR5E.limits, SafetyConfig())
    commanded_rad = READY_RAD.copy()
    commanded_rad[joint] += 0.15
    for _ in range(round(3.9 / PERIOD_S)):
        not_following, _ = check.update(PERIOD_S, Measurement(0.0, {"joint_position_rad": READY_RAD}), commanded_rad)
        assert not not_following.wrong
    assert check.doubtful is notices
    for _ in range(4):
        not_following, _ = check.update(PERIOD_S, Measurement(0.0, {"joint_position_rad": READY_RAD}), commanded_rad)
    assert not_following.wrong is notices
    assert not notices or not_following.subject == UR5E.joints[joint]
