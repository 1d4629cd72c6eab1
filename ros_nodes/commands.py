"""Sends joint commands through the interface that the driver wants."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from rclpy.node import Node

from ros_nodes import topics

DAMPING_REPEATS = 5
DAMPING_PERIOD_S = 0.02


class CommandPublisher:
    """Publishes `joint_command`; any thread may send."""

    def __init__(self, node: Node, joint_names: Sequence[str], interface: str):
        """`interface` is one of `topics.COMMAND_INTERFACES`."""
        self._node = node
        self._joint_names = joint_names
        self._interface = interface
        self._damped = np.full(len(joint_names), np.nan)
        message_type = topics.command_type(interface)
        self._publisher = node.create_publisher(message_type, topics.JOINT_COMMAND, topics.RELIABLE)

    @property
    def topic_name(self) -> str:
        """Resolved."""
        return self._publisher.topic_name

    def send(self, position_rad: np.ndarray, measured_rad: np.ndarray) -> None:
        """See `topics.joint_command_message`."""
        stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(
            topics.joint_command_message(self._interface, stamp, self._joint_names, position_rad, measured_rad)
        )

    def damp(self, measured_rad: np.ndarray) -> None:
        """Damps the joints, once and at once."""
        self.send(self._damped, measured_rad)

    def damp_surely(self, measured_rad: np.ndarray) -> None:
        """Damps the joints, several times over in case a message is lost. Takes 0.1 s."""
        for _ in range(DAMPING_REPEATS):
            self.damp(measured_rad)
            time.sleep(DAMPING_PERIOD_S)
