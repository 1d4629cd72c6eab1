"""The live twin's entry for commands, in this process, over real topics."""

import os
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.config import TwinConfig
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from ros_nodes import topics
from ros_nodes.twin_node import TwinNode
from sim.incidents import IncidentPlayer

DOMAIN = 48
STAND = A1.stand_pose_rad.tolist()


def message(interface, position):
    if interface == "forward_position":
        return Float64MultiArray(data=position)
    return JointState(name=JOINT_NAMES[: len(position)], position=position)


@pytest.mark.parametrize("interface", topics.COMMAND_INTERFACES)
def test_a_message_that_is_no_command_changes_nothing_in_the_twin(interface):
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("twin", context=context, cli_args=["--ros-args", "-p", f"command_interface:={interface}"])
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    twin = make_twin(TwinConfig(command_timeout_s=0.0), seed=0)
    task = QuadrupedWalkTask(A1)
    twin_node = TwinNode(node, task.spec, task.embodiment, twin, IncidentPlayer(twin, 0))
    publisher = node.create_publisher(topics.command_type(interface), topics.JOINT_COMMAND, topics.RELIABLE)

    def until(condition):
        end_s = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < end_s
            executor.spin_once(timeout_sec=0.02)
            twin_node.tick()

    try:
        publisher.publish(message(interface, STAND))
        until(lambda: not twin.driver.damping)
        bad = ([*STAND[:2], float("nan"), *STAND[3:]], STAND[:11], [], [*STAND[:2], 1e6, *STAND[3:]])
        for number, position in enumerate(bad, start=1):
            publisher.publish(message(interface, position))
            until(lambda number=number: twin_node.intake.refused == number)
        assert not twin.driver.damping
        end_s = time.monotonic() + 0.3
        until(lambda: time.monotonic() > end_s)
        position_rad = twin.measure()["joint_position_rad"]
        target_rad = position_rad + twin.driver.targets.error(twin.time_s, position_rad)
        reach = twin.config.max_target_error_rad
        np.testing.assert_allclose(
            target_rad, np.clip(A1.stand_pose_rad, position_rad - reach, position_rad + reach), atol=1e-9
        )
    finally:
        executor.shutdown()
        node.destroy_node()
        context.shutdown()
