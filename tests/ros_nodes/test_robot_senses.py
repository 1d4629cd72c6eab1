"""What is believed of a robot's slow sensors, message by message, on a real node."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState, Image, Temperature

from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from ros_nodes import robot_state, topics
from ros_nodes.camera import _sources
from ros_nodes.robot_state import RobotState

TASK = QuadrupedWalkTask(A1, camera=True)
SPEC = TASK.spec


class Robot:
    """Hands messages to the callbacks that ROS would call."""

    def __init__(self, node, **options):
        self.node, self.said = node, []
        self.state = RobotState(
            node,
            TASK.spec,
            TASK.embodiment,
            lambda text, **fields: self.said.append(text),
            **options,
        )

    def send(self, topic, message):
        self.state._subscriptions[topic].callback(message)

    def report(self, up_z=1.0, force_n=0.0):
        orientation = np.array([1.0, 0, 0, 0]) if up_z > 0 else np.array([0.0, 1.0, 0, 0])
        stamp = Time()
        self.send(
            topics.JOINT_STATES,
            topics.joint_state_message(stamp, SPEC.joint_names, A1.stand_pose_rad, np.zeros(12)),
        )
        acceleration = np.array([0.0, 0.0, 9.81 * up_z])
        self.send(topics.IMU, topics.imu_message(stamp, orientation, np.zeros(3), acceleration))
        self.send(topics.FOOT_CONTACTS, topics.foot_contacts_message(stamp, SPEC.foot_names, np.full(4, force_n)))

    def picture(self, **changes):
        """As the camera's thread would take it."""
        fields = {"height": 2, "width": 2, "encoding": "bgr8", "step": 6, "data": bytes([0, 0, 200] * 4)}
        camera = self.state._cameras["camera"]
        camera._take(_sources("camera")["raw"], serialize_message(Image(**fields | changes)), time.monotonic())


@pytest.fixture
def make_robot():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=49)
    node = rclpy.create_node("actor", context=context)
    robots = []

    def make(**options):
        robots.append(Robot(node, **options))
        return robots[-1]

    yield make
    for robot in robots:
        robot.state.close()
    node.destroy_node()
    context.shutdown()


def test_a_picture_has_an_age_of_its_own(make_robot):
    robot = make_robot()
    robot.report()
    assert robot.state.silent_topics(0.0) == ["/camera/image_raw", "/camera/image_raw/compressed"]
    robot.picture()
    assert robot.state.silent_topics(0.0) == []
    first = robot.state.measurement()
    time.sleep(0.01)
    robot.report()
    second = robot.state.measurement()
    assert (
        second.get("camera") is first.get("camera")
        and second.received_s == first.received_s
        and first.received_s["camera"] < second.time_s
    )
    assert second.time_s > first.time_s
    np.testing.assert_array_equal(first.get("camera")[0, 0], [200, 0, 0])


def test_pictures_that_cannot_be_read_are_counted_named_and_passed_over(make_robot):
    robot = make_robot()
    robot.report()
    robot.picture()
    newest = robot.state.measurement().get("camera")
    for _ in range(3):
        robot.picture(encoding="theora")
    assert robot.state.measurement().get("camera") is newest
    assert robot.state.refused == {("camera/image_raw", "unknown encoding"): 3}
    assert len(robot.said) == 1 and "/camera/image_raw is unusable (unknown encoding: 'theora'" in robot.said[0]


def test_a_camera_that_never_sends_a_picture_that_can_be_read_is_an_error_while_it_is_set_up(make_robot, monkeypatch):
    robot = make_robot()
    robot.report()
    robot.picture(encoding="theora")
    robot.state.require_usable()
    assert "theora" in robot.state.problem("/camera/image_raw")
    monkeypatch.setattr(robot_state, "FOREIGN_S", 0.0)
    with pytest.raises(UserError, match="unknown encoding: 'theora'"):
        robot.state.require_usable()
    robot.picture()
    robot.state.require_usable()


def test_a_charge_and_a_temperature_in_other_units_are_taken_rightly_and_said_once(make_robot):
    robot = make_robot()
    robot.report()
    for _ in range(3):
        robot.send(topics.BATTERY, BatteryState(percentage=9.0))
        robot.send(topics.TEMPERATURE, Temperature(temperature=313.15))
    measurement = robot.state.measurement()
    assert measurement.get("battery_fraction") == pytest.approx(0.09)
    assert measurement.get("temperature_c") == pytest.approx(40.0)
    assert [text for text in robot.said if "percentage of 9, where 1 is full: taken as 9 %" in text]
    assert [text for text in robot.said if "kelvin, 40 °C" in text]
    assert len(robot.said) == 2
    robot.send(topics.BATTERY, BatteryState(percentage=-3.0))
    assert robot.state.measurement().get("battery_fraction") == pytest.approx(0.09)
    assert sum(robot.state.refused.values()) == 1


def lie_on_its_back(robot, force_n, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(robot_state.time, "monotonic", lambda: clock[0])
    for _ in range(30):
        clock[0] += 0.05
        robot.report(up_z=-1.0, force_n=force_n)
        robot.state.measurement()
    return robot.state.measurement()


def test_the_offset_of_feet_is_measured_on_the_robots_back_and_taken_off(make_robot, monkeypatch):
    robot = make_robot()
    np.testing.assert_array_equal(lie_on_its_back(robot, 15.0, monkeypatch)["foot_force_n"], np.zeros(4))
    assert len(robot.said) == 1 and "[15.0, 15.0, 15.0, 15.0] N, which is taken for their zero" in robot.said[0]


def test_the_offset_of_feet_can_be_given(make_robot, monkeypatch):
    robot = make_robot(foot_unloaded_n=(15.0,))
    robot.report(force_n=15.0)
    np.testing.assert_array_equal(robot.state.measurement()["foot_force_n"], np.zeros(4))
    assert lie_on_its_back(robot, 15.0, monkeypatch) is not None and not robot.said
