"""Sends commands through the interface that the driver wants."""

from __future__ import annotations

import threading
import time

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher

from daydreamer.contract.embodiment import Embodiment
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.graph_checks import type_name

DAMPING_REPEATS = 5
DAMPING_PERIOD_S = 0.02


class CommandPublisher:
    """Publishes `joint_command`, or `cmd_vel` for a robot on wheels; any thread may send.

    Attributes:
      publisher: rclpy's; None as long as it is not known which message type the robot takes.
      topic_name: resolved.
    """

    def __init__(self, node: Node, robot: Embodiment, interface: str):
        """`interface` is one of `topics.actor_interfaces` for what the robot is told."""
        self._node = node
        self._robot = robot
        self._interface = interface
        self._relaxed = np.full(len(robot.setpoint_names), np.nan)
        self.topic_name = node.resolve_topic_name(topics.command_topic(robot))
        self.publisher: Publisher | None = None
        self._detecting = threading.Lock()
        if interface != topics.DETECTED:
            self._advertise(interface)

    def not_ready(self) -> str:
        """Why the robot cannot be told anything yet, a sentence; empty once it can, which it then remains.

        Where the message type is to be detected it is that of whoever takes commands now.
        """
        with self._detecting:
            return "" if self.publisher is not None else self._detect()

    def send(self, setpoint: np.ndarray, stand_in_rad: np.ndarray | None, lets_go: bool = False) -> None:
        """Tells the robot `[setpoint]`; what is not finite relaxes it, and says whether this process `lets_go`.

        See `topics.joint_command_message`; nothing is sent of what cannot be said, or where nobody would hear it.
        """
        if self.publisher is None:
            self.not_ready()
        if (publisher := self.publisher) is None:
            return
        stamp = self._node.get_clock().now().to_msg()
        if self._robot.setpoint_kind == "twist":
            message = topics.twist_message(self._interface, stamp, setpoint)
        else:
            names = self._robot.setpoint_names
            message = topics.joint_command_message(self._interface, stamp, names, setpoint, stand_in_rad, lets_go)
        if message is not None:
            publisher.publish(message)

    def damp(self, stand_in_rad: np.ndarray | None, lets_go: bool = False) -> None:
        """Relaxes the robot, once and at once; see `SafetySupervisor.stand_in_rad` and `lets_go` there."""
        self.send(self._relaxed, stand_in_rad, lets_go)

    def let_go_surely(self, stand_in_rad: np.ndarray | None) -> None:
        """Relaxes the robot for good, several times over in case a message is lost. Takes 0.1 s."""
        for _ in range(DAMPING_REPEATS):
            self.damp(stand_in_rad, lets_go=True)
            time.sleep(DAMPING_PERIOD_S)

    def _advertise(self, interface: str) -> None:
        self._interface = interface
        message_type = topics.command_type(interface, self._robot.setpoint_kind)
        self.publisher = self._node.create_publisher(message_type, self.topic_name, topics.RELIABLE)

    def _detect(self) -> str:
        kind = self._robot.setpoint_kind
        wanted = {type_name(topics.command_type(name, kind)): name for name in topics.INTERFACES[kind]}
        taken = {each.topic_type for each in self._node.get_subscriptions_info_by_topic(self.topic_name)}
        found = [name for name in wanted if name in taken]
        if len(found) == 1:
            self._advertise(wanted[found[0]])
            return ""
        if found:
            choices = " or ".join(topics.INTERFACES[kind])
            return f"{self.topic_name} is taken as {' and as '.join(found)}: set command_interface to {choices}."
        if taken:
            others = ", ".join(sorted(map(printable_line, taken)))
            return f"{self.topic_name} is taken as {others}, and {' or '.join(wanted)} can be sent."
        return f"Nobody takes commands on {self.topic_name}: is the driver running, and on that name?"
