"""Which figures are called bad."""

import pytest

from daydreamer.session.status import read_status
from daydreamer.telemetry.health import read_health, robot_state


@pytest.mark.parametrize(
    "name, change, level",
    [
        ("control rate", {"control_rate_hz": 19.9}, "good"),
        ("control rate", {"control_rate_hz": 17.0}, "bad"),
        ("deadline misses", {"deadline_misses": 0}, "good"),
        ("deadline misses", {"deadline_misses": 1}, "warn"),
        ("deadline misses", {"deadline_misses": 30}, "bad"),
        ("deadline misses", {"deadline_misses": 4}, "bad"),
        ("deadline misses", {"deadline_misses": 4, "ticks_per_step": 4}, "warn"),
        ("policy age", {"policy_age_s": 5.0}, "good"),
        ("policy age", {"policy_age_s": 30.0}, "warn"),
        ("policy age", {"policy_age_s": 90.0}, "bad"),
    ],
)
def test_levels(record_session, name, change, level):
    recorder = record_session()
    recorder.log(100.0)
    recorder.write_status({"state": "running"}, {"state": "running"})
    readings = read_health(read_status(recorder.session) | change, recorder.session)
    assert {reading.name: reading.level for reading in readings}[name] == level


def test_misses_after_a_resume_are_of_the_steps_since(record_session):
    recorder = record_session()
    recorder.log(1000.0)
    recorder.log(10.0)
    recorder.write_status({"deadline_misses": 4})
    readings = {each.name: each for each in read_health(read_status(recorder.session), recorder.session)}
    assert readings["deadline misses"].level == "bad", "4 of 200 ticks, not of 20,200"


def test_a_finished_session_has_no_old_policy(record_session):
    recorder = record_session()
    recorder.write_status()
    readings = {each.name: each for each in read_health(read_status(recorder.session), recorder.session)}
    assert readings["policy age"].value == "-" and readings["policy age"].level == "good"


def test_the_state_of_the_robot():
    running = {"processes": {"actor": {"state": "running"}}}
    assert robot_state({"processes": {}}) == "starting"
    assert robot_state(running) == "running"
    assert robot_state(running | {"safety_state": "holding"}) == "holding"
    assert robot_state({"processes": {"actor": {"state": "crashed"}}, "safety_state": "running"}) == "crashed"
