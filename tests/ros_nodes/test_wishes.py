"""What somebody wishes for on `cmd_vel`, over real ROS 2: heard whatever its type, 0 once nobody says so any more."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.executors import SingleThreadedExecutor

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.follow import QuadrupedFollowTask
from ros_nodes import topics, wishes
from ros_nodes.robot_state import RobotState
from ros_nodes.wishes import WishedTwist

DOMAIN = 97


@pytest.fixture
def nodes():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    executor = SingleThreadedExecutor(context=context)
    made = [rclpy.create_node(name, context=context) for name in ("actor", "gamepad")]
    for node in made:
        executor.add_node(node)
    yield (*made, executor)
    executor.shutdown()
    for node in made:
        node.destroy_node()
    context.shutdown()


def twist(forward_m_s, turn_rad_s):
    message = Twist()
    message.linear.x, message.angular.z = forward_m_s, turn_rad_s
    return message


def until(executor, publish, found, timeout_s=15.0):
    end_s = time.monotonic() + timeout_s
    while not found() and time.monotonic() < end_s:
        publish()
        executor.spin_once(timeout_sec=0.05)
    return found()


@pytest.mark.parametrize("stamped", [False, True])
def test_a_wish_is_heard_whatever_its_type_and_forgotten_when_it_stops(nodes, stamped, monkeypatch):
    monkeypatch.setattr(wishes, "LOOK_S", 0.1)
    actor, gamepad, executor = nodes
    wish = WishedTwist(actor, 100.0, pytest.fail)
    assert wish.newest() is None
    publisher = gamepad.create_publisher(TwistStamped if stamped else Twist, topics.VELOCITY_COMMAND, 1)
    message = TwistStamped(twist=twist(0.3, -0.4)) if stamped else twist(0.3, -0.4)
    assert until(executor, lambda: publisher.publish(message), lambda: wish.newest() is not None)
    np.testing.assert_allclose(wish.newest(), (0.3, -0.4))
    assert until(executor, lambda: None, lambda: not wish.newest().any(), 10 * wishes.SILENT_S)


def test_a_wish_that_cannot_be_is_counted_and_changes_nothing(nodes):
    said = []
    actor, *_ = nodes
    wish = WishedTwist(actor, 100.0, said.append)
    wish.take(twist(0.2, 0.1))
    for forward in (float("nan"), float("inf"), 1e6):
        wish.take(twist(forward, 0.0))
    np.testing.assert_allclose(wish.newest(), (0.2, 0.1))
    assert len(said) == 3 and topics.VELOCITY_COMMAND in said[0]


def test_only_a_robot_that_follows_has_wishes(nodes):
    actor, *_ = nodes
    task = QuadrupedFollowTask(A1)
    said = []
    state = RobotState(actor, task.spec, task.embodiment, lambda text, **fields: said.append(fields))
    assert topics.VELOCITY_COMMAND in topics.wiring_of(actor, "joint_state", task.embodiment).topics
    state._wishes.take(twist(0.1, 0.0))
    np.testing.assert_allclose(state._wishes.newest(), (0.1, 0.0))
    state._wishes.take(twist(float("nan"), 0.0))
    assert said[0]["fault"] == "impossible"
    state.close()
