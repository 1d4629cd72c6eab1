import signal

import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import Temperature

from daydreamer.session.events import read_events
from ros_nodes import topics

SCRIPT = """[
  {kind: motor_over_temperature, start_s: 4.0, duration_s: 0.5, magnitude: 110},
  {kind: swapped_joint_names, start_s: 4.0, duration_s: 0.5, target: FR_hip_joint FR_calf_joint},
  {kind: state_stops, start_s: 5.0, duration_s: 1.0},
]"""


def test_a_script_happens_to_the_topics_and_is_recorded(make_rig):
    rig = make_rig(40, [f"twin.incidents={SCRIPT}", "twin.randomisation.enabled=true"])
    states, temperatures = [], []
    rig.node.create_subscription(topics.JointState, topics.JOINT_STATES, states.append, 100)
    rig.node.create_subscription(Temperature, "temperature", temperatures.append, 100)
    twin = rig.start("twin")
    rig.until(lambda: any(event["kind"] == "robot_drawn" for event in read_events(rig.session.events)))
    rig.until(lambda: sum(event["kind"] == "incident_end" for event in read_events(rig.session.events)) == 3)
    twin.send_signal(signal.SIGINT)
    assert rig.until_exit(twin) == 0, rig.output("twin")
    assert {message.temperature for message in temperatures} == {40.0, 110.0}
    # A calf lies near -2.6 rad and a hip near 0, whatever they are called.
    hips = {round(message.position[0]) for message in states}
    assert hips == {0, -3}
    stamps_s = [message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec for message in states]
    gaps_s = [after - before for before, after in zip(stamps_s, stamps_s[1:], strict=False)]
    assert max(gaps_s) > 0.9
    events = [event for event in read_events(rig.session.events) if event["source"] == "twin"]
    drawn = next(event for event in events if event["kind"] == "robot_drawn")
    assert len(drawn["mass_scale"]) == 13
    begun = [event for event in events if event["kind"] == "incident"]
    assert [event["incident"] for event in begun] == ["motor_over_temperature", "swapped_joint_names", "state_stops"]
    assert begun[0]["magnitude"] == 110.0
    ended = [event for event in events if event["kind"] == "incident_end"]
    # Nobody commanded this robot.
    assert all(event["driver_damped_s"] < 0.1 for event in ended)
    assert all(event["damping_command_s"] is None for event in ended)
