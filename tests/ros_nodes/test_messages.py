"""Messages that nobody meant, nodes that nobody invited, and a robot that waits: the real actor and twin."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import Imu, JointState, Joy
from std_msgs.msg import Bool

from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from ros_nodes import topics


def events(rig, kind):
    return [event for event in read_events(rig.session.events) if event["kind"] == kind]


def more_steps(rig, count=10):
    logged = len(rig.steps())
    rig.until(lambda: len(rig.steps()) >= logged + count)


def test_no_message_ends_the_hour_and_who_else_commands_is_named_and_held(make_rig, make_operator, damping):
    rig = make_rig(35)
    operator = make_operator(rig)
    rig.start("twin")
    actor = rig.start("actor")
    rig.until(lambda: len(rig.steps()) >= 10)

    # Foreign, without an orientation, not finite, of lengths that do not fit.
    states = rig.node.create_publisher(JointState, topics.JOINT_STATES, topics.RELIABLE)
    imu = rig.node.create_publisher(Imu, topics.IMU, topics.RELIABLE)
    operator.until_notice("/joint_states has 2 publishers: /test, /twin")
    names = list(rig.session.spec.joint_names)
    zero = Imu()
    zero.orientation.w = 0.0
    for _ in range(20):
        states.publish(JointState(name=["gripper_joint"], position=[0.1]))
        states.publish(JointState(name=names, position=[float("nan")] * 12))
        states.publish(JointState(name=names, position=[0.0] * 3))
        imu.publish(zero)
        rig.executor.spin_once(timeout_sec=0.01)
    rig.node.destroy_publisher(states)
    rig.node.destroy_publisher(imu)
    more_steps(rig)
    assert all(np.isfinite(step.observation["joint_position"]).all() for step in rig.steps())
    faults = {(event["topic"], event["fault"]) for event in events(rig, "message")}
    assert {topic for topic, _ in faults} == {"/joint_states", "/imu/data"} and len(faults) >= 3
    assert any(event["publishers"] == ["/test", "/twin"] for event in events(rig, "second_publisher"))

    # Somebody else speaks to the joints.
    stranger = rig.node.create_publisher(JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    begin_s = time.monotonic()
    operator.until_state("holding")
    noticed_s = time.monotonic() - begin_s
    operator.until_notice("/joint_command is also published by /test")
    assert not operator.ask("resume")
    namesake = rclpy.create_node("actor", context=rig.node.context)
    namesake.create_publisher(JointState, topics.JOINT_COMMAND, topics.RELIABLE)
    operator.until_notice("/joint_command is also published by /actor of another session, /test")
    namesake.destroy_node()
    rig.node.destroy_publisher(stranger)
    rig.until(lambda: events(rig, "second_publisher")[-1]["present"] is False)
    held = len(rig.steps())
    time.sleep(1.0)
    assert operator.state() == "holding" and len(rig.steps()) == held  # until an operator says so
    operator.until_notice("waits for you: ros2 service call /actor/resume")
    rig.until(lambda: operator.ask("resume"))
    more_steps(rig)
    assert "commanded_by_others" in [event["name"] for event in events(rig, "watchdog")], noticed_s

    # Two buttons: what one says, another has not.
    pressed = rig.node.create_publisher(Bool, "e_stop", topics.LATCHED)
    free = rig.node.create_publisher(Bool, "e_stop", topics.LATCHED)
    releasing = rig.node.create_timer(0.05, lambda: free.publish(Bool(data=False)))
    rig.until(lambda: pressed.get_subscription_count() >= 3 and free.get_subscription_count() >= 3)
    pressed.publish(Bool(data=True))
    operator.until_state("emergency_stopped")
    time.sleep(0.5)
    reply = operator.reply("e_stop_reset")
    assert not reply.success and "held by /e_stop from /test" in reply.message
    operator.until_notice("held by /e_stop from /test")
    operator.until_notice("waits for you: ros2 service call /actor/e_stop_reset std_srvs/srv/Trigger, then")
    pressed.publish(Bool(data=False))
    rig.until(lambda: operator.ask("e_stop_reset"))
    # One that is gone holds nothing; the latch stays.
    pressed.publish(Bool(data=True))
    operator.until_state("emergency_stopped")
    rig.node.destroy_publisher(pressed)
    rig.node.destroy_timer(releasing)
    rig.until(lambda: operator.ask("e_stop_reset"))
    assert operator.ask("resume")
    more_steps(rig)

    # Two gamepads: the first one steers.
    gamepads = [rig.node.create_publisher(Joy, "joy", 1) for _ in range(2)]
    steering = Joy(axes=[float("nan"), 1e30, float("-inf"), 0.0, 0.0], buttons=[0, 0, 0, 0, 1])
    timers = [rig.node.create_timer(0.05, lambda pad=pad: pad.publish(steering)) for pad in gamepads]
    rig.until(lambda: any(step.intervention for step in rig.steps()))
    more_steps(rig, 30)
    acts = events(rig, "intervention")
    refused = {event["by"] for event in events(rig, "operator") if not event["accepted"]} - {"service"}
    # On a machine that is too busy for its messages the first one may lose its turn.
    assert len(acts) < 6 and refused and refused != {acts[0]["by"]}
    for timer in timers:
        rig.node.destroy_timer(timer)

    # Cleaned up while it is stopped: answered, and set up again.
    assert operator.ask("e_stop_trigger")
    operator.until_state("emergency_stopped")
    assert operator.transition(Transition.TRANSITION_DEACTIVATE)
    assert operator.transition(Transition.TRANSITION_CLEANUP)
    assert operator.transition(Transition.TRANSITION_CONFIGURE), rig.output("actor")
    operator.until_state("emergency_stopped")  # also the latch is still there
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    assert damping(rig.commands[-1])


def test_a_robot_sets_out_when_its_operator_says_so_and_not_before(make_rig, make_operator, damping):
    rig = make_rig(36, robot="a1", body="hardware")
    operator = make_operator(rig)
    # Whatever parameters say.
    actor = rig.start("actor", "--operator-input", "--ros-args", "-p", "autostart:=true")
    # A stop before the robot has spoken, and its reset.
    assert operator.ask("e_stop_trigger") and not operator.ask("resume")
    assert operator.ask("e_stop_reset") and "Nothing usable has arrived" in operator.reply("resume").message
    operator.until_notice("waits for the robot: nothing usable has come on /joint_states, /imu/data, /foot_contacts")
    assert "Nobody publishes there in ROS_DOMAIN_ID=36" in rig.output("actor")
    assert not [command for command in rig.commands if not damping(command)]
    rig.start("twin")  # stands in for the robot
    operator.until_notice("waits for you: press r, then Y, in the terminal of walk, or ros2 service call /actor/resume")
    time.sleep(2.0)
    assert not rig.steps() and not [command for command in rig.commands if not damping(command)]
    assert operator.ask("resume")
    rig.until(lambda: len(rig.steps()) >= 10)
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    # Driven otherwise it does not go on.
    assert rig.until_exit(rig.start("actor", "--ros-args", "-r", "joint_command:=/arm/command")) == 2
    assert "joint_command at /arm/command instead of /joint_command" in rig.output("actor")
    # Resumed, it waits again.
    status = read_status(rig.session)
    rig.start("actor")
    rig.until(lambda: read_status(rig.session)["processes"]["actor"]["pid"] != status["processes"]["actor"]["pid"])
    operator.until_notice("waits for you: ros2 service call /actor/resume")
    assert not rig.steps(life=2)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--params-file", "{}/missing.yaml"], "missing.yaml"),
        (["--params-file", "{}/misspelt.yaml"], "no parameter 'auto_start'; did you mean autostart?"),
        (["--params-file", "~/a1.yaml"], "Couldn't parse params file"),
        (["-p", "command_interface:=telepathy"], "telepathy"),
    ],
)
def test_parameters_that_cannot_be_used_are_one_sentence_and_no_command(make_rig, arguments, words):
    rig = make_rig(37, robot="a1", body="hardware")
    (rig.directory / "misspelt.yaml").write_text("/**: {ros__parameters: {auto_start: false}}")
    actor = rig.start("actor", "--ros-args", *(word.format(rig.directory) for word in arguments))
    assert rig.until_exit(actor) == 2
    assert words in rig.output("actor").splitlines()[-1] and "Traceback" not in rig.output("actor")
    assert not rig.commands


def test_a_middleware_that_is_not_there_is_one_sentence_before_anything_is_made(tmp_path):
    environment = os.environ | {"RMW_IMPLEMENTATION": "rmw_of_nobody", "PYTHONPATH": os.pathsep.join(sys.path)}
    for command in (
        ["-m", "daydreamer.cli.main", "walk", "--session", "here"],
        ["-m", "daydreamer.cli.main", "check-robot"],
        ["-m", "daydreamer.robots.a1.driver_node"],
    ):
        result = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )
        assert result.returncode == 2 and not list(tmp_path.iterdir())
        assert "unset RMW_IMPLEMENTATION" in result.stderr and result.stderr.count("\n") == 1
