"""What comes on a robot's topics, message by message, on a real node; what is believed of it, and what ends nothing."""

import contextlib
import math
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from builtin_interfaces.msg import Time
from sensor_msgs.msg import BatteryState, Imu, JointState, Temperature

from daydreamer.contract.signals import JOINT_EFFORT
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.so101.pick_place import PickPlace
from ros_nodes import robot_state, topics
from ros_nodes.robot_state import RobotState

TASK = QuadrupedWalkTask(A1)
SPEC = TASK.spec
JOINTS = list(SPEC.joint_names)
POSE = np.linspace(0.1, 1.2, 12)
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def node():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=34)
    node = rclpy.create_node("actor", context=context)
    yield node
    node.destroy_node()
    context.shutdown()


class Robot:
    """Hands messages to the callbacks that ROS would call."""

    def __init__(self, node):
        self.said = []
        self.state = RobotState(node, SPEC, TASK.embodiment, lambda text, **fields: self.said.append(text))

    def send(self, topic, message):
        self.state._subscriptions[topic].callback(message)

    def joints(self, names=JOINTS, position=POSE, velocity=np.zeros(12), stamp_s=0.0, effort=()):
        message = JointState(name=list(names), position=list(position), velocity=list(velocity), effort=list(effort))
        message.header.stamp = Time(sec=int(stamp_s), nanosec=int(stamp_s % 1 * 1e9))
        self.send(topics.JOINT_STATES, message)

    def imu(self, orientation=UPRIGHT, turn=np.zeros(3), acceleration=(0.0, 0.0, 9.81)):
        message = topics.imu_message(
            Time(), np.array(orientation, float), np.array(turn, float), np.array(acceleration)
        )
        self.send(topics.IMU, message)

    def feet(self, names=SPEC.foot_names, force=np.zeros(4)):
        self.send(topics.FOOT_CONTACTS, JointState(name=list(names), effort=list(force)))

    def all(self):
        self.joints()
        self.imu()
        self.feet()

    @property
    def silent(self):
        return self.state.silent_topics(0.0)


@pytest.fixture
def robot(node):
    robot = Robot(node)
    robot.all()
    assert not robot.silent and not robot.said
    return robot


def age_grows(robot, send):
    """Whether the measurement is as old after `send` as before."""
    before = robot.state.measurement().time_s
    time.sleep(0.001)
    robot.imu()
    robot.feet()
    send()
    return robot.state.measurement().time_s == before


def test_a_foreign_message_changes_nothing(robot):
    assert age_grows(robot, lambda: robot.joints(["gripper_joint"], [9.0], [1.0]))
    assert age_grows(robot, lambda: robot.joints([], [], []))
    np.testing.assert_array_equal(robot.state.measurement()["joint_position_rad"], POSE)
    assert not robot.state.refused and not robot.said


def test_partial_messages_are_merged_and_what_is_missing_grows_old(robot):
    assert age_grows(robot, lambda: robot.joints(JOINTS[:6], POSE[:6] + 0.1, np.ones(6)))
    measurement = robot.state.measurement()
    np.testing.assert_allclose(measurement["joint_position_rad"], np.r_[POSE[:6] + 0.1, POSE[6:]])
    np.testing.assert_array_equal(measurement["joint_velocity_rad_s"], [1.0] * 6 + [0.0] * 6)
    robot.joints(JOINTS[6:], POSE[6:], np.zeros(6))
    assert robot.state.measurement().time_s > measurement.time_s
    # An earlier measurement is not written into.
    np.testing.assert_allclose(measurement["joint_position_rad"], np.r_[POSE[:6] + 0.1, POSE[6:]])


def test_joints_in_any_order_and_among_others(robot):
    names = ["gripper", *reversed(JOINTS)]
    robot.joints(names, [9.0, *POSE[::-1]], [9.0, *np.arange(12.0)[::-1]])
    np.testing.assert_array_equal(robot.state.measurement()["joint_position_rad"], POSE)
    np.testing.assert_array_equal(robot.state.measurement()["joint_velocity_rad_s"], np.arange(12.0))


@pytest.mark.parametrize("velocity", [(), [math.nan] * 12], ids=["empty", "as joint_state_broadcaster's"])
def test_without_velocities_they_are_made_of_differences_which_is_said_once(robot, velocity):
    for step in range(5):
        robot.joints(position=POSE + 0.02 * step, velocity=velocity, stamp_s=1e9 + 0.01 * step)
    np.testing.assert_allclose(robot.state.measurement()["joint_velocity_rad_s"], 2.0, rtol=1e-3)
    assert [text for text in robot.said if "no velocities" in text] == robot.said and len(robot.said) == 1


@pytest.mark.parametrize("stamps", [(0.0, 0.0), (5.0, 4.0), (5.0, 500.0), (2e9, 1.0), (7.0, 7.0 + 1e-6)])
def test_stamps_of_a_clock_that_stands_leaps_or_is_not_there_make_no_velocities(robot, stamps):
    robot.joints(velocity=(), stamp_s=stamps[0])
    time.sleep(0.05)
    for late in range(3):  # all at once, as a busy network delivers them
        robot.joints(position=POSE + 0.02 * (late + 1), velocity=(), stamp_s=stamps[1])
        speed = robot.state.measurement()["joint_velocity_rad_s"]
        assert (speed > 0.0).all() and (speed <= 0.41).all()


NAN, INF = math.nan, math.inf


def with_one(value, index=3, base=POSE):
    return [*base[:index], value, *base[index + 1 :]]


@pytest.mark.parametrize("value", [NAN, INF, -INF, 3.39e38, 1e154, -1e5])
@pytest.mark.parametrize("field", ["position", "velocity"])
def test_what_no_encoder_says_is_refused_counted_and_named(robot, field, value):
    wrong = {"position": with_one(value)} if field == "position" else {"velocity": with_one(value, base=np.zeros(12))}
    if field == "velocity" and math.isnan(value):
        robot.joints(**wrong)  # not reported: made of differences
        assert np.isfinite(robot.state.measurement()["joint_velocity_rad_s"]).all()
        return
    assert age_grows(robot, lambda: robot.joints(**wrong))
    measurement = robot.state.measurement()
    assert (
        np.isfinite(measurement["joint_position_rad"]).all() and np.isfinite(measurement["joint_velocity_rad_s"]).all()
    )
    assert sum(robot.state.refused.values()) == 1 and "joint_states is unusable" in robot.said[0]
    robot.joints(**wrong)
    assert sum(robot.state.refused.values()) == 2 and len(robot.said) == 1  # not said again at once


@pytest.mark.parametrize(
    "wrong",
    [
        {"position": POSE[:11]},
        {"position": []},
        {"position": [*POSE, 1.0]},
        {"velocity": [1.0]},
        {"names": [*JOINTS[:11], JOINTS[0]]},
        {"names": [f"x{index}" for index in range(5000)] + JOINTS, "position": np.zeros(5012), "velocity": []},
    ],
    ids=["short", "no positions", "long", "one velocity", "twice", "far too many"],
)
def test_fields_that_do_not_fit_each_other_are_refused(robot, wrong):
    assert age_grows(robot, lambda: robot.joints(**wrong))
    assert sum(robot.state.refused.values()) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"orientation": np.zeros(4)},
        {"orientation": [NAN, 0, 0, 1]},
        {"orientation": [INF, 0, 0, 1]},
        {"orientation": [1e154, 0, 0, 0]},
        {"turn": [NAN, 0, 0]},
        {"turn": [0, 3.39e38, 0]},
        {"acceleration": [0.0, 0.0, INF]},
        {"acceleration": [0.0, 1e154, 0.0]},
    ],
)
def test_what_no_imu_says_is_refused_and_goes_on_with_the_next_message(robot, wrong):
    time.sleep(0.001)
    robot.joints()
    robot.feet()
    before = robot.state.measurement().time_s
    robot.imu(**wrong)
    assert robot.state.measurement().time_s == before and sum(robot.state.refused.values()) == 1
    robot.imu()
    measurement = robot.state.measurement()
    assert measurement.time_s > before
    np.testing.assert_array_equal(measurement["orientation_wxyz"], UPRIGHT)


@pytest.mark.parametrize("quantity", ["orientation", "angular_velocity", "linear_acceleration"])
def test_what_an_imu_says_it_does_not_measure_is_not_taken(robot, quantity):
    message = Imu()
    message.orientation.w = 1.0
    getattr(message, f"{quantity}_covariance")[0] = -1.0
    robot.send(topics.IMU, message)
    assert sum(robot.state.refused.values()) == 1


def test_a_scaled_quaternion_is_as_good_as_one_of_length_one(robot):
    robot.imu(orientation=[3.0, 0.0, 4.0, 0.0])
    np.testing.assert_allclose(robot.state.measurement()["orientation_wxyz"], [0.6, 0.0, 0.8, 0.0])


@pytest.mark.parametrize("force", [[NAN, 0, 0, 0], [0, INF, 0, 0], [0, 0, 1e30, 0], [1, 2], []])
def test_feet_are_merged_and_refused_like_joints(robot, force):
    robot.feet(force=force)
    assert sum(robot.state.refused.values()) == 1
    assert np.isfinite(robot.state.measurement()["foot_force_n"]).all()
    robot.feet(SPEC.foot_names[:1], [7.0])
    assert robot.state.measurement()["foot_force_n"][0] == 7.0


def test_temperature_is_the_hottest_part_and_nonsense_is_none(robot):
    def report(value, part=""):
        message = Temperature(temperature=value)
        message.header.frame_id = part
        robot.send(topics.TEMPERATURE, message)

    for value in (NAN, INF, -273.0, 1e6):
        report(value)
    assert robot.state.measurement().get("temperature_c") is None
    report(70.0, "hip")
    report(40.0, "calf")
    report(NAN, "hip")
    assert robot.state.measurement().get("temperature_c") == 70.0
    for part in range(500):
        report(30.0, f"part {part}")
    assert robot.state.measurement().get("temperature_c") is not None


def test_a_charge_that_is_not_measured_is_not_known(robot):
    robot.send(topics.BATTERY, BatteryState(percentage=NAN))
    assert robot.state.measurement().get("battery_fraction") is None
    robot.send(topics.BATTERY, BatteryState(percentage=0.5))
    robot.send(topics.BATTERY, BatteryState(percentage=NAN))
    assert robot.state.measurement().get("battery_fraction") == 0.5


def test_while_it_is_set_up_what_a_driver_lacks_is_an_error_but_not_at_once(node, monkeypatch):
    robot = Robot(node)
    robot.joints(JOINTS[:11], POSE[:11], np.zeros(11))
    robot.state.require_usable()
    monkeypatch.setattr(robot_state, "PARTIAL_S", 0.0)
    with pytest.raises(UserError, match=f"lacks the joint {JOINTS[11]}; it has {JOINTS[0]}"):
        robot.state.require_usable()
    robot.joints(JOINTS[11:], POSE[11:], np.zeros(1))  # another node publishes that one
    robot.state.require_usable()


def test_a_gripper_alone_is_waited_with_for_longer_and_cannot_write_on_the_terminal(node, monkeypatch):
    robot = Robot(node)
    robot.joints(["gripper\x1b[2J_joint"], [0.0], [0.0])
    monkeypatch.setattr(robot_state, "PARTIAL_S", 0.0)
    robot.state.require_usable()
    monkeypatch.setattr(robot_state, "FOREIGN_S", 0.0)
    with pytest.raises(UserError, match="it has gripper\\?\\[2J_joint"):
        robot.state.require_usable()


def test_an_imu_that_never_has_an_orientation_is_an_error_while_it_is_set_up(node, monkeypatch):
    robot = Robot(node)
    robot.imu(orientation=np.zeros(4))
    robot.state.require_usable()
    monkeypatch.setattr(robot_state, "PARTIAL_S", 0.0)
    with pytest.raises(UserError, match="orientation filter"):
        robot.state.require_usable()


def test_once_it_has_been_heard_whole_nothing_is_an_error(robot, monkeypatch):
    monkeypatch.setattr(robot_state, "PARTIAL_S", -1.0)
    monkeypatch.setattr(robot_state, "FOREIGN_S", -1.0)
    robot.joints(["gripper_joint"], [9.0], [1.0])
    robot.imu(orientation=np.zeros(4))
    robot.state.require_usable()
    assert "no orientation" in robot.state.problem("/imu/data")


def test_an_arm_says_what_its_motors_give_if_its_driver_does(node):
    task = PickPlace(seed=0)
    names, effort_n_m = list(task.spec.joint_names), np.linspace(-1.0, 1.0, 6)
    with contextlib.closing(RobotState(node, task.spec, task.embodiment)) as state:
        receive = state._subscriptions[topics.JOINT_STATES].callback
        receive(topics.joint_state_message(Time(), names, np.zeros(6), np.zeros(6)))
        assert state.measurement().get(JOINT_EFFORT) is None
        receive(topics.joint_state_message(Time(), names[::-1], np.zeros(6), np.zeros(6), effort_n_m[::-1]))
        np.testing.assert_allclose(state.measurement()[JOINT_EFFORT], effort_n_m)
        receive(JointState(name=names, position=[0.0] * 6, effort=[0.0] * 5))
        assert state.refused == {(topics.JOINT_STATES, "'effort' does not fit 'name'"): 1}
