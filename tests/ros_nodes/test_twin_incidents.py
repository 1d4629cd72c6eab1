import signal

import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import Temperature

from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from ros_nodes import topics

SCRIPT = """[
  {kind: swapped_joint_names, start_s: 8.0, duration_s: 0.5, target: FR_hip_joint FR_calf_joint},
  {kind: motor_over_temperature, start_s: 9.0, duration_s: 3.0, magnitude: 110},
  {kind: state_stops, start_s: 15.0, duration_s: 1.5},
]"""


def events_of(rig, source, kind):
    return [event for event in read_events(rig.session.events) if (event["source"], event["kind"]) == (source, kind)]


def test_incidents_reach_the_topics_and_the_supervisor_reaches_the_motors(make_rig):
    rig = make_rig(40, [f"twin.incidents={SCRIPT}", "twin.randomisation.enabled=true"])
    states, temperatures = [], []
    rig.node.create_subscription(topics.JointState, topics.JOINT_STATES, states.append, 100)
    rig.node.create_subscription(Temperature, topics.TEMPERATURE, temperatures.append, 100)
    actor = rig.start("actor")
    # The script's clock begins with the twin, when the actor has compiled and only waits for a robot.
    rig.until(lambda: read_status(rig.session)["processes"].get("actor", {}).get("state") == "waiting")
    twin = rig.start("twin")
    rig.until(lambda: len(events_of(rig, "twin", "incident_end")) == 3)
    for process in (actor, twin):
        process.send_signal(signal.SIGINT)
        assert rig.until_exit(process) == 0, rig.output("actor") + rig.output("twin")

    assert {message.temperature for message in temperatures} == {40.0, 110.0}
    # The calf lies below -1 rad and cannot be above, the hip cannot be below.
    assert {message.position[0] < -0.9 for message in states} == {False, True}
    stamps_s = [message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec for message in states]
    assert max(after - before for before, after in zip(stamps_s, stamps_s[1:], strict=False)) > 1.4

    (drawn,) = events_of(rig, "twin", "robot_drawn")
    assert len(drawn["mass_scale"]) == 13
    begun = {event["incident"]: event for event in events_of(rig, "twin", "incident")}
    assert begun["motor_over_temperature"]["magnitude"] == 110.0
    raised = [event["name"] for event in events_of(rig, "actor", "watchdog")]
    for name in ("over_temperature", "state_stale", "state_lost"):
        assert name in raised
    felt = {event["incident"]: event for event in events_of(rig, "twin", "incident_end")}
    for name in ("motor_over_temperature", "state_stops"):
        assert felt[name]["damping_command_s"] is not None and felt[name]["driver_damped_s"] is not None
    assert felt["state_stops"]["held_s"] is not None
    assert felt["state_stops"]["damping_command_s"] > 0.9  # held first
