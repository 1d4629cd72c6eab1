"""Topics of a robot: names, quality of service, and messages from and to arrays. Standard messages only.

Names are relative, so that a namespace and remapping rules apply. Arrays are in the order of the robot's
specification; messages may name joints and feet in any order and may carry more of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, Imu, JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.contract.embodiment import Embodiment, SetpointKind
from daydreamer.contract.frames import quaternion_heading_rad
from daydreamer.contract.signals import (
    FOOT_FORCE,
    IMU_SIGNALS,
    JOINT_POSITION,
    JOINT_VELOCITY,
    ODOMETRY_POSE,
    ODOMETRY_TWIST,
    WISHED_TWIST,
)
from daydreamer.errors import UserError
from daydreamer.session.wiring import Wiring

JOINT_STATES = "joint_states"
IMU = "imu/data"
FOOT_CONTACTS = "foot_contacts"
ODOMETRY = "odom"
JOINT_COMMAND = "joint_command"
VELOCITY_COMMAND = "cmd_vel"
TEMPERATURE = "temperature"
BATTERY = "battery_state"
EMERGENCY_STOP = "e_stop"
GAMEPAD = "joy"
DIAGNOSTICS = "/diagnostics"

COMMAND_INTERFACES = ("joint_state", "forward_position")
"""`joint_command` as sensor_msgs/JointState, or as std_msgs/Float64MultiArray for a forward_command_controller."""

TWIST_INTERFACES = ("twist_stamped", "twist")
"""`cmd_vel` as geometry_msgs/TwistStamped, or as geometry_msgs/Twist for older robots."""

INTERFACES: Mapping[SetpointKind, tuple[str, ...]] = {
    "joint_position": COMMAND_INTERFACES,
    "twist": TWIST_INTERFACES,
}
"""By what a robot is told; the first is the usual one."""

DETECTED = "auto"
"""Whichever of these the robot takes, as far as the graph says: TurtleBot3 takes Twist before ROS 2 Jazzy."""

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

UNOBSERVED = SubscriptionEventCallbacks(use_default_callbacks=False)
"""For subscriptions that accept every publisher. rclpy looks after two events of each at every wait, a sixth of the
actor's processor time, only to warn of publishers that are not accepted. Of a wrong type `why_silent` and `GraphWatch`
tell.
"""


def image_topic(camera: str) -> str:
    """Where the pictures of a camera are, by the name of its signal."""
    return f"{camera}/image_raw"


def compressed_topic(camera: str) -> str:
    """Where image_transport puts the same, as JPEG or PNG."""
    return f"{image_topic(camera)}/compressed"


LARGEST_SCALE = 1e6
"""Of a quaternion, whose length should be 1."""


def joint_state_message(
    stamp: Time,
    names: Sequence[str],
    position_rad: np.ndarray,
    velocity_rad_s: np.ndarray,
    effort_n_m: np.ndarray | None = None,
) -> JointState:
    message = JointState(name=list(names), position=position_rad.tolist(), velocity=velocity_rad_s.tolist())
    if effort_n_m is not None:
        message.effort = effort_n_m.tolist()
    message.header.stamp = stamp
    return message


def foot_contacts_message(stamp: Time, names: Sequence[str], force_n: np.ndarray) -> JointState:
    """Normal force of each named foot in N, in `effort`: the one standard message that is stamped and named."""
    message = JointState(name=list(names), effort=force_n.tolist())
    message.header.stamp = stamp
    return message


def imu_message(
    stamp: Time,
    orientation_wxyz: np.ndarray | None,
    angular_velocity_rad_s: np.ndarray | None,
    linear_acceleration_m_s2: np.ndarray | None,
) -> Imu:
    """What is None is said to be missing as REP-145 has it: by a covariance that begins with -1."""
    message = Imu()
    message.header.stamp = stamp
    message.header.frame_id = "base_link"
    if orientation_wxyz is None:
        message.orientation_covariance[0] = -1.0
    else:
        orientation = message.orientation
        orientation.w, orientation.x, orientation.y, orientation.z = orientation_wxyz.tolist()
    for name, values in (
        ("angular_velocity", angular_velocity_rad_s),
        ("linear_acceleration", linear_acceleration_m_s2),
    ):
        if values is None:
            getattr(message, f"{name}_covariance")[0] = -1.0
        else:
            vector = getattr(message, name)
            vector.x, vector.y, vector.z = values.tolist()
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


def yaw_of(orientation) -> float:
    """Heading in rad of a geometry_msgs/Quaternion on level ground."""
    return quaternion_heading_rad(orientation.w, orientation.x, orientation.y, orientation.z)


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
    lets_go: bool = False,
) -> JointState | Float64MultiArray | None:
    """A command; whatever of `position_rad` is not finite damps the joints.

    Damping is a message without positions and with zero velocities; zero efforts besides say that the sender lets go:
    only an operator has it go on. A forward_command_controller knows positions only: there `stand_in_rad`, finite, says
    where the joints are, which takes the tension out without letting the robot drop. None where that is to be said and
    nothing is known.
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
        if lets_go:
            message.effort = [0.0] * len(names)
    else:
        message.position = position_rad.tolist()
    return message


def wiring_of(node: Node, interface: str, robot: Embodiment) -> Wiring:
    """Where a node's topics are, after namespace and remapping."""
    wishes = (VELOCITY_COMMAND,) if WISHED_TWIST in robot.signals else ()
    names = (*topics_of(robot), TEMPERATURE, BATTERY, *wishes, command_topic(robot), EMERGENCY_STOP, GAMEPAD)
    resolved = {name: node.resolve_topic_name(name) for name in names}
    return Wiring(command_interface=interface, namespace=node.get_namespace(), topics=resolved)


_SIGNALS: Mapping[str, tuple[str, ...]] = {
    JOINT_STATES: (JOINT_POSITION, JOINT_VELOCITY),
    IMU: IMU_SIGNALS,
    FOOT_CONTACTS: (FOOT_FORCE,),
    ODOMETRY: (ODOMETRY_TWIST, ODOMETRY_POSE),
}
"""What may come on each topic."""


def signals_of(robot: Embodiment, topic: str) -> tuple[str, ...]:
    """The robot's signals that come on a topic."""
    return tuple(name for name in _SIGNALS[topic] if name in robot.signals)


def topics_of(robot: Embodiment) -> tuple[str, ...]:
    """Topics that a robot's state comes on."""
    states = tuple(topic for topic in _SIGNALS if signals_of(robot, topic))
    return states + tuple(image_topic(camera) for camera in robot.cameras)


def command_topic(robot: Embodiment) -> str:
    """Topic on which the robot is told what to do."""
    return VELOCITY_COMMAND if robot.setpoint_kind == "twist" else JOINT_COMMAND


_COMMAND_TYPES = {
    "joint_state": JointState,
    "forward_position": Float64MultiArray,
    "twist_stamped": TwistStamped,
    "twist": Twist,
}


def command_type(interface: str, kind: SetpointKind = "joint_position") -> type:
    """Message type of a command.

    Raises:
      UserError: there is no such interface for robots that are told this.
    """
    if interface not in INTERFACES[kind]:
        raise UserError(f"command_interface '{interface}' is unknown; choose {' or '.join(INTERFACES[kind])}.")
    return _COMMAND_TYPES[interface]


def actor_interfaces(kind: SetpointKind) -> tuple[str, ...]:
    """What the actor's parameter command_interface may be; the first is the usual one."""
    return (DETECTED, *INTERFACES[kind]) if kind == "twist" else INTERFACES[kind]


def twist_message(interface: str, stamp: Time, twist: np.ndarray) -> TwistStamped | Twist:
    """Forward speed in m/s and turn rate in rad/s `[2]`; what is not finite stops the robot."""
    forward_m_s, turn_rad_s = twist.tolist() if np.isfinite(twist).all() else (0.0, 0.0)
    message = Twist()
    message.linear.x, message.angular.z = forward_m_s, turn_rad_s
    if interface == "twist":
        return message
    stamped = TwistStamped(twist=message)
    stamped.header.stamp, stamped.header.frame_id = stamp, "base_link"
    return stamped


def odometry_type() -> type:
    """nav_msgs/Odometry, whose package robots without wheels do not need."""
    from nav_msgs.msg import Odometry

    return Odometry


def odometry_message(stamp: Time, twist: np.ndarray, pose: np.ndarray):
    """nav_msgs/Odometry of a robot on level ground.

    Args:
      twist: forward speed in m/s and turn rate in rad/s `[2]`.
      pose: x, y in m and heading in rad `[3]`.
    """
    from nav_msgs.msg import Odometry  # not needed by robots without wheels

    message = Odometry(child_frame_id="base_link")
    message.header.stamp, message.header.frame_id = stamp, "odom"
    message.twist.twist.linear.x, message.twist.twist.angular.z = twist.tolist()
    x, y, yaw = pose.tolist()
    message.pose.pose.position.x, message.pose.pose.position.y = x, y
    message.pose.pose.orientation.z, message.pose.pose.orientation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return message
