"""What `check-robot` says of robots on live topics, each with something wrong that would show at minute 40."""

import contextlib
import math
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import BatteryState, CompressedImage, Image, Joy, Temperature
from std_msgs.msg import Float32MultiArray, Float64MultiArray

from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.stop_request import StopRequest
from ros_nodes import check_node, recorder, topics

DOMAIN, OTHER_DOMAIN = 47, 4
SILENT_S = 3.0
SPEC = QuadrupedWalkTask(A1).spec
SWAPPED = "[{kind: swapped_joint_names, start_s: 0, duration_s: 1000, target: FR_calf_joint FL_calf_joint}]"


def row(output, name):
    """Verdict and text of a row of the table, whose lines are joined again."""
    rows = re.split(r"[├╞┡└]", output)[-2] if "├" in output else output
    found, inside = [], False
    for line in rows.splitlines():
        cells = [cell.strip() for cell in re.split("[│|]", line)[1:4]]
        if len(cells) == 3 and (cells[0] == name or (inside and not cells[1])):
            found.append(cells)
            inside = True
        else:
            inside = False
    assert found, output
    return found[0][1], " ".join(cells[2] for cells in found)


def failures(output):
    """Rows that say FAIL, but for those about time, which on a busy machine is not the robot's fault."""
    rows = re.findall(r"[│|] (.*?) +[│|] FAIL ", output)
    return [name for name in rows if not name.startswith(("rate of", "latency of"))]


@pytest.mark.timeout(500)
def test_a_driver_that_swaps_two_names_is_found_by_moving():
    command = [sys.executable, "-m", "daydreamer.cli.main", "check-robot", "--robot", "twin", "--seconds", "1"]
    result = subprocess.run(
        [*command, "--set", f"twin.incidents={SWAPPED}"],
        env=os.environ | {"ROS_DOMAIN_ID": "43"},
        capture_output=True,
        text=True,
        timeout=450,
    )
    output = result.stdout
    assert result.returncode == 1, output + result.stderr
    # Both lie within the same limits, so that nothing shows until they move.
    assert row(output, "joint ranges")[0] == "ok"
    failed = {name: row(output, name)[1] for name in failures(output)}
    for joint in ("FR_calf_joint", "FL_calf_joint"):
        assert "the names are swapped" in failed.pop(f"moves: {joint}"), output
    # Of the others nothing but their speeds, of which a busy machine sees too few to add them up.
    assert all("but its velocity says" in text for text in failed.values()), output
    assert len(re.findall(r"moves: \w+", output)) == 12, output
    assert row(output, "IMU axes")[0] == "ok"
    assert "it lies on its back" in row(output, "foot forces")[1]


class Robot:
    """A robot that hangs still and does all it should, on a thread of its own; what is otherwise is up to each test.

    Attributes:
      change: called with each message's topic and the message; what it returns is sent, None is not.
      extra: called with each tick.
    """

    def __init__(self, domain=DOMAIN, names=None):
        self.change = lambda topic, message: message
        self.extra = lambda: None
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.nodes = []
        self.node = self.second_node("driver")
        self.names = names or {}
        self.publishers = {}
        self.noise = np.random.default_rng(0)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.command_type, self.command_quality = topics.JointState, topics.LATEST_ONLY
        self.node.create_timer(0.01, self.tick)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.spin)

    def spin(self):
        while not self.stopped.is_set():
            self.executor.spin_once(timeout_sec=0.05)

    def send(self, topic, message, node=None):
        key = topic, node
        if key not in self.publishers:
            self.publishers[key] = (node or self.node).create_publisher(type(message), self.names.get(topic, topic), 1)
        self.publishers[key].publish(message)

    def tick(self):
        stamp = self.node.get_clock().now().to_msg()
        position = A1.stand_pose_rad + self.noise.normal(0, 1e-3, 12)
        messages = {
            topics.JOINT_STATES: topics.joint_state_message(stamp, SPEC.joint_names, position, np.zeros(12)),
            topics.IMU: topics.imu_message(
                stamp, np.array([1.0, 0, 0, 0]), self.noise.normal(0, 1e-3, 3), np.array([0, 0, 9.81])
            ),
            topics.FOOT_CONTACTS: topics.foot_contacts_message(stamp, SPEC.foot_names, np.zeros(4)),
            topics.TEMPERATURE: Temperature(temperature=40.0),
            topics.BATTERY: BatteryState(percentage=0.9),
        }
        for topic, message in messages.items():
            if (changed := self.change(topic, message)) is not None:
                self.send(topic, changed)
        self.extra()

    def second_node(self, name):
        self.nodes.append(rclpy.create_node(name, context=self.context))
        return self.nodes[-1]

    def __enter__(self):
        self.node.create_subscription(self.command_type, topics.JOINT_COMMAND, lambda _: None, self.command_quality)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def check(monkeypatch, capsys):
    """Runs the checking node in this process: `check(robot, *arguments)` is its exit status and its output.

    `wait_s` is for robots that keep silent; those that speak are heard as late as a busy machine lets them.
    """
    monkeypatch.setenv("ROS_DOMAIN_ID", str(DOMAIN))
    monkeypatch.setenv("COLUMNS", "200")

    def run(robot, *arguments, wait_s=recorder.WAIT_S):
        monkeypatch.setattr(recorder, "WAIT_S", wait_s)
        with robot or contextlib.nullcontext():
            status = check_node.main(["--robot", "a1", "--seconds", "0.5", *arguments], StopRequest())
        return status, capsys.readouterr().out

    return run


def changing(topic, **fields):
    """Of messages on `topic`, other fields."""

    def change(on, message):
        if on == topic:
            for name, value in fields.items():
                setattr(message, name, value(message) if callable(value) else value)
        return message

    return change


def test_a_robot_that_does_all_it_should_passes(check):
    status, output = check(Robot(), "--hanging")
    assert failures(output) == [] and ("Nothing failed." in output) == (status == 0), output
    for name in ("joint names", "publishers of /joint_states", "foot forces", "stamps of /imu/data", "/battery_state"):
        assert row(output, name)[0] == "ok"
    assert row(output, "listeners to /joint_command") == ("ok", "/driver")


def pose(message, index, value):
    return [*message.position[:index], value, *message.position[index + 1 :]]


FAULTS = [
    # What the robot does, which row says so, how bad it is, and in which words.
    (changing(topics.FOOT_CONTACTS, effort=[15.0] * 4), "foot forces", "FAIL", "foot_force_unloaded_n: [15.0, 15.0"),
    (changing(topics.BATTERY, percentage=9.0), "/battery_state", "FAIL", "taken as 9 %"),
    (changing(topics.BATTERY, percentage=90.0), "/battery_state", "note", "taken as 90 %"),
    (changing(topics.TEMPERATURE, temperature=313.0), "/temperature", "note", "taken for kelvin"),
    (
        changing(topics.JOINT_STATES, position=lambda message: pose(message, 2, -1.8 + 2 * math.pi)),
        *("joint ranges", "FAIL", "A whole turn less would fit"),
    ),
    (
        changing(topics.JOINT_STATES, position=lambda message: pose(message, 2, -0.4)),
        *("joint ranges", "FAIL", "FR_calf_joint at -0.40 rad"),
    ),
    (changing(topics.JOINT_STATES, velocity=[]), "joint velocities", "note", "made of the angles' changes"),
    (changing(topics.JOINT_STATES, velocity=[1.0]), "joint names", "FAIL", "more or fewer values than names"),
    (changing(topics.JOINT_STATES, name=["\x1b[2J[red]"] * 12), "joint names", "FAIL", "lacks FR_hip_joint"),
    (changing(topics.JOINT_STATES, header=topics.JointState().header), "latency of /joint_states", "note", "stamped 0"),
]


@pytest.mark.parametrize("change, name, verdict, words", FAULTS)
def test_what_is_wrong_in_messages_is_found_and_its_cure_named(check, change, name, verdict, words):
    robot = Robot()
    robot.change = change
    status, output = check(robot, "--hanging", wait_s=SILENT_S)
    said, text = row(output, name)
    assert (said, failures(output)) == (verdict, [name] if verdict == "FAIL" else []), output
    assert words in text and "\x1b" not in text


def test_an_imu_in_g_is_told_so(check):
    robot = Robot()

    def change(topic, message):
        if topic == topics.IMU:
            message.linear_acceleration.z /= 9.81
        return message

    robot.change = change
    status, output = check(robot)
    assert status == 1 and "it is in g; multiply by 9.81" in row(output, "IMU gravity")[1]


def test_the_check_of_a_twin_moves_no_robot_that_happens_to_be_there(check, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("DAYDREAMER_DISCOVERY_S", "5")  # other tests wait for nobody
    commands = []
    with Robot() as robot:
        robot.node.create_subscription(topics.JointState, topics.JOINT_COMMAND, commands.append, topics.LATEST_ONLY)
        command = [sys.executable, "-m", "daydreamer.cli.main", "check-robot", "--seconds", "0.5"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert result.returncode == 2 and "/joint_states is already published by /driver" in result.stderr
    status, output = check(Robot(), "--twin", "--move")
    assert status == 1 and "/driver, which is not the twin" in row(output, "who speaks")[1]
    assert row(output, "motions")[0] == "FAIL" and not commands


def test_second_publishers_are_named_on_every_topic(check):
    robot = Robot()
    node = robot.second_node("rosbag2_player")
    messages = {
        topics.JOINT_STATES: topics.JointState(name=["FR_hip_joint"], position=[0.1], velocity=[0.0]),
        topics.IMU: topics.Imu(),
        topics.FOOT_CONTACTS: topics.JointState(name=["FR_foot"], effort=[0.0]),
        topics.JOINT_COMMAND: topics.JointState(),
    }
    robot.extra = lambda: [robot.send(topic, message, node) for topic, message in messages.items()]
    gamepads = [robot.second_node(f"joy_{number}") for number in (1, 2)]
    for pad in gamepads:
        robot.send(topics.GAMEPAD, Joy(), pad)
    status, output = check(robot)
    assert status == 1
    for topic in (topics.JOINT_STATES, topics.IMU, topics.FOOT_CONTACTS):
        verdict, text = row(output, f"publishers of /{topic}")
        assert verdict == "FAIL" and "/driver, /rosbag2_player" in text
    assert row(output, "publishers of /joint_command") == (
        "note",
        "/rosbag2_player commands the robot: stop it, or neither the actor nor --move will begin",
    )
    assert "/joy_1, /joy_2" in row(output, "publishers of /joy")[1]


def test_two_nodes_that_each_have_joints_of_their_own_are_one_robot(check):
    robot = Robot()
    node = robot.second_node("gripper")
    extra = topics.JointState(name=["gripper_joint"], position=[0.1], velocity=[0.0])
    robot.extra = lambda: robot.send(topics.JOINT_STATES, extra, node)
    status, output = check(robot, "--hanging")
    assert row(output, "publishers of /joint_states")[0] == "ok" and failures(output) == [], output


def test_silence_has_a_reason_another_name(check):
    robot = Robot(names={topics.JOINT_STATES: "robot1/joint_states"})
    robot.change = lambda topic, message: None if topic == topics.IMU else message
    status, output = check(robot, wait_s=SILENT_S)
    assert status == 1
    text = row(output, "joint names")[1]
    assert "/robot1/joint_states is published: remap with --ros-args -r joint_states:=/robot1/joint_states" in text
    assert "Nobody publishes there in ROS_DOMAIN_ID=47" in row(output, "IMU")[1]


def test_silence_has_a_reason_another_domain(check, monkeypatch):
    with Robot(OTHER_DOMAIN):
        status, output = check(None, wait_s=SILENT_S)
    assert status == 1
    assert f"published in ROS_DOMAIN_ID={OTHER_DOMAIN}, and this is 47" in row(output, "joint names")[1]


def test_silence_has_a_reason_another_type(check):
    robot = Robot()
    robot.change = lambda topic, message: None if topic == topics.FOOT_CONTACTS else message
    robot.send(topics.FOOT_CONTACTS, Float32MultiArray())
    status, output = check(robot, wait_s=SILENT_S)
    text = row(output, "foot names")[1]
    assert (
        status == 1 and "/driver publishes std_msgs/msg/Float32MultiArray there, and sensor_msgs/msg/JointState" in text
    )


def test_a_driver_that_takes_other_commands_is_found_before_anything_is_sent(check):
    robot = Robot()
    robot.command_type = Float64MultiArray
    status, output = check(robot, "--move")
    assert status == 1 and "--command-interface forward_position" in row(output, "listeners to /joint_command")[1]
    assert row(output, "motions") == ("FAIL", "not tried, because of what failed above")
    robot = Robot()
    robot.command_quality = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    status, output = check(robot, "--move")
    assert status == 1 and "transient local" in row(output, "listeners to /joint_command")[1]


def test_a_robot_that_falls_silent_while_it_is_moved_is_damped(check, damping):
    robot, heard = Robot(), []
    robot.node.create_subscription(topics.JointState, topics.JOINT_COMMAND, heard.append, 100)
    robot.change = lambda topic, message: None if heard and topic == topics.JOINT_STATES else message
    with pytest.raises(UserError, match="joint_states has fallen silent"):
        check(robot, "--move")
    assert not damping(heard[0]) and damping(heard[-1])


def bgr(**changes):
    fields = {"height": 480, "width": 640, "encoding": "bgr8", "step": 1920, "data": bytes(480 * 1920)}
    return Image(**fields | changes)


class Camera(Robot):
    """The same with a camera of 10 Hz."""

    def __init__(self, topic, message):
        super().__init__()
        self.topic, self.message, self.next_s = topic, message, 0.0
        self.extra = self.film

    def film(self):
        if time.monotonic() > self.next_s:
            self.next_s = time.monotonic() + 0.1
            self.send(self.topic, self.message)


WITH_CAMERA = ("--hanging", "--set", "twin.camera=true")


def test_a_camera_of_another_size_encoding_and_rate_passes(check):
    status, output = check(Camera(topics.image_topic("camera"), bgr()), *WITH_CAMERA, "--seconds", "1")
    verdict, text = row(output, "camera /camera/image_raw")
    assert verdict == "ok" and failures(output) == [], output
    assert text.startswith("640x480 bgr8, ") and "the policy sees each about" in text


@pytest.mark.parametrize(
    "topic, message, words",
    [
        (topics.image_topic("camera"), bgr(encoding="h264"), "no picture can be read: unknown encoding: 'h264'"),
        (topics.image_topic("camera"), bgr(data=b"1"), "wrong data length"),
        (topics.compressed_topic("camera"), CompressedImage(format="jpeg", data=b"no"), "no JPEG or PNG"),
    ],
)
def test_a_camera_whose_pictures_cannot_be_read_fails(check, topic, message, words):
    status, output = check(Camera(topic, message), *WITH_CAMERA)
    verdict, text = row(output, f"camera /{topic}")
    assert (status, verdict) == (1, "FAIL") and words in text


def test_a_camera_that_is_not_there_fails_where_the_policy_looks_at_one(check):
    status, output = check(Robot(), *WITH_CAMERA, wait_s=SILENT_S)
    assert status == 1 and "nothing came. Nobody publishes" in row(output, "camera /camera/image_raw")[1]


@pytest.mark.parametrize("seconds", ["nan", "-1", "1e9", "long"])
def test_how_long_to_listen_has_bounds(check, seconds):
    with pytest.raises(SystemExit):
        check(None, "--seconds", seconds)


def test_known_forces_of_feet_are_taken_and_nonsense_refused(check):
    robot = Robot()
    robot.change = changing(topics.FOOT_CONTACTS, effort=[15.0] * 4)
    arguments = ("--hanging", "--ros-args", "-p", "foot_force_unloaded_n:=[15.0]")
    status, output = check(robot, *arguments)
    assert row(output, "foot forces")[0] == "ok" and failures(output) == []
    with pytest.raises(UserError, match="takes a force in N for each of 4 feet"):
        check(None, "--ros-args", "-p", "foot_force_unloaded_n:=[1.0, 2.0]")
