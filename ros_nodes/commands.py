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

    def send(self, position_rad: np.ndarray, stand_in_rad: np.ndarray | None) -> None:
        """See `topics.joint_command_message`; nothing is sent of what cannot be said."""
        stamp = self._node.get_clock().now().to_msg()
        message = topics.joint_command_message(self._interface, stamp, self._joint_names, position_rad, stand_in_rad)
        if message is not None:
            self._publisher.publish(message)

    def damp(self, stand_in_rad: np.ndarray | None) -> None:
        """Damps the joints, once and at once; see `SafetySupervisor.stand_in_rad`."""
        self.send(self._damped, stand_in_rad)

    def damp_surely(self, stand_in_rad: np.ndarray | None) -> None:
        """Damps the joints, several times over in case a message is lost. Takes 0.1 s."""
        for _ in range(DAMPING_REPEATS):
            self.damp(stand_in_rad)
            time.sleep(DAMPING_PERIOD_S)
