"""The drivers' nodes, each against a stand-in for the robot's end of the wire."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.driver_node import MotorController, driver_state
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.go2.low_level import low_command_crc
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.quadruped.unitree import impossible_imu, impossible_joints, unitree_crc
from daydreamer.safety.motor_guard import MotorGuard
from ros_nodes import topics


def a1_state(position=A1.stand_pose_rad, velocity=np.zeros(12), quaternion=(1.0, 0.0, 0.0, 0.0), tick=0):
    state = bytearray(771)
    state[0] = 0xFF
    struct.pack_into("<4f", state, 10, *quaternion)
    for joint in range(12):
        struct.pack_into("<Bff", state, 63 + 32 * joint, 10, position[joint], velocity[joint])
        state[63 + 32 * joint + 23] = 30 + joint
    struct.pack_into("<4h", state, 703, 10, 20, 30, 40)
    return at_tick(state, tick)


def at_tick(content, tick):
    state = bytearray(content)
    struct.pack_into("<I", state, 719, tick)
    struct.pack_into("<I", state, 767, unitree_crc(bytes(state[:767])))
    return bytes(state)


def with_knee(angle):
    return [*A1.stand_pose_rad[:2], angle, *A1.stand_pose_rad[3:]]


class A1MotorController:
    """The A1's end of the wire: keeps commands, answers each with what `state` makes, or not at all.

    On a thread of its own: a robot answers at once, whatever the test is busy with.
    """

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.stiffness, self.targets = [], []
        self.tick = 0
        self.state = a1_state
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self.socket.close()

    def _answer(self):
        while True:
            packet, sender = self.socket.recvfrom(2048)
            if not packet:
                return
            motors = [struct.unpack_from("<Bffhhh", packet, 10 + 27 * joint) for joint in range(12)]
            self.targets.append([motor[1] for motor in motors])
            self.stiffness.append({motor[4] / 32 for motor in motors})
            if (state := self.state()) is not None:
                self.tick += 4
                self.socket.sendto(at_tick(state, self.tick), sender)


@pytest.fixture
def controller():
    with contextlib.closing(A1MotorController()) as made:
        yield made


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

        def report():
            state.tick += 5
            self.publisher.publish(state)

        self.node.create_timer(0.005, report)


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

    def wait(self, rig):
        """Until every topic that both robots have says something: they are discovered one by one."""
        rig.until(lambda: len(self.states) > 20 and all((self.imu, self.temperatures, self.contacts)))

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


def start(rig, robot, environment, **parameters):
    arguments = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    command = [sys.executable, "-m", f"daydreamer.robots.{robot}.driver_node", "--ros-args", *arguments]
    with open(rig.directory / "driver.log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    rig.processes.append(process)
    return process


def start_a1(rig, controller, **parameters):
    addresses = {"robot_address": "127.0.0.1", "robot_port": controller.port, "local_port": 0}
    return start(rig, "a1", rig.environment, **addresses, **parameters)


def obeys_damps_by_itself_and_at_the_end(rig, robot, stand_in, driver):
    gains = robot.limits.gains
    stiffness, reach_rad = gains.stiffness_n_m_rad[0], gains.max_target_error_rad[0]
    assert {0.0} == set().union(*stand_in.stiffness)  # no command yet
    commands = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    target = robot.stand_pose_rad + 0.1
    target[2] += 0.7  # further from the measured angle than the driver goes
    message = topics.joint_command_message("joint_state", topics.Time(), JOINT_NAMES, target, target)

    sent_s = 0.0

    def reached():
        nonlocal sent_s
        if time.monotonic() > sent_s + 0.06:  # a target that is told anew all the time is never quite reached
            sent_s = time.monotonic()
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
    # Whatever of it is still on its way: in the end, and five times running, the robot was told to damp.
    rig.until(lambda: stand_in.stiffness[-5:] == [{0.0}] * 5)


def test_the_a1_obeys_its_topic_damps_by_itself_and_at_the_end(make_rig, controller):
    rig = make_rig(41)
    listener = Listener(rig)
    driver = start_a1(rig, controller, newton_per_foot_force=0.5, rate_hz=250)
    listener.wait(rig)
    listener.expect(A1)
    obeys_damps_by_itself_and_at_the_end(rig, A1, controller, driver)


class Commander:
    """Commands the stand pose twenty times a second, or more often."""

    def __init__(self, rig, controller):
        self.node, self.rig, self.controller = rig.node, rig, controller
        self.publisher = self.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
        self.pose = topics.JointState(name=JOINT_NAMES, position=A1.stand_pose_rad.tolist())
        self.timer = self.node.create_timer(0.04, lambda: self.publisher.publish(self.pose))

    def watch(self, seconds, while_doing=lambda: None):
        """Stiffness and targets of the packets of so many seconds."""
        first, end_s = len(self.controller.stiffness), time.monotonic() + seconds

        def over():
            while_doing()
            return time.monotonic() > end_s and len(self.controller.stiffness) > first + 20

        self.rig.until(over)
        last = len(self.controller.stiffness)
        return set().union(*self.controller.stiffness[first:last]), np.array(self.controller.targets[first:last])


def test_neither_strangers_nor_nonsense_nor_an_encoder_that_errs_moves_an_a1(make_rig, controller):
    rig = make_rig(40)
    listener = Listener(rig)
    driver = start_a1(rig, controller)
    rig.until(lambda: len(listener.states) > 5)
    commander = Commander(rig, controller)
    rig.until(lambda: controller.stiffness[-1] == {80.0})

    def stands(stiffness, targets):
        # Damped for a moment it may be, where this process is late; what is followed is the pose.
        stiff = targets[targets[:, 0] < 1e6]
        assert len(stiff) and stiffness <= {0.0, 80.0}, rig.output("driver")
        np.testing.assert_allclose(stiff, np.tile(A1.stand_pose_rad, (len(stiff), 1)), atol=1e-4)
        rig.until(lambda: controller.stiffness[-1] == {80.0})

    # Messages that are no commands, of the same publisher and of another one.
    def send_nonsense(publisher):
        for message in (
            topics.JointState(),
            topics.JointState(name=["gripper_joint"], position=[0.3]),
            topics.JointState(name=JOINT_NAMES, position=with_knee(float("nan"))),
            topics.JointState(name=JOINT_NAMES, position=with_knee(1e6)),
            topics.JointState(name=[*JOINT_NAMES, JOINT_NAMES[0]], position=[*with_knee(-1.0), 0.5]),
            topics.JointState(name=JOINT_NAMES[1:], position=with_knee(-1.0)[1:]),
        ):
            publisher.publish(message)

    stray = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    stands(*commander.watch(0.5, lambda: send_nonsense(commander.publisher)))
    other_pose = topics.JointState(name=JOINT_NAMES, position=with_knee(-1.2))
    stands(*commander.watch(0.5, lambda: stray.publish(other_pose)))
    rig.until(lambda: "from two publishers" in rig.output("driver") and "refused" in rig.output("driver"))

    # Single samples that are wrong, and packets that cannot be.
    wrong = iter([with_knee(3.5), with_knee(-6.0), with_knee(float("nan")), with_knee(1e30)] * 5)
    turn = iter(range(10**6))

    def mostly_true():
        if next(turn) % 4:
            return a1_state()
        return a1_state(next(wrong, A1.stand_pose_rad), quaternion=(float("nan"), 3e38, 0.0, 0.0))

    listener.states.clear()
    listener.imu.clear()
    controller.state = mostly_true
    stands(*commander.watch(0.7))
    rig.until(lambda: len(listener.states) > 10 and listener.imu)
    for message in listener.states:
        np.testing.assert_allclose(message.position, A1.stand_pose_rad, atol=1e-6)
    assert all(message.orientation.w == 1.0 for message in listener.imu)

    # Nothing comes any more: damped, and said.
    controller.state = lambda: None
    rig.until(lambda: controller.stiffness[-1] == {0.0})
    rig.until(lambda: "nothing has come from the A1 at 127.0.0.1" in rig.output("driver"))
    controller.state = a1_state
    rig.until(lambda: controller.stiffness[-1] == {80.0})

    # A joint that keeps saying that it is somewhere else stops the robot, whatever is commanded.
    controller.state = lambda: a1_state(with_knee(2.0))
    rig.until(lambda: "The joints are damped: FR_calf_joint" in rig.output("driver"))
    assert commander.watch(0.5)[0] == {0.0}
    controller.state = a1_state
    assert commander.watch(0.5)[0] == {0.0}

    driver.send_signal(signal.SIGTERM)
    assert rig.until_exit(driver) == 0, rig.output("driver")
    assert controller.stiffness[-5:] == [{0.0}] * 5
    for target in controller.targets:
        assert np.isfinite(target).all()


@pytest.fixture
def wire():
    """A driver's end of the wire, and the robot's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as robot:
        robot.bind(("127.0.0.1", 0))
        robot.settimeout(10.0)
        with contextlib.closing(MotorController("127.0.0.1", robot.getsockname()[1], 0)) as controller:
            controller.send(b"hello")
            address = robot.recvfrom(2048)[1]
            yield controller, lambda packet: robot.sendto(packet, address)


PACKETS = 3000


def received(controller, number=1):
    """The state after so many datagrams have come, whatever became of them."""
    end_s = time.monotonic() + 10.0
    fresh = False
    while not fresh and time.monotonic() < end_s and sum(controller.refused.values()) < number:
        fresh = controller.receive()
    return controller.state


def test_a_packet_that_was_overtaken_is_passed_over_and_one_that_comes_twice_does_no_harm(wire):
    controller, send = wire
    for tick, knee, believed in ((2**32 - 1, -1.1, -1.1), (2, -1.2, -1.2), (2**32 - 1, -1.1, -1.2), (2, -1.2, -1.2)):
        send(a1_state(with_knee(knee), tick=tick))
        assert received(controller).joint_position_rad[2] == pytest.approx(believed)
        controller.refused.clear()
    # A controller that hangs says the same for ever, which is no news.
    send(a1_state(with_knee(-1.2), tick=3))
    received(controller)
    for _ in range(3):
        send(a1_state(with_knee(-1.2), tick=3))
        time.sleep(0.01)
        assert not controller.receive()
    assert controller.refused["the same as the one before"] == 3
    controller.refused.clear()
    # A motor controller that was started again counts from 0.
    for tick in range(10):
        send(a1_state(with_knee(-1.3), tick=2**32 - 100 - 20 + tick))
        time.sleep(0.001)
        controller.receive()
    assert received(controller).joint_position_rad[2] == pytest.approx(-1.3)


def test_of_random_and_mutated_packets_nothing_impossible_moves_a_motor(wire):
    controller, send = wire
    random, gains = np.random.default_rng(0), A1.limits.gains
    guard = MotorGuard(
        JOINT_NAMES,
        A1.limits,
        stiffness_n_m_rad=gains.stiffness_n_m_rad,
        max_target_error_rad=0.2,
        interpolate_s=0.05,
        command_timeout_s=0.25,
        period_s=0.004,
    )
    impossible = {"joints": 0, "imu": 0}
    time_s, true_ones, stiff = 0.0, 0, 0
    for number in range(PACKETS):
        packet = bytearray(a1_state(tick=4 * number))
        if number % 3 == 1:
            packet[1:] = random.bytes(770)
        elif number % 3 == 2:
            packet[random.integers(10, 719)] ^= 1 << random.integers(8)
        struct.pack_into("<I", packet, 767, unitree_crc(bytes(packet[:767])))
        send(bytes(packet))
        time_s += 0.004
        fresh = controller.receive()
        state = driver_state(controller.state) if fresh else None
        if fresh and impossible_joints(state, A1.limits):
            impossible["joints"] += 1
        elif fresh:
            assert np.isfinite(state.joint_position_rad).all() and np.isfinite(state.joint_velocity_rad_s).all()
            true_ones += guard.measured(state.joint_position_rad, state.joint_velocity_rad_s, time_s)
        impossible["imu"] += fresh and impossible_imu(state) is not None
        if number % 12 == 0:
            guard.command(A1.stand_pose_rad, time_s)
        target = guard.target(time_s)
        if target is not None:
            stiff += 1
            np.testing.assert_allclose(target, A1.stand_pose_rad, atol=0.06)  # a mutated angle may be nearly right
    assert min(impossible.values()) > 0.2 * PACKETS, impossible
    assert true_ones > 0.3 * PACKETS and stiff > 0.3 * PACKETS


def test_only_the_robots_address_is_listened_to():
    with contextlib.ExitStack() as stack:
        robot, stranger = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        robot.bind(("127.0.0.1", 0))
        stranger.bind(("127.0.0.1", 0))

        class Awaited(MotorController):
            """A stranger is there between binding and connecting, when the kernel takes packets from anybody."""

            def _connect(self, address, port):
                stranger.sendto(a1_state(with_knee(3.0)), ("127.0.0.1", self._socket.getsockname()[1]))
                return super()._connect(address, port)

        controller = stack.enter_context(contextlib.closing(Awaited("127.0.0.1", robot.getsockname()[1], 0)))
        assert received(controller) is None
        assert dict(controller.refused) == {"not from 127.0.0.1": 1}
        # And later.
        controller.send(b"hello")
        address = robot.recvfrom(2048)[1]
        stranger.sendto(a1_state(with_knee(3.0)), ("127.0.0.1", address[1]))
        robot.sendto(a1_state(), address)
        controller.refused.clear()
        assert received(controller).joint_position_rad[2] == pytest.approx(A1.stand_pose_rad[2])


def test_a_cable_that_is_out_ends_nothing():
    with contextlib.closing(MotorController("127.0.0.1", 9, 0)) as controller:
        for _ in range(10):  # nobody is there: the kernel says so at the next call
            controller.send(a1_state())
            assert not controller.receive()


def test_the_go2_obeys_its_topic_damps_by_itself_and_at_the_end(make_rig, unitree_go, monkeypatch):
    monkeypatch.syspath_prepend(unitree_go)
    rig = make_rig(45)
    robot, listener = Go2(rig), Listener(rig)
    found = rig.environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    driver = start(rig, "go2", found, newton_per_foot_force=0.5)
    rig.until(lambda: rig.node.count_subscribers("lowstate") and rig.node.count_publishers("lowcmd"))
    silent_until_s = time.monotonic() + 0.3
    rig.until(lambda: time.monotonic() > silent_until_s)
    assert not robot.stiffness  # a robot that has not reported is told nothing
    robot.switch_on()
    rig.until(lambda: len(robot.stiffness) > 20 and listener.batteries)
    listener.wait(rig)
    listener.expect(GO2)
    np.testing.assert_allclose(listener.states[-1].velocity, 0.01 * np.arange(12), atol=1e-6)
    assert listener.imu[-1].linear_acceleration.z == pytest.approx(9.81)
    assert listener.batteries[-1].percentage == pytest.approx(0.8)
    obeys_damps_by_itself_and_at_the_end(rig, GO2, robot, driver)


def test_without_the_go2s_messages_the_error_names_the_cure():
    command = [sys.executable, "-m", "daydreamer.robots.go2.driver_node"]
    environment = os.environ | {"ROS_DOMAIN_ID": "42"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert result.returncode == 2
    assert "unitree_go" in result.stderr and "unitree_ros2" in result.stderr
