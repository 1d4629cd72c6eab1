import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Imu

from daydreamer.errors import UserError
from ros_nodes import topics

JOINTS = ("hip", "upper", "lower")
STAMP = Time(sec=3, nanosec=5)


@pytest.mark.parametrize("interface", topics.COMMAND_INTERFACES)
def test_a_position_command_arrives_as_it_was_sent(interface):
    targets = np.array([0.1, 0.9, -1.8])
    message = topics.joint_command_message(interface, STAMP, JOINTS, targets, np.zeros(3))
    assert type(message) is topics.command_type(interface)
    sent = message.data if interface == "forward_position" else message.position
    np.testing.assert_array_equal(sent, targets)


def test_damping_has_no_positions_and_zero_velocities():
    message = topics.joint_command_message("joint_state", STAMP, JOINTS, np.full(3, np.nan), np.ones(3))
    assert (list(message.position), list(message.velocity), list(message.effort)) == ([], [0.0, 0.0, 0.0], [])
    assert tuple(message.name) == JOINTS


def test_where_only_positions_are_known_the_measured_pose_stands_in_for_damping():
    message = topics.joint_command_message("forward_position", STAMP, JOINTS, np.full(3, np.nan), np.ones(3))
    assert list(message.data) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stand_in_rad", [None, np.array([0.0, np.nan, 0.0]), np.ones(3)])
def test_no_message_holds_a_number_that_is_not_finite(wrong, stand_in_rad):
    targets = np.array([0.1, wrong, -1.8])
    message = topics.joint_command_message("forward_position", STAMP, JOINTS, targets, stand_in_rad)
    known = stand_in_rad is not None and np.isfinite(stand_in_rad).all()
    assert (message is not None) == known and (message is None or list(message.data) == [1.0, 1.0, 1.0])
    message = topics.joint_command_message("joint_state", STAMP, JOINTS, targets, stand_in_rad)
    assert (list(message.position), list(message.velocity)) == ([], [0.0, 0.0, 0.0])


def test_an_interface_that_nobody_knows_is_refused():
    with pytest.raises(UserError, match="choose joint_state or forward_position"):
        topics.command_type("effort")


def test_imu_keeps_axes_and_the_order_of_the_quaternion():
    sent = topics.imu_message(STAMP, np.array([0.5, -0.5, 0.1, 0.7]), np.array([1.0, 2.0, 3.0]), np.arange(3.0))
    np.testing.assert_array_equal(topics.orientation_of(sent), [0.5, -0.5, 0.1, 0.7])
    np.testing.assert_array_equal(topics.vector_of(sent.angular_velocity), [1.0, 2.0, 3.0])
    assert (sent.orientation.w, sent.header.frame_id, sent.header.stamp) == (0.5, "base_link", STAMP)


def test_an_imu_without_orientation_is_refused():
    message = Imu()
    message.orientation.w = 1.0
    message.orientation_covariance[0] = -1.0
    with pytest.raises(UserError, match="orientation filter"):
        topics.orientation_of(message)
