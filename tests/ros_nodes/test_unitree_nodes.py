import os
import signal
import socket
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import Temperature

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.unitree import unitree_crc
from ros_nodes import topics


class MotorController:
    """The A1's end of the wire: keeps commands, answers each with a state."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.stiffness, self.targets = [], []

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def answer(self):
        while True:
            try:
                packet, sender = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            motors = [struct.unpack_from("<Bffhhh", packet, 10 + 27 * joint) for joint in range(12)]
            self.stiffness.append({motor[4] / 32 for motor in motors})
            self.targets.append([motor[1] for motor in motors])
            state = bytearray(771)
            state[0] = 0xFF
            struct.pack_into("<4f", state, 10, 1.0, 0.0, 0.0, 0.0)
            for joint, angle in enumerate(A1.stand_pose_rad):
                struct.pack_into("<Bff", state, 63 + 32 * joint, 10, angle, 0.0)
                state[63 + 32 * joint + 23] = 30 + joint
            struct.pack_into("<4h", state, 703, 10, 20, 30, 40)
            struct.pack_into("<I", state, 767, unitree_crc(bytes(state[:767])))
            self.socket.sendto(state, sender)


def test_the_a1_obeys_its_topic_damps_by_itself_and_at_the_end(make_rig):
    rig = make_rig(41)
    controller = MotorController()
    states, temperatures, contacts = [], [], []
    rig.node.create_subscription(topics.JointState, topics.JOINT_STATES, states.append, 100)
    rig.node.create_subscription(Temperature, "temperature", temperatures.append, 100)
    rig.node.create_subscription(topics.JointState, topics.FOOT_CONTACTS, contacts.append, 100)
    commands = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    rig.node.create_timer(0.002, controller.answer)
    parameters = {
        "robot_address": "127.0.0.1",
        "robot_port": controller.port,
        "local_port": 0,
        "newton_per_foot_force": 0.5,
    }
    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", "ros_nodes.unitree_a1_node", "--ros-args", *arguments]
    with open(rig.directory / "a1.log", "wb") as log:
        driver = subprocess.Popen(command, env=rig.environment, stdout=log, stderr=log)
    rig.processes.append(driver)
    rig.until(lambda: len(states) > 20)
    assert {0.0} == set().union(*controller.stiffness)  # no command yet
    np.testing.assert_allclose(states[-1].position, A1.stand_pose_rad, atol=1e-6)
    assert tuple(states[-1].name) == JOINT_NAMES
    assert temperatures[-1].temperature == 41.0
    assert list(contacts[-1].effort) == [5.0, 10.0, 15.0, 20.0]

    target = A1.stand_pose_rad + 0.1
    target[2] += 5.0  # further from the measured angle than the driver goes
    message = topics.joint_command_message("joint_state", topics.Time(), JOINT_NAMES, target, target)

    def reached():
        commands.publish(message)
        return controller.stiffness[-1] == {80.0} and abs(controller.targets[-1][1] - target[1]) < 1e-6

    rig.until(reached)
    assert controller.targets[-1][2] == pytest.approx(A1.stand_pose_rad[2] + 0.2)
    # Commands cease: the driver damps.
    rig.until(lambda: controller.stiffness[-1] == {0.0})

    commands.publish(message)
    rig.until(lambda: controller.stiffness[-1] == {80.0})
    driver.send_signal(signal.SIGINT)
    assert rig.until_exit(driver) == 0, (rig.directory / "a1.log").read_text()
    time.sleep(0.05)
    controller.answer()
    assert controller.stiffness[-5:] == [{0.0}] * 5


def test_without_the_go2s_messages_the_error_names_the_cure():
    command = [sys.executable, "-m", "ros_nodes.unitree_go2_node"]
    environment = os.environ | {"ROS_DOMAIN_ID": "42"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert "unitree_go" in result.stderr and "unitree_ros2" in result.stderr
