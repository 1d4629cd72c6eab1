"""Sends commands through the interface that the driver wants."""

from __future__ import annotations

import time

import numpy as np
from rclpy.node import Node

from daydreamer.contract.embodiment import Embodiment
from ros_nodes import topics

DAMPING_REPEATS = 5
DAMPING_PERIOD_S = 0.02


class CommandPublisher:
    """Publishes `joint_command`, or `cmd_vel` for a robot on wheels; any thread may send.

    Attributes:
      publisher: rclpy's.
    """

    def __init__(self, node: Node, robot: Embodiment, interface: str):
        """`interface` is one of `topics.INTERFACES` for what the robot is told."""
        self._node = node
        self._robot = robot
        self._interface = interface
        self._relaxed = np.full(len(robot.setpoint_names), np.nan)
        message_type = topics.command_type(interface, robot.setpoint_kind)
        self.publisher = node.create_publisher(message_type, topics.command_topic(robot), topics.RELIABLE)

    @property
    def topic_name(self) -> str:
        """Resolved."""
        return self.publisher.topic_name

    def send(self, setpoint: np.ndarray, stand_in_rad: np.ndarray | None) -> None:
        """Tells the robot `[setpoint]`; what is not finite relaxes it.

        See `topics.joint_command_message`; nothing is sent of what cannot be said.
        """
        stamp = self._node.get_clock().now().to_msg()
        if self._robot.setpoint_kind == "twist":
            message = topics.twist_message(self._interface, stamp, setpoint)
        else:
            names = self._robot.setpoint_names
            message = topics.joint_command_message(self._interface, stamp, names, setpoint, stand_in_rad)
        if message is not None:
            self.publisher.publish(message)

    def damp(self, stand_in_rad: np.ndarray | None) -> None:
        """Relaxes the robot, once and at once; see `SafetySupervisor.stand_in_rad`."""
        self.send(self._relaxed, stand_in_rad)

    def damp_surely(self, stand_in_rad: np.ndarray | None) -> None:
        """Relaxes the robot, several times over in case a message is lost. Takes 0.1 s."""
        for _ in range(DAMPING_REPEATS):
            self.damp(stand_in_rad)
            time.sleep(DAMPING_PERIOD_S)
