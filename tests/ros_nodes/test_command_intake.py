"""What a driver and the twin take for a command, and from whom."""

import os
import time
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rcl_interfaces.msg import Log
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.quadruped.task import embodiment
from ros_nodes import topics
from ros_nodes.command_intake import BadCommand, CommandIntake, joint_command_of, lets_go

DOMAIN = 46
SILENT_S = 0.3
STAND = A1.stand_pose_rad.tolist()
STAMP = topics.Time()


def changed(index, value):
    return [value if each == index else angle for each, angle in enumerate(STAND)]


def read(message):
    return joint_command_of(message, JOINT_NAMES, A1.limits)


@pytest.mark.parametrize("interface", topics.COMMAND_INTERFACES)
def test_what_the_actor_sends_arrives(interface):
    message = topics.joint_command_message(interface, STAMP, JOINT_NAMES, A1.stand_pose_rad, A1.stand_pose_rad)
    np.testing.assert_array_equal(read(message), A1.stand_pose_rad)


def damping(**says):
    return topics.joint_command_message("joint_state", STAMP, JOINT_NAMES, np.full(12, np.nan), np.zeros(12), **says)


def test_damping_arrives_and_that_its_sender_lets_go():
    assert read(damping()) is None and not lets_go(damping())
    assert read(damping(lets_go=True)) is None and lets_go(damping(lets_go=True))
    # A torque is none of it, wherever it stands.
    for effort in ([0.0] * 11, [0.0] * 11 + [1.0], [0.0] * 11 + [float("nan")]):
        assert not lets_go(JointState(name=JOINT_NAMES, velocity=[0.0] * 12, effort=effort))


def test_only_whoever_is_followed_begins_anew_by_letting_go():
    taken = []
    intake = CommandIntake(
        MagicMock(), "joint_state", embodiment(A1), taken.append, begin_anew=lambda: taken.append("anew")
    )
    actor, stray = {"publisher_gid": b"actor"}, {"publisher_gid": b"stray"}
    position = JointState(name=JOINT_NAMES, position=STAND)
    for message, sender, comes in (
        (position, actor, ["anew", STAND]),
        (damping(), actor, [None]),
        (position, actor, [STAND]),
        (damping(lets_go=True), stray, []),
        (damping(lets_go=True), actor, ["anew", None]),
        (JointState(name=JOINT_NAMES, position=STAND, effort=[0.0] * 12), actor, [STAND]),
    ):
        taken.clear()
        intake._on_message(message, sender)
        assert [each.tolist() if isinstance(each, np.ndarray) else each for each in taken] == comes


def test_names_may_come_in_another_order_and_among_others():
    message = JointState(name=["gripper", *reversed(JOINT_NAMES)], position=[float("nan"), *reversed(STAND)])
    np.testing.assert_array_equal(read(message), A1.stand_pose_rad)


def test_what_is_a_little_outside_is_brought_to_the_limit():
    assert read(JointState(name=JOINT_NAMES, position=changed(2, -0.7)))[2] == A1.limits.upper_rad[2]


@pytest.mark.parametrize(
    "message, reason",
    [
        (JointState(), "lacks FR_hip_joint"),
        (JointState(name=["gripper_joint"], position=[0.3]), "lacks FR_hip_joint"),
        (JointState(name=JOINT_NAMES[:11], position=STAND[:11]), "lacks RL_calf_joint"),
        (JointState(name=[*JOINT_NAMES, "FR_hip_joint"], position=[*STAND, 0.1]), "FR_hip_joint more than once"),
        (JointState(name=JOINT_NAMES, position=STAND[:11]), "12 names but 11 positions"),
        (JointState(name=JOINT_NAMES, position=[*STAND, 0.0]), "12 names but 13 positions"),
        (JointState(name=JOINT_NAMES, effort=STAND), "no positions"),
        (JointState(name=JOINT_NAMES, velocity=[0.0] * 11), "no positions"),
        (JointState(name=JOINT_NAMES, velocity=[0.0] * 11 + [1.0]), "no positions"),
        (JointState(name=JOINT_NAMES, velocity=[0.0] * 11 + [float("nan")]), "no positions"),
        (JointState(name=JOINT_NAMES, position=changed(2, float("nan"))), "FR_calf_joint is not finite"),
        (JointState(name=JOINT_NAMES, position=changed(5, float("-inf"))), "FL_calf_joint is not finite"),
        (JointState(name=JOINT_NAMES, position=changed(2, 1e6)), "FR_calf_joint is far outside"),
        (JointState(name=JOINT_NAMES, position=np.degrees(STAND).tolist()), "in rad"),
        (JointState(name=[str(number) for number in range(5000)]), "5000 names"),
        (Float64MultiArray(), "0 values for 12 joints"),
        (Float64MultiArray(data=[*STAND, 0.0]), "13 values for 12 joints"),
        (Float64MultiArray(data=changed(2, float("nan"))), "FR_calf_joint is not finite"),
        (Float64MultiArray(data=changed(2, -1e6)), "FR_calf_joint is far outside"),
    ],
)
def test_what_is_no_command_is_refused_and_said_why(message, reason):
    with pytest.raises(BadCommand, match=reason):
        read(message)


class Network:
    """A robot that takes commands in, and publishers in nodes of their own."""

    def __init__(self, interface):
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes = []
        self.taken, self.said = [], []
        robot = self.node("driver")
        self.executor.add_node(robot)
        self.intake = CommandIntake(robot, interface, embodiment(A1), self.taken.append, silent_s=SILENT_S)
        self.node("log").create_subscription(Log, "/rosout", lambda log: self.said.append(log.msg), 10)
        self.executor.add_node(self.nodes[-1])

    def node(self, name):
        self.nodes.append(rclpy.create_node(name, context=self.context))
        return self.nodes[-1]

    def publisher(self, name, interface):
        publisher = self.node(name).create_publisher(
            topics.command_type(interface), topics.JOINT_COMMAND, topics.RELIABLE
        )
        self.until(publisher.get_subscription_count)
        return publisher

    def until(self, condition):
        end_s = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < end_s, self.said
            self.executor.spin_once(timeout_sec=0.02)

    def send(self, publisher, message):
        before = len(self.taken) + self.intake.refused + self.intake.ignored
        publisher.publish(message)
        self.until(lambda: len(self.taken) + self.intake.refused + self.intake.ignored > before)

    def close(self):
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def make_network():
    made = []

    def make(interface="joint_state"):
        made.append(Network(interface))
        return made[-1]

    yield make
    for network in made:
        network.close()


@pytest.mark.parametrize("interface", topics.COMMAND_INTERFACES)
def test_bad_messages_among_good_ones_are_counted_and_change_nothing(make_network, interface):
    network = make_network(interface)
    actor = network.publisher("actor", interface)

    def message(position):
        if interface == "forward_position":
            return Float64MultiArray(data=position)
        return JointState(name=JOINT_NAMES, position=position)

    network.send(actor, message(STAND))
    for bad in (changed(2, float("nan")), changed(2, 1e6), STAND[:3], []):
        network.send(actor, message(bad))
    network.send(actor, message(changed(2, -1.5)))
    assert (len(network.taken), network.intake.refused) == (2, 4)
    assert network.taken[-1][2] == -1.5
    network.until(lambda: any("refused" in line and "FR_calf_joint is not finite" in line for line in network.said))


def test_of_two_publishers_the_first_is_followed_and_the_other_is_named(make_network):
    network = make_network()
    good, other = (JointState(name=JOINT_NAMES, position=changed(2, angle)) for angle in (-1.8, -1.2))
    actor, stray = network.publisher("actor", "joint_state"), network.publisher("stray", "joint_state")
    for _ in range(10):
        network.send(actor, good)
        network.send(stray, other)
    assert {taken[2] for taken in network.taken} == {-1.8}
    assert network.intake.ignored == 10
    network.until(lambda: any("two publishers" in line and "those of /stray" in line for line in network.said))
    # When the first has been silent for long enough the other is obeyed, and then the first is not.
    time.sleep(1.5 * SILENT_S)
    network.send(stray, other)
    network.send(actor, good)
    assert network.taken[-1][2] == -1.2 and network.intake.ignored == 11


def test_a_stray_message_does_not_make_its_publisher_the_one_that_is_followed(make_network):
    network = make_network()
    stray, actor = network.publisher("stray", "joint_state"), network.publisher("actor", "joint_state")
    network.send(stray, JointState(name=["gripper_joint"], position=[0.3]))
    network.send(actor, JointState(name=JOINT_NAMES, position=STAND))
    assert (len(network.taken), network.intake.refused, network.intake.ignored) == (1, 1, 0)
