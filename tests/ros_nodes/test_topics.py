import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.errors import UserError
from ros_nodes import topics

JOINTS = ("hip", "upper", "lower")
STAMP = Time(sec=3, nanosec=5)


def test_joints_are_matched_by_name_in_any_order_and_among_others():
    order = topics.NameOrder("joint_states", "joint", JOINTS)
    names = ["gripper", "lower", "hip", "upper"]
    np.testing.assert_array_equal(order(names, [9.0, 3.0, 1.0, 2.0], "position"), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(order(["hip", "upper", "lower"], [1.0, 2.0, 3.0], "position"), [1.0, 2.0, 3.0])


def test_a_missing_joint_is_named_with_those_received():
    order = topics.NameOrder("joint_states", "joint", JOINTS)
    with pytest.raises(UserError, match="joint_states lacks the joint lower; it has hip, upper, knee"):
        order(["hip", "upper", "knee"], [1.0, 2.0, 3.0], "position")


def test_a_field_that_is_not_filled_is_named():
    order = topics.NameOrder("joint_states", "joint", JOINTS)
    with pytest.raises(UserError, match="0 values in 'velocity'"):
        order(list(JOINTS), [], "velocity")


@pytest.mark.parametrize("interface", topics.COMMAND_INTERFACES)
def test_a_position_command_arrives_as_it_was_sent(interface):
    targets = np.array([0.1, 0.9, -1.8])
    message = topics.joint_command_message(interface, STAMP, JOINTS, targets, np.zeros(3))
    assert type(message) is topics.command_type(interface)
    order = topics.NameOrder("joint_command", "joint", JOINTS)
    np.testing.assert_array_equal(topics.joint_command_of(message, order, 3), targets)


def test_damping_has_no_positions_and_zero_velocities():
    message = topics.joint_command_message("joint_state", STAMP, JOINTS, np.full(3, np.nan), np.ones(3))
    assert (list(message.position), list(message.velocity)) == ([], [0.0, 0.0, 0.0])
    assert topics.joint_command_of(message, topics.NameOrder("joint_command", "joint", JOINTS), 3) is None


def test_where_only_positions_are_known_the_measured_pose_stands_in_for_damping():
    message = topics.joint_command_message("forward_position", STAMP, JOINTS, np.full(3, np.nan), np.ones(3))
    assert list(message.data) == [1.0, 1.0, 1.0]


def test_commands_that_do_not_fit_are_refused():
    order = topics.NameOrder("joint_command", "joint", JOINTS)
    with pytest.raises(UserError, match="2 values for 3 joints"):
        topics.joint_command_of(Float64MultiArray(data=[1.0, 2.0]), order, 3)
    with pytest.raises(UserError, match="lacks the joint upper, lower"):
        topics.joint_command_of(JointState(name=["hip"], position=[1.0]), order, 3)
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
