import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

pytest.importorskip("rclpy")

from rcl_interfaces.srv import ListParameters

from daydreamer.errors import UserError
from daydreamer.policy.policy import PolicyFunction
from daydreamer.policy.snapshot import SnapshotMetadata, write_snapshot
from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from ros_nodes import topics
from ros_nodes.command_intake import lets_go


def logged(rig, count, life=1):
    """And heard: on a busy machine the rig discovers the actor later than the actor sets out."""
    return lambda: rig.commands and len(rig.steps(life)) >= count


def has_no_actor(session):
    try:
        with session.lock("actor"):
            return True
    except UserError:
        return False


def test_a_session_logs_every_step_and_ends_by_itself(make_rig, damping):
    rig = make_rig(81)
    twin = rig.start("twin")
    actor = rig.start("actor", "--minutes", "0.05")
    assert rig.until_exit(actor) == 0, rig.output("actor")
    steps = rig.steps()
    assert [step.sequence for step in steps] == list(range(60))
    assert steps[0].is_first and not rig.gaps()
    assert all(np.isfinite(step.reward) and step.policy_version == 0 for step in steps)
    # The twin lies on its back, and says so.
    assert steps[0].observation["gravity_up"][2] < -0.9
    positions = [command.position for command in rig.commands if command.position]
    np.testing.assert_allclose(positions[-1], steps[-1].action_sent, atol=1e-5)
    assert all(damping(command) for command in rig.commands[-5:])
    twin.send_signal(signal.SIGINT)
    assert rig.until_exit(twin) == 0, rig.output("twin")
    status = read_status(rig.session)
    assert (status["state"], status["env_steps"]) == ("stopped", 60)
    assert {name: process["state"] for name, process in status["processes"].items()} == {
        "actor": "stopped",
        "twin": "stopped",
    }


def publish_random(session, version, plans=False):
    """A snapshot of a policy that nobody has trained."""
    random, model = np.random.default_rng(0), session.config.model
    shapes = PolicyFunction(session.spec, model).parameter_shapes
    wanted = shapes.planning if plans else shapes.acting
    parameters = {name: 0.1 * random.standard_normal(shape).astype(np.float32) for name, shape in wanted.items()}
    metadata = SnapshotMetadata(
        version=version,
        gradient_step=5,
        env_steps=20,
        robot_spec=session.spec,
        model=msgspec.to_builtins(model),
    )
    write_snapshot(session.policy, parameters, metadata)


def test_new_policies_take_over_without_a_gap(make_rig):
    rig = make_rig(89, ["actor.random_s=0.5"])
    rig.start("twin")
    actor = rig.start("actor")
    rig.until(logged(rig, 20))
    # What `ros2 param list` asks must not end it either.
    client = rig.node.create_client(ListParameters, "/actor/list_parameters")
    rig.until(client.service_is_ready)
    answer = client.call_async(ListParameters.Request())
    rig.until(answer.done)
    assert "autostart" in answer.result().result.names
    for version in (1, 2):
        publish_random(rig.session, version)
        rig.until(lambda version=version: rig.steps()[-1].policy_version == version)
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    steps = rig.steps()
    assert [step.sequence for step in steps] == list(range(len(steps)))
    versions = [step.policy_version for step in steps]
    assert versions == sorted(versions) and set(versions) == {0, 1, 2}
    assert steps[0].is_first and not rig.gaps()


def test_plans_come_in_time_or_the_policy_acts_by_itself(make_rig):
    rig = make_rig(79, ["actor.random_s=0.5", "actor.plan.samples=8", "actor.plan.horizon_s=0.1"])
    rig.start("twin")
    actor = rig.start("actor")
    rig.until(logged(rig, 20))
    publish_random(rig.session, 1)
    rig.until(lambda: any(event["kind"] == "policy_without_plans" for event in read_events(rig.session.events)))
    publish_random(rig.session, 2, plans=True)
    rig.until(lambda: [step.policy_version for step in rig.steps()].count(2) >= 20)
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    steps, status = rig.steps(), read_status(rig.session)
    assert [step.sequence for step in steps] == list(range(len(steps)))
    by_plans = [step.policy_version for step in steps].count(2)
    assert status["plans"] + status["plans_late"] == by_plans
    # One that was late was imagined as well.
    assert status["plans"] * 8 * 2 <= status["planned_steps"] <= by_plans * 8 * 2


def test_a_dead_driver_is_survived_and_a_double_interrupt_still_damps(make_rig, damping):
    rig = make_rig(82)
    twin = rig.start("twin")
    actor = rig.start("actor")
    rig.until(logged(rig, 20))
    twin.kill()
    rig.until(lambda: damping(rig.commands[-1]))
    assert not lets_go(rig.commands[-1])
    before = len(rig.steps())
    rig.start("twin")
    rig.until(logged(rig, before + 20))
    actor.send_signal(signal.SIGINT)
    time.sleep(0.05)
    actor.send_signal(signal.SIGINT)
    assert rig.until_exit(actor) == 0, rig.output("actor")
    assert all(damping(command) and lets_go(command) for command in rig.commands[-5:])
    steps = rig.steps()
    assert [step.sequence for step in steps] == list(range(len(steps)))
    assert steps[0].is_first and steps[before].is_first and not rig.gaps()
    events = [event for event in read_events(rig.session.events) if event["source"] == "actor"]
    assert (events[0]["kind"], events[-1]["kind"]) == ("start", "stop")
    causes = [(event["after"], event["cause"]) for event in events if event["kind"] == "safety_state"]
    for cause in (("damping", "state_lost"), ("ramping", "all clear"), ("running", "ramp"), ("stopped", "SIGINT")):
        assert cause in causes
        causes = causes[causes.index(cause) + 1 :]
    assert not causes


def test_an_actor_whose_parent_was_killed_damps_and_ends_and_a_second_life_goes_on_counting(make_rig, damping):
    rig = make_rig(83)
    rig.start("twin")
    script = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    command = [sys.executable, "-m", "ros_nodes.actor_node", "--session", str(rig.session.path)]
    parent = subprocess.Popen([sys.executable, "-c", script, *command], env=rig.environment)
    rig.until(logged(rig, 20))
    parent.kill()
    parent.wait()
    rig.until(lambda: read_status(rig.session)["processes"]["actor"]["state"] == "stopped")
    rig.until(lambda: damping(rig.commands[-1]))
    events = read_events(rig.session.events)
    assert ("watchdog", "parent_gone") in [(event["kind"], event.get("name")) for event in events]

    rig.until(lambda: has_no_actor(rig.session))
    before = len(rig.steps())
    second = rig.start("actor", "--minutes", f"{(before + 15) / 1200}")
    assert rig.until_exit(second) == 0, rig.output("actor")
    assert len(rig.steps()) == before
    assert [step.sequence for step in rig.steps(life=2)] == list(range(15))
    first_actions, second_actions = (rig.steps(life)[0].action_requested for life in (1, 2))
    assert not np.array_equal(first_actions, second_actions)


def test_a_driver_without_one_of_the_joints_is_refused_by_name(make_rig):
    rig = make_rig(85)
    names = list(rig.session.spec.joint_names)
    publisher = rig.node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
    message = topics.joint_state_message(topics.Time(), names[:-1], np.zeros(11), np.zeros(11))
    rig.node.create_timer(0.05, lambda: publisher.publish(message))
    assert rig.until_exit(rig.start("actor")) == 2
    sentence = rig.output("actor").splitlines()[-1]
    assert f"lacks the joint {names[-1]}; it has {names[0]}" in sentence
    assert not rig.steps()


def test_a_silent_driver_is_waited_for_by_the_name_of_its_topics(make_rig):
    rig = make_rig(86)
    actor = rig.start("actor", "--ros-args", "-r", "imu/data:=chassis/imu")
    rig.until(lambda: "Waiting for a message on /joint_states, /chassis/imu, /foot_contacts" in rig.output("actor"))
    actor.send_signal(signal.SIGTERM)
    assert rig.until_exit(actor) == 0
    assert not rig.commands


@pytest.mark.parametrize("name, topic", [("actor", topics.JOINT_COMMAND), ("twin", topics.JOINT_STATES)])
def test_a_robot_that_somebody_else_controls_is_refused(make_rig, name, topic):
    rig = make_rig(87, discovery_s=3.5)
    rig.node.create_publisher(topics.JointState, topic, topics.RELIABLE)
    counts = set()
    rig.node.create_timer(0.05, lambda: counts.add(rig.node.count_publishers(topic)))
    assert rig.until_exit(rig.start(name)) == 2
    assert counts == {1}, "who is refused has not been in the way"
    sentence = rig.output(name).splitlines()[-1]
    assert f"Topic /{topic} is already published by /test" in sentence and "ROS_DOMAIN_ID" in sentence


def test_a_session_has_one_actor(make_rig):
    rig = make_rig(88)
    with rig.session.lock("actor"):
        assert rig.until_exit(rig.start("actor")) == 2
    assert "already in use" in rig.output("actor")
