"""Kinematics, cells, rewards, checks and the way to rest of the SO-101, against figures worked out by hand."""

import numpy as np
import pytest

from daydreamer.contract.signals import JOINT_EFFORT, JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.robots.arm.cells import BACK, FORWARD, GRIP, LEFT, LIFT, RIGHT
from daydreamer.robots.arm.plausibility import CubeCheck
from daydreamer.robots.arm.sight import ABOVE, find_cube
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import (
    CLOSED_RAD,
    GRID,
    LIMITS,
    LOWERING_REACH_RAD,
    OPEN_RAD,
    REST_RAD,
    STALL_TORQUE_N_M,
    TABLE,
)
from daydreamer.robots.so101.lowering import LONGEST_S, Lowering
from daydreamer.robots.so101.pick_place import PickPlace
from daydreamer.robots.so101.plausibility import EffortCheck

Cell, nearest, cells_over = GRID.cell, GRID.nearest, GRID.cells_over
HOLDING_RAD = CLOSED_RAD + 0.4 * (OPEN_RAD - CLOSED_RAD)
GREY = np.full((64, 64, 3), 90, np.uint8)


def measured(cell, gripper_rad=OPEN_RAD, picture=GREY, effort_n_m=np.zeros(6), speed_rad_s=0.0):
    joints_rad = np.array((*kinematics.downwards(cell.tool_m), gripper_rad))
    values = {JOINT_POSITION: joints_rad, JOINT_VELOCITY: np.full(6, speed_rad_s), ABOVE: picture}
    return Measurement(0.0, values | {JOINT_EFFORT: np.array(effort_n_m)})


def with_cube(columns, rows=slice(30, 34)):
    picture = GREY.copy()
    picture[rows, columns] = (200, 10, 10)
    return picture


@pytest.fixture
def task():
    return PickPlace(seed=0)


def act(task, action, measurement):
    """What it observes, and where the action then leads to: the tool, and the gripper."""
    state = task.observe(measurement, measurement[JOINT_POSITION])
    setpoint = task.setpoint(np.int32(action), measurement, measurement[JOINT_POSITION])
    return state, kinematics.tool_position_m(setpoint), setpoint[5]


def test_backwards_and_forwards_is_the_same_place():
    random = np.random.default_rng(0)
    for tool_m in random.uniform((0.15, -0.12, 0.0), (0.23, 0.09, 0.07), (200, 3)):
        joints_rad = kinematics.downwards(tool_m)
        np.testing.assert_allclose(kinematics.tool_position_m(joints_rad), tool_m, atol=1e-12)
        assert kinematics.pitch_rad(joints_rad) == pytest.approx(np.pi / 2)
        assert np.all(joints_rad > LIMITS.lower_rad[:5]) and np.all(joints_rad < LIMITS.upper_rad[:5])
    with pytest.raises(ValueError, match="does not reach"):
        kinematics.downwards(np.array((0.5, 0.0, 0.0)))


@pytest.mark.parametrize("bend", [0.8, -1.6])  # the elbow up, and beyond straight
def test_joints_for_a_tool_keep_pitch_roll_and_elbow(bend):
    joints_rad = np.array((0.3, 0.2, bend, 0.4, -0.5, 0.1))
    again = kinematics.joints_for_tool(joints_rad, kinematics.tool_position_m(joints_rad))
    np.testing.assert_allclose(again, joints_rad, atol=1e-9)


@pytest.mark.parametrize(
    "begin, action, held_from, end",
    [
        (Cell(0, 4, False), FORWARD, None, Cell(1, 4, False)),
        (Cell(1, 4, False), FORWARD, "left", Cell(1, 4, False)),
        (Cell(1, 4, True), BACK, None, Cell(0, 4, True)),
        (Cell(0, 4, False), LEFT, None, Cell(0, 5, False)),
        (Cell(0, 4, False), RIGHT, None, Cell(0, 4, False)),  # to the other tray with nothing held
        (Cell(0, 4, False), RIGHT, "left", Cell(0, 1, False)),  # all the way
        (Cell(1, 1, False), LEFT, "right", Cell(1, 4, False)),
        (Cell(0, 3, False), BACK, "left", Cell(0, 1, False)),  # which takes longer than a step
        (Cell(0, 2, False), LIFT, "right", Cell(0, 4, False)),
        (Cell(0, 4, True), RIGHT, "left", Cell(0, 4, False)),  # lifted first
        (Cell(0, 4, True), GRIP, "left", Cell(0, 4, True)),
        (Cell(0, 3, False), LEFT, None, Cell(0, 4, False)),  # what was dropped on the ridge is no reason to stay there
        (Cell(0, 1, False), LIFT, None, Cell(0, 1, True)),
        (Cell(0, 1, True), LIFT, None, Cell(0, 1, True)),
        (Cell(0, 1, True), LIFT, "right", Cell(0, 1, False)),
        (Cell(0, 2, False), LIFT, None, Cell(0, 2, False)),
    ],
)
def test_where_actions_lead(begin, action, held_from, end):
    assert begin.after(action, held_from) == end
    assert nearest(end.tool_m + 0.01) == end


def test_only_the_gripper_is_paid(task):
    low, high = Cell(0, 4, True), Cell(0, 4, False)
    state, tool_m, gripper_rad = act(task, GRIP, measured(low))
    assert state.reward == 0.0 and gripper_rad == CLOSED_RAD
    np.testing.assert_allclose(tool_m, low.tool_m, atol=1e-9)
    # It closes still, and then holds something.
    assert act(task, LIFT, measured(low, HOLDING_RAD, speed_rad_s=1.0))[0].reward == 0.0
    state, tool_m, _ = act(task, LIFT, measured(low, HOLDING_RAD))
    assert state.reward_terms == {"grasped": 1.0, "dropped": 0.0, "placed": 0.0} and tool_m[2] == pytest.approx(0.065)
    assert list(state.observation["side"]) == [1, 0, 1, 0, 0]
    state, _, gripper_rad = act(task, GRIP, measured(high, HOLDING_RAD))
    assert state.reward == 0.0 and gripper_rad == OPEN_RAD
    state, _, _ = act(task, LIFT, measured(high))
    assert state.reward_terms == {"grasped": 0.0, "dropped": -1.0, "placed": 0.0}
    assert list(state.observation["side"]) == [1, 0, 0, 0, 1]


def test_what_is_carried_over_is_placed_and_counted(task):
    act(task, GRIP, measured(Cell(0, 4, True)))
    act(task, LIFT, measured(Cell(0, 4, True), HOLDING_RAD))
    _, tool_m, gripper_rad = act(task, GRIP, measured(Cell(0, 3, False), HOLDING_RAD))
    np.testing.assert_allclose(tool_m, Cell(0, 1, False).tool_m, atol=1e-9)  # nothing lets go on the way
    assert gripper_rad == CLOSED_RAD
    _, tool_m, gripper_rad = act(task, BACK, measured(Cell(1, 1, False), HOLDING_RAD))
    np.testing.assert_allclose(tool_m, Cell(1, 1, False).tool_m, atol=1e-9)  # where it lets go by itself
    assert gripper_rad == OPEN_RAD
    state, _, _ = act(task, LIFT, measured(Cell(1, 1, False)))
    assert state.reward == 10.0 and state.info == {
        "attempts_per_minute": 0.5,
        "grasps_per_minute": 0.5,
        "placements_per_minute": 0.5,
        "success_percent": 100.0,
    }


def test_what_happens_in_an_episode_that_was_taken_over_is_paid_and_not_counted(task):
    act(task, GRIP, measured(Cell(0, 4, True)))
    task.taken_over()
    state, _, _ = act(task, LIFT, measured(Cell(0, 4, True), HOLDING_RAD))
    assert state.reward == 1.0 and set(state.info.values()) == {0.0}


def test_closed_jaws_with_nothing_between_them_are_paid_nothing(task):
    act(task, GRIP, measured(Cell(0, 4, True)))
    for gripper_rad in (CLOSED_RAD, OPEN_RAD):
        assert act(task, LIFT, measured(Cell(0, 4, True), gripper_rad))[0].reward == 0.0


@pytest.mark.parametrize("columns, side", [(slice(10, 14), "right"), (slice(50, 54), "left")])
def test_it_begins_over_the_tray_where_it_sees_the_cube(task, columns, side):
    cell, elapsed_s, gripper_rad = Cell(0, 5 if side == "right" else 0, True), 0.0, CLOSED_RAD
    task.observe(measured(cell, gripper_rad), np.zeros(6))
    tool_m, visited = cell.tool_m, []
    while True:
        measurement = measured(cell, gripper_rad, with_cube(columns))
        measurement[JOINT_POSITION] = np.array((*kinematics.downwards(tool_m), gripper_rad))
        setpoint = task.restart(measurement, elapsed_s)
        if setpoint is None:
            break
        tool_m, gripper_rad = kinematics.tool_position_m(setpoint), setpoint[5]  # an arm that is there at once
        visited.append(tool_m)
        elapsed_s += 0.05
    assert nearest(tool_m) in cells_over(side) and gripper_rad == OPEN_RAD
    np.testing.assert_allclose(visited[0][:2], cell.tool_m[:2], atol=1e-9)  # straight up first


def test_a_place_that_is_not_reached_is_given_up(task):
    task.observe(measured(Cell(0, 4, True)), np.zeros(6))
    seconds = np.arange(0.0, 20.0, 0.5)
    setpoints = [task.restart(measured(Cell(0, 4, True)), elapsed_s) for elapsed_s in seconds]
    assert setpoints[-1] is None and 6.0 < seconds[[each is None for each in setpoints].index(True)] < 14.0


def watch(check, measurement, seconds):
    for _ in range(round(seconds / 0.05)):
        finding = check.update(0.05, measurement, None)
    return finding


@pytest.mark.parametrize(
    "joint, torque_n_m, speed_rad_s, seconds, said",
    [
        (2, 0.5 * STALL_TORQUE_N_M, 0.0, 2.2, "elbow_flex is stalled"),
        (2, 0.7 * STALL_TORQUE_N_M, 0.5, 9.0, None),  # it moves
        (2, 0.4 * STALL_TORQUE_N_M, 0.0, 9.0, None),  # it carries
        (5, 0.5 * STALL_TORQUE_N_M, 0.0, 9.0, None),  # it holds the cube
        (5, 0.7 * STALL_TORQUE_N_M, 0.0, 0.7, "the gripper presses harder than it may"),
    ],
)
def test_motors_that_give_too_much(joint, torque_n_m, speed_rad_s, seconds, said):
    effort_n_m = np.where(np.arange(6) == joint, -torque_n_m, 0.1)
    finding = watch(EffortCheck(), measured(Cell(0, 4, True), effort_n_m=effort_n_m, speed_rad_s=speed_rad_s), seconds)
    assert finding.wrong == (said is not None) and (said is None or finding.subject == said and finding.cure)


@pytest.mark.parametrize(
    "picture, said",
    [
        (GREY, "sees no red cube"),
        (with_cube(slice(30, 34), slice(46, 50)), "sees the cube beyond the trays, out of reach"),
        (with_cube(slice(60, 64)), "sees the cube beyond the trays, out of reach"),
    ],
    ids=["unseen", "before the trays", "beside them"],
)
def test_a_cube_that_cannot_be_had_is_asked_for(picture, said):
    check, cell = CubeCheck(TABLE), Cell(0, 4, True)
    assert not watch(check, measured(cell, picture=picture), 59.0).wrong
    finding = watch(check, measured(cell, picture=picture), 2.0)
    assert finding.wrong and said in finding.subject and "Put the cube back" in finding.cure
    assert not watch(check, measured(cell, picture=with_cube(slice(10, 14))), 0.1).wrong
    assert not watch(check, measured(cell, picture=picture), 59.0).wrong
    assert find_cube(with_cube(slice(10, 14))) == pytest.approx((12 / 64, 0.5))


def test_an_operator_says_one_of_six(task):
    for axes, action in (((0, 1), FORWARD), ((0, -1), BACK), ((1, 0), LEFT), ((-1, 0), RIGHT)):
        assert task.operator_action(np.array((*axes, 0.0, 0.0, 0.0, 0.0))) == action
    assert task.operator_action(np.array((0.0, 0.0, 1.0, 0.0, 0.0, 0.0))) == GRIP
    assert task.operator_action(np.array((0.0, 0.0, 0.0, -1.0, 0.0, 0.0))) == LIFT


@pytest.mark.parametrize("cell", [Cell(0, 4, True), Cell(1, 0, False)])
@pytest.mark.parametrize("holds", [False, True])
def test_an_operator_who_wants_nothing_moves_nothing(task, cell, holds):
    gripper_rad = HOLDING_RAD if holds else OPEN_RAD
    task.observe(measured(cell, gripper_rad), REST_RAD)
    for axes in (np.zeros(6), np.full(6, 0.3)):
        _, tool_m, wanted_rad = act(task, task.operator_action(axes), measured(cell, gripper_rad))
        low = cell.low and not holds  # what has been grasped is lifted by itself
        assert nearest(tool_m) == Cell(cell.x, cell.y, low) and wanted_rad == (CLOSED_RAD if holds else OPEN_RAD)
    side = "left" if cell.y > 2 else "right"
    assert task.operator_note() == (f"holds it, from the {side} tray" if holds else "holds nothing")


def way_to_rest(begin_rad, period_s, blocked=()):
    """Seconds until it is let go, and where: of an arm that by the next tick is where it is told to be."""
    lowering, at_rad, time_s = Lowering(), np.array(begin_rad), 0.0
    lowering.stand_by()
    while (target_rad := lowering.target(time_s, at_rad)) is not None:
        assert np.abs(target_rad - at_rad).max() <= LOWERING_REACH_RAD + 1e-9
        target_rad[list(blocked)] = at_rad[list(blocked)]
        at_rad, time_s = target_rad, time_s + period_s
    return time_s, at_rad


@pytest.mark.parametrize("period_s", [0.02, 0.2, 0.5])
def test_however_slow_its_driver_is_the_arm_lies_before_it_is_let_go(period_s):
    seconds, at_rad = way_to_rest(REST_RAD + (-0.2, 0.1, 0.0, -0.9, 0.0, 0.3), period_s)
    assert seconds < LONGEST_S
    np.testing.assert_allclose(at_rad[:5], REST_RAD[:5], atol=LOWERING_REACH_RAD)


def test_the_way_to_rest_ends_whatever_is_blocked_and_has_time_for_the_farthest_pose():
    seconds, at_rad = way_to_rest(LIMITS.lower_rad, 0.02)
    assert 12.0 < seconds < LONGEST_S
    np.testing.assert_allclose(at_rad[:5], REST_RAD[:5], atol=LOWERING_REACH_RAD)
    seconds, at_rad = way_to_rest(LIMITS.lower_rad, 0.02, blocked=[2])
    assert seconds == pytest.approx(LONGEST_S, abs=0.05) and at_rad[2] == LIMITS.lower_rad[2]
    np.testing.assert_allclose(at_rad[[0, 1, 3, 4]], REST_RAD[[0, 1, 3, 4]], atol=0.01)
