"""What LeRobot records of an SO-101, as `pick_place_fine` takes it: units, motions, and who says what a success is."""

import json

import numpy as np
import pytest

from daydreamer.config import SessionConfig
from daydreamer.contract.recording import RecordingOptions
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.errors import UserError
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import COUNT_RAD, JOINTS, LIMITS, READY_RAD
from daydreamer.robots.so101.recorded import make_recorded

PICTURE = np.full((64, 64, 3), 90, np.uint8)


def recorded(**options):
    return make_recorded(SessionConfig(), RecordingOptions(**options))


def test_degrees_are_counts_from_the_middle_and_the_gripper_goes_from_shut_to_open():
    rad = recorded().setpoints(np.array([[90.0, -45.0, 0.0, 0.0, 180.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 100.0]]))
    assert rad[0, :2] == pytest.approx((np.pi / 2, -np.pi / 4), rel=1e-3)
    assert rad[0, 4] == pytest.approx(4095 / 2 * COUNT_RAD)
    assert rad[:, 5] == pytest.approx((LIMITS.lower_rad[5], LIMITS.upper_rad[5]))


def test_normalised_numbers_are_of_the_range_that_the_arm_was_calibrated_to(tmp_path):
    values = np.array([[100.0, -50.0, 0.0, 0.0, 100.0, 50.0]])
    published = recorded(units="normalised").setpoints(values)[0]
    assert published[0] == LIMITS.upper_rad[0] and published[4] == pytest.approx(np.pi, rel=1e-3)
    file = {
        joint: {"id": i + 1, "homing_offset": 0, "range_min": 1000, "range_max": 3000} for i, joint in enumerate(JOINTS)
    }
    path = tmp_path / "arm.json"
    path.write_text(json.dumps(file))
    own = recorded(units="normalised", calibration=path).setpoints(values)[0]
    assert own[:2] == pytest.approx((1000 * COUNT_RAD, -500 * COUNT_RAD))
    assert own[5] == pytest.approx(LIMITS.lower_rad[5] + 1000 * COUNT_RAD)
    path.write_text(json.dumps(file | {"gripper": file["gripper"] | {"range_max": 1000}}))
    with pytest.raises(UserError, match="no range for gripper; calibrate"):
        recorded(calibration=path)


@pytest.mark.parametrize(
    "units, values, words",
    [
        (
            "normalised",
            [134.0, 0, 0, 0, 0, 50],
            "shoulder_pan.pos comes to 134, which is not normalised; choose --units degrees",
        ),
        ("degrees", [0, 2048.0, 0, 0, 0, 50], "shoulder_lift.pos comes to 2048, which is not degrees; record it"),
        (
            "degrees",
            [1.5, -0.3, 0.2, 1.0, 0, 0.4],
            "stay within 1.50: these are radians, or the arm did nothing; record",
        ),
        ("degrees", [50.0, 0, 0, 0, 0, 1500.0], "gripper.pos goes from 1500 to 1500, and not from 0 to 100; record"),
    ],
)
def test_numbers_of_another_unit_are_refused(units, values, words):
    with pytest.raises(UserError, match=words):
        recorded(units=units).setpoints(np.array([values, values], float))


def test_a_motion_is_the_action_that_would_have_asked_for_it():
    each = recorded()
    begin = np.array((*kinematics.downwards(np.array((0.19, 0.06, 0.04)), -0.3), 0.3))
    measurement = Measurement(0.0, {JOINT_POSITION: begin, JOINT_VELOCITY: np.zeros(6), ABOVE: PICTURE})
    for action in ((0.5, -0.2, 0.7, 0.1, -0.9), (0.0, 0.0, 0.0, 0.0, 0.0)):
        end = each.task.setpoint(np.array(action), measurement, begin)
        np.testing.assert_allclose(each.motions(np.stack((begin, end))), [action], atol=1e-6)


def test_what_the_task_cannot_do_is_told_and_an_operator_may_say_what_a_success_was():
    each = recorded(success="last")
    tilted = READY_RAD + (0.0, 0.0, 0.0, -0.8, 0.0, 0.0)
    states = [
        each.observe(Measurement(0.0, {JOINT_POSITION: q, JOINT_VELOCITY: np.zeros(6), ABOVE: PICTURE}), q, last)
        for q, last in ((READY_RAD, False), (tilted, False), (READY_RAD, True), (READY_RAD, False))
    ]
    assert [state.ending for state in states] == [None, None, "success", None]
    assert [state.reward for state in states] == [0.0, 0.0, 1.0, 0.0]
    assert states[2].info["success_percent"] == 5.0
    told = each.remarks()
    assert "In 25% of the steps the gripper points more than 20 degrees away" in told[0] and "outside" in told[1]
