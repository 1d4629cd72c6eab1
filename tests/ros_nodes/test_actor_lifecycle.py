"""An operator with services, topics and lifecycle transitions, and the real actor and twin."""

import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from lifecycle_msgs.msg import Transition
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, Empty

from daydreamer.robots.a1.constants import A1
from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from ros_nodes.command_intake import lets_go


def test_an_operator_leads_the_actor_through_its_life(make_rig, make_operator, damping):
    rig = make_rig(30)
    operator = make_operator(rig)
    rig.start("twin")
    actor = rig.start("actor", "--ros-args", "-p", "autostart:=false")
    assert operator.transition(Transition.TRANSITION_CONFIGURE), rig.output("actor")
    # Inactive: it observes, and commands nothing.
    rig.until(lambda: operator.reported("control loop", "rate Hz") not in (None, "unknown"))
    rig.until(lambda: any("waits for you" in notice for notice in read_status(rig.session)["notices"]))
    assert operator.state() == "stopped" and not rig.commands and not rig.steps()
    assert not operator.ask("resume")  # that is for the life cycle to say
    rig.until(lambda: operator.transition(Transition.TRANSITION_ACTIVATE))  # once the robot has spoken
    rig.until(lambda: len(rig.steps()) >= 10)
    # It set out from the measured pose.
    first = np.array(rig.commands[0].position)
    steps = rig.steps()
    assert np.abs(first - A1.rest_pose_rad).max() < 0.5 and steps[0].is_first
    assert len(rig.commands) > len(steps)  # the ramp is no experience

    assert operator.ask("pause") and not operator.ask("pause")
    operator.until_state("holding")
    held = len(rig.steps())
    assert operator.ask("resume")
    rig.until(lambda: len(rig.steps()) > held)
    assert rig.steps()[held].is_first

    joy = rig.node.create_publisher(Joy, "joy", 1)
    pressed = Joy(axes=[0.0] * 5, buttons=[0, 0, 0, 0, 1])
    timer = rig.node.create_timer(0.05, lambda: joy.publish(pressed))
    rig.until(lambda: any(step.intervention for step in rig.steps()))
    rig.node.destroy_timer(timer)
    rig.until(lambda: not rig.steps()[-1].intervention)
    shown = [step.action_requested for step in rig.steps() if step.intervention]
    np.testing.assert_array_equal(shown, np.zeros((len(shown), 12)))

    assert operator.transition(Transition.TRANSITION_DEACTIVATE)
    operator.until_state("stopped")
    assert damping(rig.commands[-1])
    quiet = len(rig.commands)
    assert operator.transition(Transition.TRANSITION_CLEANUP)
    # Again from the start: another life, in the same process.
    assert operator.transition(Transition.TRANSITION_CONFIGURE), rig.output("actor")
    assert operator.transition(Transition.TRANSITION_ACTIVATE), rig.output("actor")
    rig.until(lambda: len(rig.steps(life=2)) >= 5)
    assert len(rig.commands) > quiet
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    assert damping(rig.commands[-1])


def test_the_emergency_stop_latches_whatever_it_comes_by(make_rig, make_operator, damping):
    # What is latched must have been found before the actor sets out.
    rig = make_rig(32, ["actor.random_s=0.5"], discovery_s=3.5)
    operator = make_operator(rig)
    operator.e_stop.publish(Bool(data=True))  # before there is an actor: it is latched
    rig.start("twin")
    process = subprocess.Popen(
        [sys.executable, "-m", "ros_nodes.actor_node", "--session", str(rig.session.path), "--operator-input"],
        env=rig.environment,
        stdin=subprocess.PIPE,
        text=True,
    )
    rig.processes.append(process)
    operator.until_state("emergency_stopped")
    rig.until(lambda: rig.commands and damping(rig.commands[-1]))
    assert not operator.ask("e_stop_reset")  # still pressed
    assert not rig.steps() and all(damping(command) for command in rig.commands)
    operator.e_stop.publish(Bool(data=False))
    rig.until(lambda: operator.ask("e_stop_reset"))
    rig.until(lambda: operator.ask("resume"))  # refused while the robot is silent and the actor is not active yet
    rig.until(lambda: len(rig.steps()) >= 5)

    def stops(ask):
        ask()
        operator.until_state("emergency_stopped")
        rig.until(lambda: rig.commands and damping(rig.commands[-1]) and lets_go(rig.commands[-1]))
        assert not operator.ask("resume")
        assert operator.ask("e_stop_reset") and operator.ask("resume")
        count = len(rig.steps())
        rig.until(lambda: len(rig.steps()) > count)

    # As `ros2 topic pub` does without options: not latched, but what it sends arrives.
    publisher = rig.node.create_publisher(Bool, "e_stop", QoSProfile(depth=10))
    rig.until(lambda: publisher.get_subscription_count() >= 2)
    stops(lambda: [publisher.publish(Bool(data=True)), publisher.publish(Bool(data=False))])

    # A button of another type stops nothing, and that is said.
    with rclpy.init(context=rclpy.Context(), domain_id=rig.domain) as elsewhere:
        wired = rclpy.create_node("button", context=elsewhere.context)
        wired.create_publisher(Empty, "e_stop", 1)
        unheard = {"kind": "unheard_publisher", "topic": "/e_stop", "publishers": ["/button (std_msgs/msg/Empty)"]}
        rig.until(lambda: any(unheard.items() <= event.items() for event in read_events(rig.session.events)))

    # An unreliable button says what it is over and over.
    button = rig.node.create_publisher(Bool, "e_stop", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    pressing = rig.node.create_timer(0.05, lambda: button.publish(Bool(data=True)))
    operator.until_state("emergency_stopped")
    rig.node.destroy_timer(pressing)
    releasing = rig.node.create_timer(0.05, lambda: button.publish(Bool(data=False)))
    rig.until(lambda: operator.ask("e_stop_reset"))
    rig.node.destroy_timer(releasing)
    assert operator.ask("resume")
    stops(lambda: operator.ask("e_stop_trigger"))

    def press_space():
        process.stdin.write("nonsense\nsteer w\nemergency_stop\n")
        process.stdin.flush()

    stops(press_space)
    rig.until(lambda: operator.reported("safety", "emergency stop") == "False")
    process.terminate()
    assert rig.until_exit(process) == 0
    assert damping(rig.commands[-1])
    stopped_by = [
        event["by"]
        for event in read_events(rig.session.events)
        if event["kind"] == "operator" and event["request"] == "emergency_stop" and event["accepted"]
    ]
    # Each publisher has a name of its own.
    assert len(set(stopped_by)) == 5 and stopped_by[3:] == ["service", "keyboard"]
    assert all(by.startswith("/e_stop from /test") for by in stopped_by[:3])
