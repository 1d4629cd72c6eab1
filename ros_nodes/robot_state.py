"""Gathers the robot's topics into one measurement."""

from __future__ import annotations

import math
import time

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import BatteryState, Image, Imu, JointState, Temperature

from daydreamer.robots.base import Measurement
from daydreamer.spec import RobotSpec
from ros_nodes import topics

REPORT_TIMEOUT_S = 10.0
"""Temperature and charge that are older than this are not known any more."""


class RobotState:
    """Subscribes to what a robot's specification needs; callbacks raise UserError on messages that do not fit it.

    Temperature and charge are optional: a robot that does not report them is not waited for.

    Reception is stamped with this process's steady clock: the driver's stamps are of another clock, perhaps of
    another machine.
    """

    def __init__(self, node: Node, spec: RobotSpec):
        self._spec = spec
        self._joint_order = topics.NameOrder(topics.JOINT_STATES, "joint", spec.joint_names)
        self._foot_order = topics.NameOrder(topics.FOOT_CONTACTS, "foot", spec.foot_names)
        self._image_shape = next((space.shape for space in spec.observation.values() if space.is_image), None)
        self._image: np.ndarray | None = None
        self._foot_force_n = np.zeros(0)
        self._peak_joint_speed_rad_s = np.zeros(len(spec.joint_names))
        subscriptions = [(JointState, topics.JOINT_STATES, self._on_joint_states), (Imu, topics.IMU, self._on_imu)]
        if spec.foot_names:
            subscriptions.append((JointState, topics.FOOT_CONTACTS, self._on_foot_contacts))
        if self._image_shape:
            subscriptions.append((Image, topics.IMAGE, self._on_image))
        self._subscriptions = {
            topic: node.create_subscription(message_type, topic, callback, topics.LATEST_ONLY)
            for message_type, topic, callback in subscriptions
        }
        self._received_s = dict.fromkeys(self._subscriptions, -math.inf)
        self._temperature = _Report()
        self._battery = _Report()
        self._reports = [
            node.create_subscription(
                Temperature,
                topics.TEMPERATURE,
                lambda message: self._temperature.receive(message.temperature),
                topics.LATEST_ONLY,
            ),
            node.create_subscription(
                BatteryState,
                topics.BATTERY,
                lambda message: self._battery.receive(message.percentage),
                topics.LATEST_ONLY,
            ),
        ]

    def take_waiting(self) -> None:
        """Takes in what has arrived, without an executor.

        Raises:
          UserError: a message does not fit the specification.
        """
        for subscription in self._subscriptions.values():
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, False)
            if taken is not None:
                subscription.callback(taken[0])

    def silent_topics(self, since_s: float) -> list[str]:
        """Resolved names of the topics on which nothing has arrived since `since_s` of `time.monotonic()`."""
        return [self._subscriptions[topic].topic_name for topic, at_s in self._received_s.items() if at_s < since_s]

    def measurement(self) -> Measurement:
        """The newest state, as old as its oldest part. Only when every topic has delivered."""
        peak_rad_s = self._peak_joint_speed_rad_s
        self._peak_joint_speed_rad_s = np.abs(self._joint_velocity_rad_s)
        return Measurement(
            time_s=min(self._received_s.values()),
            joint_position_rad=self._joint_position_rad,
            joint_velocity_rad_s=self._joint_velocity_rad_s,
            orientation_wxyz=self._orientation_wxyz,
            angular_velocity_rad_s=self._angular_velocity_rad_s,
            linear_acceleration_m_s2=self._linear_acceleration_m_s2,
            foot_force_n=self._foot_force_n,
            image=self._image,
            temperature_c=self._temperature.value(),
            battery_fraction=self._battery.value(),
            peak_joint_speed_rad_s=peak_rad_s,
        )

    def _on_joint_states(self, message: JointState) -> None:
        self._joint_position_rad = self._joint_order(message.name, message.position, "position")
        self._joint_velocity_rad_s = self._joint_order(message.name, message.velocity, "velocity")
        self._peak_joint_speed_rad_s = np.fmax(self._peak_joint_speed_rad_s, np.abs(self._joint_velocity_rad_s))
        self._received_s[topics.JOINT_STATES] = time.monotonic()

    def _on_imu(self, message: Imu) -> None:
        self._orientation_wxyz = topics.orientation_of(message)
        self._angular_velocity_rad_s = topics.vector_of(message.angular_velocity)
        self._linear_acceleration_m_s2 = topics.vector_of(message.linear_acceleration)
        self._received_s[topics.IMU] = time.monotonic()

    def _on_foot_contacts(self, message: JointState) -> None:
        self._foot_force_n = self._foot_order(message.name, message.effort, "effort")
        self._received_s[topics.FOOT_CONTACTS] = time.monotonic()

    def _on_image(self, message: Image) -> None:
        self._image = topics.image_of(message, self._image_shape)
        self._received_s[topics.IMAGE] = time.monotonic()


class _Report:
    """A number that a robot may or may not report."""

    def __init__(self) -> None:
        self._value: float | None = None
        self._received_s = -math.inf

    def receive(self, value: float) -> None:
        # Not a number is what BatteryState has where nothing is measured.
        self._value = value if math.isfinite(value) else None
        self._received_s = time.monotonic()

    def value(self) -> float | None:
        return self._value if time.monotonic() - self._received_s < REPORT_TIMEOUT_S else None
