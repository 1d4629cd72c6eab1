import numpy as np
import pytest

from daydreamer.robots import sensor_checks
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.checks import TopicRecord, Verdict
from daydreamer.robots.quadruped.task import QuadrupedWalkTask

TASK = QuadrupedWalkTask(A1)
FEET = TASK.spec.foot_names
OFFSET = np.array([15.1, 14.8, 15.0, 15.3])
STANDING = np.full(4, TASK.embodiment.foot_sensing.weight_n / 4)


def feet(force_n, unloaded="", known_n=()):
    rows = np.tile(np.asarray(force_n, float), (20, 1))
    return sensor_checks.check_foot_forces(rows, FEET, TASK.embodiment.foot_sensing, unloaded, known_n)[0]


def test_feet_that_hang_read_nothing_or_are_named_with_what_to_set():
    assert feet([0.0, 1.0, -1.0, 2.0], "it hangs").verdict is Verdict.OK
    check = feet(OFFSET, "it hangs")
    assert check.verdict is Verdict.FAIL
    assert "foot_force_unloaded_n: [15.1, 14.8, 15.0, 15.3]" in check.detail and "although it hangs" in check.detail
    assert feet([6.0, 0.0, 0.0, 0.0], "it hangs").verdict is Verdict.NOTE
    assert feet([-40.0, 0.0, 0.0, 0.0], "it hangs").verdict is Verdict.FAIL


def test_what_is_known_of_the_feet_is_taken_off():
    assert feet(OFFSET, "it hangs", OFFSET).verdict is Verdict.OK
    assert feet(OFFSET, "it hangs", [15.0]).verdict is Verdict.OK
    assert feet(OFFSET + STANDING, "", OFFSET).verdict is Verdict.OK
    assert feet(OFFSET + STANDING, "it hangs", OFFSET).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "force_n, verdict, words",
    [
        (STANDING, "ok", "122 N together, of a robot that weighs 122 N"),
        (STANDING + OFFSET, "FAIL", "of a robot that weighs 122 N: an offset (hang it"),
        (OFFSET, "FAIL", "all feet read as standing, but they do not carry the robot"),
        (np.zeros(4), "note", "it does not stand"),
        (np.array([40.0, 40.0, 42.0, 0.0]), "note", "RL_foot carries nothing"),
        (-STANDING, "FAIL", "it does not pull"),
        (np.full(4, np.nan), "FAIL", "not filled"),
    ],
)
def test_feet_of_which_nothing_is_known_are_compared_with_the_robots_weight(force_n, verdict, words):
    check = feet(force_n)
    assert check.verdict == verdict and words in check.detail


def test_feet_that_change_while_nobody_touches_the_robot_are_noted():
    rows = np.zeros((20, 4))
    rows[::2, 1] = 30.0
    noise = sensor_checks.check_foot_forces(rows, FEET, TASK.embodiment.foot_sensing, "it hangs")[1]
    assert noise.verdict is Verdict.NOTE and noise.detail.startswith("FL_foot changes")
    silent = sensor_checks.check_foot_forces(np.zeros((0, 0)), FEET, TASK.embodiment.foot_sensing, "")[0]
    assert silent.verdict is Verdict.FAIL


def report(*values):
    return TopicRecord("/battery_state", values={"value": [[value] for value in values]})


@pytest.mark.parametrize(
    "values, verdict, words",
    [
        ((0.9,), "ok", "90 %"),
        ((90.0,), "note", "percentage is 90, where 1 is full (0 to 1 by definition): taken as 90 %"),
        ((9.0,), "FAIL", "taken as 9 %; below 10 % the robot is held"),
        ((0.09,), "FAIL", "9 %; below 10 %"),
        ((900.0,), "FAIL", "BatteryState.percentage is 0 to 1"),
        ((np.nan,), "note", "not reported"),
        ((), "note", "not reported"),
    ],
)
def test_the_unit_of_the_charge_is_named(values, verdict, words):
    check = sensor_checks.check_charge(report(*values), A1.limits)
    assert check.verdict == verdict and words in check.detail


@pytest.mark.parametrize(
    "values, verdict, words",
    [
        ((40.0,), "ok", "40 °C"),
        ((313.0,), "note", "taken for kelvin: 40 °C"),
        ((127.0,), "FAIL", "the robot is damped"),
        ((127.0, 30.0, 31.0), "FAIL", "127 °C"),  # of motors that report one after the other
        ((), "note", "not reported"),
    ],
)
def test_the_unit_of_the_temperature_is_named(values, verdict, words):
    check = sensor_checks.check_temperature(report(*values), A1.limits)
    assert check.verdict == verdict and words in check.detail


@pytest.mark.parametrize(
    "looks_like, times_s, refused, verdict, words",
    [
        ("640x480 bgr8", np.arange(10) / 5, [], "ok", "5.0 Hz, longest gap 200 ms; the policy sees each about 4 times"),
        ("64x64 rgb8", np.arange(10) / 20, [], "ok", "20.0 Hz, longest gap 50 ms"),
        ("64x64 rgb8", np.arange(3) * 2.0, [], "FAIL", "1000 ms without a picture hold the robot: send more often"),
        ("64x64 rgb8", [1.0], [], "FAIL", "one picture only"),
        ("64x64 rgb8", np.arange(10) / 20, ["truncated"], "note", "1 could not be read: truncated"),
        ("", np.arange(10) / 20, ["unknown encoding: 'h264'"], "FAIL", "no picture can be read: unknown encoding"),
        ("", [], [], "FAIL", "nothing came. Why."),
    ],
)
def test_a_camera_is_judged_at_its_own_rate(looks_like, times_s, refused, verdict, words):
    check = sensor_checks.check_camera("/camera", looks_like, list(times_s), refused, 20.0, 1.0, "Why.")
    assert check.verdict == verdict and words in check.detail
