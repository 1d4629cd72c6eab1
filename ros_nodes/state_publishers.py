"""A robot's state as messages: one publisher for each topic that its signals come on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.contract import signals
from daydreamer.contract.embodiment import Embodiment
from daydreamer.spec import RobotSpec
from ros_nodes import topics


class StatePublishers:
    """Makes messages of signals by name, and publishes them. What is missing is not published."""

    def __init__(self, node: Node, spec: RobotSpec, robot: Embodiment):
        """Advertises the robot's topics; `spec` names joints and feet."""
        self._node, self._spec, self._robot = node, spec, robot
        types = {
            topics.JOINT_STATES: topics.JointState,
            topics.IMU: topics.Imu,
            topics.FOOT_CONTACTS: topics.JointState,
            topics.TEMPERATURE: Temperature,
            topics.BATTERY: BatteryState,
        }
        wanted = [topic for topic in topics.topics_of(robot) if topic != topics.ODOMETRY]
        optional = ((topics.TEMPERATURE, signals.TEMPERATURE), (topics.BATTERY, signals.CHARGE))
        wanted += [topic for topic, name in optional if name in robot.signals]
        self._publishers = {
            topic: node.create_publisher(types.get(topic, topics.Image), topic, topics.RELIABLE) for topic in wanted
        }
        if topics.ODOMETRY in topics.topics_of(robot):
            from nav_msgs.msg import Odometry  # not needed by robots without wheels

            self._publishers[topics.ODOMETRY] = node.create_publisher(Odometry, topics.ODOMETRY, topics.RELIABLE)

    @property
    def publishers(self) -> tuple[Any, ...]:
        """All of them, rclpy's own."""
        return tuple(self._publishers.values())

    @property
    def listened_to(self) -> bool:
        """Whether anybody subscribes to the first topic."""
        return self.publishers[0].get_subscription_count() > 0

    def messages(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """By topic, of signals by name; all are stamped now."""
        stamp = self._node.get_clock().now().to_msg()
        spec = self._spec
        made: dict[str, Any] = {}
        if signals.JOINT_POSITION in values:
            made[topics.JOINT_STATES] = topics.joint_state_message(
                stamp,
                spec.joint_names,
                values[signals.JOINT_POSITION],
                values[signals.JOINT_VELOCITY],
                values.get(signals.JOINT_EFFORT),
            )
        if topics.IMU in self._publishers:
            made[topics.IMU] = topics.imu_message(
                stamp,
                values.get(signals.ORIENTATION),
                values.get(signals.ANGULAR_VELOCITY),
                values.get(signals.LINEAR_ACCELERATION),
            )
        if signals.FOOT_FORCE in values:
            forces_n = values[signals.FOOT_FORCE]
            made[topics.FOOT_CONTACTS] = topics.foot_contacts_message(stamp, spec.foot_names, forces_n)
        if topics.ODOMETRY in self._publishers:
            pose = values.get(signals.ODOMETRY_POSE, np.zeros(3))
            made[topics.ODOMETRY] = topics.odometry_message(stamp, values[signals.ODOMETRY_TWIST], pose)
        if signals.TEMPERATURE in values:
            made[topics.TEMPERATURE] = Temperature(temperature=float(values[signals.TEMPERATURE]))
            made[topics.TEMPERATURE].header.stamp = stamp
        if signals.CHARGE in values:
            made[topics.BATTERY] = BatteryState(percentage=float(values[signals.CHARGE]))
            made[topics.BATTERY].header.stamp = stamp
        for camera in self._robot.cameras:
            if values.get(camera) is not None:
                made[topics.image_topic(camera)] = topics.image_message(stamp, values[camera])
        return made

    def publish(self, messages: Mapping[str, Any]) -> None:
        """Publishes messages by topic; those of topics that the robot does not have are left out."""
        for topic, message in messages.items():
            if topic in self._publishers:
                self._publishers[topic].publish(message)
