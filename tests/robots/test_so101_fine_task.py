"""`pick_place_fine` of the SO-101: how far its steps go, where they slide, and what a placement is."""

import itertools

import numpy as np
import pytest

from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.so101 import kinematics, reach
from daydreamer.robots.so101.constants import CLOSED_RAD, LIMITS, OPEN_RAD, TOOL_LOWER_M, TOOL_UPPER_M
from daydreamer.robots.so101.pick_place_fine import (
    BEGIN_YAW_RAD,
    EPISODE_STEPS,
    STEP_GRIPPER_RAD,
    STEP_M,
    STEP_YAW_RAD,
    PickPlaceFine,
)
from daydreamer.robots.so101.placing import SETTLED_STEPS
from daydreamer.safety.limiter import POSITION_MARGIN_RAD, CommandLimiter

HOLDING_RAD = CLOSED_RAD + 0.4 * (OPEN_RAD - CLOSED_RAD)
LEFT_M, RIDGE_M, RIGHT_M = (np.array((0.185, y_m, 0.06)) for y_m in (0.06, 0.0, -0.1))
UNSEEN, LEFT_COLUMNS, RIGHT_COLUMNS, MIDDLE_COLUMNS = slice(0), slice(50, 54), slice(10, 14), slice(31, 35)


def joints(tool_m, gripper_rad=OPEN_RAD, yaw_rad=BEGIN_YAW_RAD):
    return np.array((*kinematics.downwards(np.asarray(tool_m), yaw_rad), gripper_rad))


def measured(joints_rad, columns=UNSEEN):
    picture = np.full((64, 64, 3), 90, np.uint8)
    picture[30:34, columns] = (200, 10, 10)
    return Measurement(0.0, {JOINT_POSITION: joints_rad, JOINT_VELOCITY: np.zeros(6), ABOVE: picture})


@pytest.fixture
def task():
    return PickPlaceFine(seed=0)


def observe(task, tool_m, gripper_rad=OPEN_RAD, columns=UNSEEN, told_rad=None):
    joints_rad = joints(tool_m, gripper_rad)
    sent = joints_rad.copy()
    sent[5] = gripper_rad if told_rad is None else told_rad
    return task.observe(measured(joints_rad, columns), sent)


def grasp(task, tool_m):
    for _ in range(2):
        state = observe(task, tool_m, HOLDING_RAD, told_rad=CLOSED_RAD)
    return state


def stepped(task, sent, action):
    return task.setpoint(np.array(action, np.float32), measured(sent), sent)


def test_it_can_point_at_the_table_wherever_it_may_be_turned_in_any_way():
    places = itertools.product(
        *np.linspace((*reach.LOWER_M, reach.YAW_RAD[0]), (*reach.UPPER_M, reach.YAW_RAD[1]), 6).T
    )
    for *tool_m, yaw_rad in places:
        joints_rad = kinematics.downwards(np.array(tool_m), yaw_rad)
        assert np.all(joints_rad > LIMITS.lower_rad[:5] + POSITION_MARGIN_RAD)
        assert np.all(joints_rad < LIMITS.upper_rad[:5] - POSITION_MARGIN_RAD)
        np.testing.assert_allclose(kinematics.tool_position_m(joints_rad), tool_m, atol=1e-12)
        assert kinematics.yaw_rad(joints_rad) == pytest.approx(yaw_rad)
    assert np.all(reach.LOWER_M >= TOOL_LOWER_M) and np.all(reach.UPPER_M <= TOOL_UPPER_M)


@pytest.mark.parametrize("element", range(5))
def test_a_step_is_as_large_as_stated_and_done_within_it(task, element):
    action = np.eye(5, dtype=np.float32)[element]
    begin_rad = joints(RIGHT_M - (0.0, 0.0, 0.02), gripper_rad=0.3)
    wanted_rad = stepped(task, begin_rad, action)
    moved_m = kinematics.tool_position_m(wanted_rad) - kinematics.tool_position_m(begin_rad)
    turned_rad = kinematics.yaw_rad(wanted_rad) - kinematics.yaw_rad(begin_rad)
    largest = (STEP_M, STEP_M, STEP_M, STEP_YAW_RAD, STEP_GRIPPER_RAD)
    moved = (*moved_m, turned_rad, wanted_rad[5] - begin_rad[5])
    np.testing.assert_allclose(moved, action * largest, atol=1e-6)
    limiter = CommandLimiter(LIMITS, 0.0, 20.0)
    limiter.depart(begin_rad)
    for _ in range(2):
        told_rad = limiter.command(stepped(task, begin_rad, np.ones(5)), limiter.setpoint).setpoint
    np.testing.assert_allclose(told_rad, stepped(task, begin_rad, np.ones(5)), atol=1e-6)


def test_what_is_asked_for_beyond_its_reach_is_slid_along_it(task):
    sent = joints((0.20, 0.05, 0.012))
    for _ in range(20):
        sent = stepped(task, sent, (1.0, 1.0, -1.0, 1.0, 1.0))
    tool_m, yaw_rad = kinematics.tool_position_m(sent), kinematics.yaw_rad(sent)
    jaw_m = tool_m + 0.065 * kinematics.jaw_direction(yaw_rad)
    assert yaw_rad == pytest.approx(reach.YAW_RAD[1]) and tool_m[2] == pytest.approx(reach.LOWER_M[2])
    assert jaw_m[1] == pytest.approx(reach.JAW_UPPER_M[1]) and tool_m[0] == pytest.approx(reach.UPPER_M[0])


def test_it_crosses_the_ridge_high_in_the_middle_and_with_something_held(task):
    def crosses(x, z, holds):
        begin_m, wanted_m = np.array((x, 0.03, z)), np.array((x + 0.002, 0.02, z))
        end_m = reach.slid(begin_m, wanted_m, holds)
        assert end_m[0] == wanted_m[0] and end_m[1] in (begin_m[1], wanted_m[1])
        return end_m[1] == wanted_m[1]

    assert crosses(0.19, 0.06, True)
    assert not crosses(0.19, 0.06, False) and not crosses(0.19, 0.03, True) and not crosses(0.21, 0.06, True)
    # Who has dropped something there may leave to either side, and not go down.
    np.testing.assert_allclose(reach.slid(RIDGE_M, RIDGE_M + (0.0, 0.01, -0.04), False), (0.185, 0.01, 0.05))
    np.testing.assert_allclose(reach.slid(RIDGE_M, LEFT_M, False), LEFT_M)


def test_only_a_cube_that_is_let_go_of_over_the_other_tray_and_seen_there_is_paid(task):
    assert observe(task, LEFT_M, HOLDING_RAD, told_rad=CLOSED_RAD).observation["side"].tolist() == [1, 0, 0, 0, 1]
    assert grasp(task, LEFT_M).observation["side"].tolist() == [1, 0, 1, 0, 0]
    assert observe(task, RIDGE_M, HOLDING_RAD).observation["side"].tolist() == [0, 0, 1, 0, 0]  # told no more to close
    observe(task, RIGHT_M, HOLDING_RAD)
    states = [observe(task, RIGHT_M, columns=RIGHT_COLUMNS) for _ in range(SETTLED_STEPS + 1)]
    assert [state.ending for state in states] == [None] * SETTLED_STEPS + ["success"]
    assert states[-1].reward == 1.0 and states[-1].info["placements_per_minute"] == 0.5
    assert states[-1].info == {"grasps_per_minute": 0.5, "placements_per_minute": 0.5, "success_percent": 5.0}


def test_a_placement_that_somebody_else_had_a_part_in_is_paid_and_no_success_of_the_policys(task):
    grasp(task, LEFT_M)
    task.taken_over()
    states = [observe(task, RIGHT_M, columns=RIGHT_COLUMNS) for _ in range(SETTLED_STEPS + 1)]
    assert (states[-1].ending, states[-1].reward) == ("success", 1.0)
    assert states[-1].info == {"grasps_per_minute": 0.5, "placements_per_minute": 0.0, "success_percent": 0.0}
    task.restart(measured(joints(RIGHT_M), RIGHT_COLUMNS), 0.0)
    grasp(task, RIGHT_M)
    states = [observe(task, LEFT_M, columns=LEFT_COLUMNS) for _ in range(SETTLED_STEPS + 1)]
    assert states[-1].info == {"grasps_per_minute": 1.0, "placements_per_minute": 0.5, "success_percent": 5.0}


@pytest.mark.parametrize("columns", [LEFT_COLUMNS, MIDDLE_COLUMNS, UNSEEN], ids=["where it was", "ridge", "unseen"])
def test_a_cube_that_the_camera_does_not_see_there_is_not_placed(task, columns):
    grasp(task, LEFT_M)
    states = [observe(task, RIGHT_M, columns=columns) for _ in range(20)]
    assert not any(state.reward or state.ending for state in states)
    found = observe(task, RIGHT_M, columns=RIGHT_COLUMNS).ending
    assert found == (None if columns is LEFT_COLUMNS else "success")  # it was hidden, or has rolled


def test_what_is_let_go_of_in_the_same_tray_or_seen_in_the_other_alone_is_paid_nothing(task):
    states = [observe(task, LEFT_M, columns=RIGHT_COLUMNS)]
    grasp(task, LEFT_M)
    states += [observe(task, LEFT_M, columns=RIGHT_COLUMNS) for _ in range(10)]
    assert not any(state.reward or state.ending for state in states)


def test_a_gripper_that_moves_or_is_shut_holds_nothing(task):
    observe(task, LEFT_M, HOLDING_RAD, told_rad=CLOSED_RAD)
    for gripper_rad in (CLOSED_RAD, OPEN_RAD):
        for _ in range(3):
            assert observe(task, LEFT_M, gripper_rad, told_rad=gripper_rad - 0.15).observation["side"][4] == 1
    grasp(task, LEFT_M)
    assert observe(task, LEFT_M, CLOSED_RAD).observation["side"][4] == 1  # it has slipped


def test_it_begins_over_the_cubes_tray_and_an_episode_whose_time_was_up_is_a_failure(task):
    grasp(task, LEFT_M)
    for _ in range(SETTLED_STEPS + 1):
        state = observe(task, RIGHT_M, columns=RIGHT_COLUMNS)
    for columns, y_m in ((RIGHT_COLUMNS, (-0.13, -0.045)), (LEFT_COLUMNS, (0.024, 0.10))):
        setpoint, elapsed_s, joints_rad = np.zeros(6), 0.0, joints(RIGHT_M)
        while setpoint is not None:
            joints_rad = joints_rad if elapsed_s == 0.0 else setpoint  # an arm that is there at once
            setpoint = task.restart(measured(joints_rad, columns), elapsed_s)
            elapsed_s += 0.05
        tool_m = kinematics.tool_position_m(joints_rad)
        assert y_m[0] <= tool_m[1] <= y_m[1] and tool_m[2] > 0.045 and joints_rad[5] == OPEN_RAD
        assert kinematics.yaw_rad(joints_rad) == pytest.approx(BEGIN_YAW_RAD)
        assert state.info["success_percent"] == 5.0
        task.reset()
        for _ in range(EPISODE_STEPS):
            state = observe(task, LEFT_M)


def test_a_gamepad_moves_the_tool_and_at_rest_nothing_moves(task):
    assert task.operator_action(np.zeros(6)).tolist() == [0, 0, 0, 0, 0]
    assert task.operator_action(np.array((0.5, 1.0, -1.0, -0.5, 0.25, 0.0))).tolist() == [1.0, 0.5, -0.5, 0.25, -1.0]
    assert task.operator_note() == "holds nothing"
    grasp(task, LEFT_M)
    assert task.operator_note() == "holds it, from the left tray"
    sent = joints(LEFT_M)
    np.testing.assert_allclose(stepped(task, sent, np.zeros(5)), sent, atol=1e-9)
