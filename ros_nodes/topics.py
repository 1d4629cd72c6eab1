"""Topics of a robot: names, quality of service, and messages from and to arrays. Standard messages only.

Names are relative, so that a namespace and remapping rules apply. Arrays are in the order of the robot's
specification; messages may name joints and feet in any order and may carry more of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, Imu, JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.errors import UserError
from daydreamer.session.wiring import Wiring

JOINT_STATES = "joint_states"
IMU = "imu/data"
FOOT_CONTACTS = "foot_contacts"
IMAGE = "camera/image_raw"
COMPRESSED_IMAGE = f"{IMAGE}/compressed"
"""Where image_transport puts it."""
IMAGES = (IMAGE, COMPRESSED_IMAGE)
JOINT_COMMAND = "joint_command"
TEMPERATURE = "temperature"
BATTERY = "battery_state"
EMERGENCY_STOP = "e_stop"
GAMEPAD = "joy"
DIAGNOSTICS = "/diagnostics"

COMMAND_INTERFACES = ("joint_state", "forward_position")
"""`joint_command` as sensor_msgs/JointState, or as std_msgs/Float64MultiArray for a forward_command_controller."""

LATEST_ONLY = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""For subscriptions: an old state is worthless, and best effort accepts every publisher's reliability."""

FROM_SEVERAL = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Likewise, where several nodes may publish parts of a state: a gripper's message must not push out the legs'."""

RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
"""For publishers: compatible with every subscription, ros2_control's reliable ones included."""

LATCHED = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
"""The last messages also reach those who come later."""

FROM_ANYBODY = (
    LATCHED,
    QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE),
    QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT),
)
"""A subscription of each accepts every publisher (`ros2 topic pub` is reliable, not latched), and gets its reliability.

Deep enough not to lose a message to its successor, as an emergency stop to its release.
"""


LARGEST_SCALE = 1e6
"""Of a quaternion, whose length should be 1."""


def joint_state_message(
    stamp: Time, names: Sequence[str], position_rad: np.ndarray, velocity_rad_s: np.ndarray
) -> JointState:
    message = JointState(name=list(names), position=position_rad.tolist(), velocity=velocity_rad_s.tolist())
    message.header.stamp = stamp
    return message


def foot_contacts_message(stamp: Time, names: Sequence[str], force_n: np.ndarray) -> JointState:
    """Normal force of each named foot in N, in `effort`: the one standard message that is stamped and named."""
    message = JointState(name=list(names), effort=force_n.tolist())
    message.header.stamp = stamp
    return message


def imu_message(
    stamp: Time,
    orientation_wxyz: np.ndarray,
    angular_velocity_rad_s: np.ndarray,
    linear_acceleration_m_s2: np.ndarray,
) -> Imu:
    message = Imu()
    message.header.stamp = stamp
    message.header.frame_id = "base_link"
    orientation = message.orientation
    orientation.w, orientation.x, orientation.y, orientation.z = orientation_wxyz.tolist()
    angular, linear = message.angular_velocity, message.linear_acceleration
    angular.x, angular.y, angular.z = angular_velocity_rad_s.tolist()
    linear.x, linear.y, linear.z = linear_acceleration_m_s2.tolist()
    return message


def orientation_of(message: Imu) -> np.ndarray:
    """`[4]` w, x, y, z, of length 1 whatever the sender's scale.

    Raises:
      UserError: the sensor gives no orientation (REP-145: first covariance element -1, or a zero quaternion), or one
        that is not finite.
    """
    orientation = message.orientation
    values = np.array([orientation.w, orientation.x, orientation.y, orientation.z])
    length = math.sqrt(float(values @ values)) if (np.abs(values) < LARGEST_SCALE).all() else math.nan
    if message.orientation_covariance[0] == -1.0 or length < 1.0 / LARGEST_SCALE:
        raise UserError(
            f"Topic {IMU} has no orientation; run an orientation filter, as imu_filter_madgwick, before it."
        )
    if math.isnan(length):
        raise UserError(f"Topic {IMU} has an impossible orientation, {values}.")
    return values / length


def vector_of(vector) -> np.ndarray:
    """`[3]` of a geometry_msgs/Vector3."""
    return np.array([vector.x, vector.y, vector.z])


def image_message(stamp: Time, image: np.ndarray) -> Image:
    """`image`: uint8 `[height, width, 3]`, RGB."""
    height, width, channels = image.shape
    message = Image(height=height, width=width, encoding="rgb8", step=width * channels, data=image.tobytes())
    message.header.stamp = stamp
    message.header.frame_id = "camera"
    return message


def joint_command_message(
    interface: str,
    stamp: Time,
    names: Sequence[str],
    position_rad: np.ndarray,
    stand_in_rad: np.ndarray | None,
) -> JointState | Float64MultiArray | None:
    """A command; whatever of `position_rad` is not finite damps the joints.

    Damping is a message without positions and with zero velocities. A forward_command_controller knows positions
    only: there `stand_in_rad`, finite, says where the joints are, which takes the tension out without letting the
    robot drop. None where that is to be said and nothing is known.
    """
    damping = not np.isfinite(position_rad).all()
    if interface == "forward_position":
        pose_rad = stand_in_rad if damping else position_rad
        return (
            None if pose_rad is None or not np.isfinite(pose_rad).all() else Float64MultiArray(data=pose_rad.tolist())
        )
    message = JointState(name=list(names))
    message.header.stamp = stamp
    if damping:
        message.velocity = [0.0] * len(names)
    else:
        message.position = position_rad.tolist()
    return message


def wiring_of(node: Node, interface: str) -> Wiring:
    """Where a node's topics are, after namespace and remapping."""
    names = (JOINT_STATES, IMU, FOOT_CONTACTS, IMAGE, TEMPERATURE, BATTERY, JOINT_COMMAND, EMERGENCY_STOP, GAMEPAD)
    resolved = {name: node.resolve_topic_name(name) for name in names}
    return Wiring(command_interface=interface, namespace=node.get_namespace(), topics=resolved)


def command_type(interface: str) -> type:
    """Message type of `joint_command`.

    Raises:
      UserError: unknown interface.
    """
    if interface not in COMMAND_INTERFACES:
        raise UserError(f"command_interface '{interface}' is unknown; choose {' or '.join(COMMAND_INTERFACES)}.")
    return Float64MultiArray if interface == "forward_position" else JointState
