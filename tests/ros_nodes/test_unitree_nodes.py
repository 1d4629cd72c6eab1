"""The drivers' nodes, each against a stand-in for the robot's end of the wire."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.go2.low_level import low_command_crc
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.unitree import unitree_crc
from ros_nodes import topics


class A1MotorController:
    """The A1's end of the wire: keeps commands, answers each with a state."""

    def __init__(self, rig):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.stiffness, self.targets = [], []
        rig.node.create_timer(0.002, self.answer)

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


class Go2:
    """The Go2's end of its topics: keeps commands, which must be whole; reports from `switch_on` on."""

    def __init__(self, rig):
        from unitree_go.msg import LowCmd, LowState

        self.stiffness, self.targets = [], []
        self.node, self.message_type = rig.node, LowState
        self.publisher = rig.node.create_publisher(LowState, "lowstate", topics.RELIABLE)
        rig.node.create_subscription(LowCmd, "lowcmd", self.obey, 100)

    def obey(self, command):
        assert (list(command.head), command.level_flag) == ([0xFE, 0xEF], 0xFF)
        assert command.crc == low_command_crc(command)
        assert {motor.mode for motor in command.motor_cmd} == {1}
        self.stiffness.append({motor.kp for motor in command.motor_cmd[:12]})
        self.targets.append([motor.q for motor in command.motor_cmd[:12]])

    def switch_on(self):
        state = self.message_type()
        state.imu_state.quaternion = [1.0, 0.0, 0.0, 0.0]
        state.imu_state.accelerometer = [0.0, 0.0, 9.81]
        state.bms_state.soc = 80
        state.foot_force = [10, 20, 30, 40]
        for joint, angle in enumerate(GO2.stand_pose_rad):
            motor = state.motor_state[joint]
            motor.q, motor.dq, motor.temperature = float(angle), 0.01 * joint, 30 + joint
        self.node.create_timer(0.005, lambda: self.publisher.publish(state))


class Listener:
    """What the driver tells us."""

    def __init__(self, rig):
        self.states, self.imu, self.temperatures, self.batteries, self.contacts = [], [], [], [], []
        for kind, topic, messages in (
            (topics.JointState, topics.JOINT_STATES, self.states),
            (topics.Imu, topics.IMU, self.imu),
            (Temperature, topics.TEMPERATURE, self.temperatures),
            (BatteryState, topics.BATTERY, self.batteries),
            (topics.JointState, topics.FOOT_CONTACTS, self.contacts),
        ):
            rig.node.create_subscription(kind, topic, messages.append, 100)

    def expect(self, robot):
        np.testing.assert_allclose(self.states[-1].position, robot.stand_pose_rad, atol=1e-6)
        assert tuple(self.states[-1].name) == JOINT_NAMES
        assert self.temperatures[-1].temperature == 41.0
        assert list(self.contacts[-1].effort) == [5.0, 10.0, 15.0, 20.0]
        assert self.imu[-1].orientation.w == 1.0


@pytest.fixture(scope="session")
def unitree_go(tmp_path_factory):
    """Folder of Unitree's messages, built by ROS's own generators."""
    if not (shutil.which("gcc") and shutil.which("g++") and Path(sysconfig.get_path("include"), "Python.h").exists()):
        pytest.skip("no compiler for the Go2's messages")
    directory = tmp_path_factory.mktemp("unitree_go")
    script = Path(__file__).parents[1] / "unitree_go/build.py"
    result = subprocess.run([sys.executable, script, directory], capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    return directory


def start(rig, node, environment, **parameters):
    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", f"ros_nodes.{node}", "--ros-args", *arguments]
    with open(rig.directory / "driver.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    rig.processes.append(process)
    return process


def obeys_damps_by_itself_and_at_the_end(rig, robot, stand_in, driver):
    gains = robot.limits.gains
    stiffness, reach_rad = gains.stiffness_n_m_rad[0], gains.max_target_error_rad[0]
    assert {0.0} == set().union(*stand_in.stiffness)  # no command yet
    commands = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    target = robot.stand_pose_rad + 0.1
    target[2] += 5.0  # further from the measured angle than the driver goes
    message = topics.joint_command_message("joint_state", topics.Time(), JOINT_NAMES, target, target)

    def reached():
        commands.publish(message)
        return stand_in.stiffness[-1] == {stiffness} and abs(stand_in.targets[-1][1] - target[1]) < 1e-6

    rig.until(reached)
    assert stand_in.targets[-1][2] == pytest.approx(robot.stand_pose_rad[2] + reach_rad)
    # Commands cease: the driver damps.
    rig.until(lambda: stand_in.stiffness[-1] == {0.0})

    commands.publish(message)
    rig.until(lambda: stand_in.stiffness[-1] == {stiffness})
    driver.send_signal(signal.SIGINT)
    assert rig.until_exit(driver) == 0, rig.output("driver")
    time.sleep(0.05)
    rig.executor.spin_once(timeout_sec=0.05)
    assert stand_in.stiffness[-5:] == [{0.0}] * 5


def test_the_a1_obeys_its_topic_damps_by_itself_and_at_the_end(make_rig):
    rig = make_rig(41)
    controller, listener = A1MotorController(rig), Listener(rig)
    addresses = {"robot_address": "127.0.0.1", "robot_port": controller.port, "local_port": 0}
    driver = start(rig, "unitree_a1_node", rig.environment, newton_per_foot_force=0.5, **addresses)
    rig.until(lambda: len(listener.states) > 20)
    listener.expect(A1)
    obeys_damps_by_itself_and_at_the_end(rig, A1, controller, driver)


def test_the_go2_obeys_its_topic_damps_by_itself_and_at_the_end(make_rig, unitree_go, monkeypatch):
    monkeypatch.syspath_prepend(unitree_go)
    rig = make_rig(45)
    robot, listener = Go2(rig), Listener(rig)
    found = rig.environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    driver = start(rig, "unitree_go2_node", found, newton_per_foot_force=0.5)
    rig.until(lambda: rig.node.count_subscribers("lowstate") and rig.node.count_publishers("lowcmd"))
    silent_until_s = time.monotonic() + 0.3
    rig.until(lambda: time.monotonic() > silent_until_s)
    assert not robot.stiffness  # a robot that has not reported is told nothing
    robot.switch_on()
    rig.until(lambda: len(listener.states) > 20 and len(robot.stiffness) > 20)
    listener.expect(GO2)
    np.testing.assert_allclose(listener.states[-1].velocity, 0.01 * np.arange(12), atol=1e-6)
    assert listener.imu[-1].linear_acceleration.z == pytest.approx(9.81)
    assert listener.batteries[-1].percentage == pytest.approx(0.8)
    obeys_damps_by_itself_and_at_the_end(rig, GO2, robot, driver)


def test_without_the_go2s_messages_the_error_names_the_cure():
    command = [sys.executable, "-m", "ros_nodes.unitree_go2_node"]
    environment = os.environ | {"ROS_DOMAIN_ID": "42"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert result.returncode == 2
    assert "unitree_go" in result.stderr and "unitree_ros2" in result.stderr
