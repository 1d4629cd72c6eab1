"""The UR5e: its kinematics against its model, its guard, and its twin at the trays."""

import contextlib
import json

import mujoco
import numpy as np
import pytest

from daydreamer.cli.begin import Chosen
from daydreamer.cli.demonstrate import Lesson, demonstrate
from daydreamer.errors import UserError
from daydreamer.robots.arm.sight import ABOVE, find_cube, is_out_of_reach, side_of_cube
from daydreamer.robots.registry import find_robot
from daydreamer.robots.ur5e import kinematics
from daydreamer.robots.ur5e.constants import (
    ARM_JOINTS,
    CLOSED_RAD,
    CUBE_M,
    FINGER_M_RAD,
    GRID,
    LIMITS,
    OPEN_RAD,
    READY_RAD,
    STROKE_M,
    TABLE,
    TORQUE_N_M,
)
from daydreamer.safety.limiter import POSITION_MARGIN_RAD, CommandLimiter
from daydreamer.safety.workspace import ROUNDING_M, beyond_m
from daydreamer.session.new import configure


@contextlib.contextmanager
def make_twin(camera):
    config = configure(
        robot="ur5e", task="pick_place", minutes=1.0, seed=0, overrides=[f"twin.camera={str(camera).lower()}"]
    )
    with contextlib.closing(find_robot("ur5e").make_twin(config.twin, 0)) as twin:
        yield twin


@pytest.fixture(scope="module")
def module_twin():
    with make_twin(camera=False) as twin:
        yield twin


@pytest.fixture
def twin(module_twin):
    module_twin.reset("ready", seed=0)
    return module_twin


def at(tool_m, gripper_rad=OPEN_RAD, yaw_rad=0.0):
    return np.array((*kinematics.downwards(np.asarray(tool_m), yaw_rad), gripper_rad))


def go(twin, setpoint_rad, seconds):
    for _ in range(round(seconds / 0.05)):
        twin.command(setpoint_rad)
        twin.advance(0.05)
    return twin.data.qpos[twin.position_at]


def test_its_kinematics_are_those_of_the_model(twin):
    random = np.random.default_rng(0)
    for joints_rad in random.uniform(-3.0, 3.0, (20, 7)):
        twin.place_joints(joints_rad)
        mujoco.mj_forward(twin.model, twin.data)
        flange = twin.data.body("wrist_3")
        tool_m = flange.xpos + flange.xmat.reshape(3, 3) @ (0.0, 0.0996 + kinematics.TOOL_M, 0.0)
        np.testing.assert_allclose(kinematics.tool_position_m(joints_rad), tool_m, atol=1e-12)
        np.testing.assert_allclose(kinematics.points_m(joints_rad)[-2], flange.xpos, atol=1e-12)
    for yaw_rad in (-1.0, 0.0, 0.6):
        twin.place_joints(at((0.46, -0.1, 0.1), yaw_rad=yaw_rad))
        mujoco.mj_forward(twin.model, twin.data)
        fingers, tool, _ = twin.data.body("wrist_3").xmat.reshape(3, 3).T
        np.testing.assert_allclose(tool, (0.0, 0.0, -1.0), atol=1e-12)
        np.testing.assert_allclose(fingers, (-np.sin(yaw_rad), np.cos(yaw_rad), 0.0), atol=1e-12)
        assert kinematics.yaw_rad(at((0.46, -0.1, 0.1), yaw_rad=yaw_rad)) == pytest.approx(yaw_rad)


def test_the_figures_that_are_published_are_those_of_the_model(twin):
    stretched_m = kinematics.tool_position_m(np.zeros(7))
    np.testing.assert_allclose(stretched_m, (0.8172, 0.1333 + 0.0996 + kinematics.TOOL_M, 0.1625 - 0.0997), atol=1e-9)
    for body, mass_kg in {"shoulder": 3.761, "upper_arm": 8.058, "lower_arm": 2.846, "wrist_1": 1.37}.items():
        assert twin.model.body(body).mass == mass_kg
    for joint in ARM_JOINTS:
        half = np.pi if joint == "elbow_joint" else 2 * np.pi
        np.testing.assert_allclose(twin.model.joint(joint).range, (-half, half), atol=1e-4)
    assert LIMITS.torque_n_m[:6].tolist() == list(TORQUE_N_M) and FINGER_M_RAD * CLOSED_RAD == STROKE_M / 2


def test_backwards_and_forwards_is_the_same_place_within_its_limits():
    random, box = np.random.default_rng(0), LIMITS.workspace
    margin_rad = POSITION_MARGIN_RAD
    for tool_m in random.uniform(box.lower_m, box.upper_m, (200, 3)):
        joints_rad = at(tool_m, 0.4)
        np.testing.assert_allclose(kinematics.tool_position_m(joints_rad), tool_m, atol=1e-12)
        assert np.all(joints_rad[:6] > LIMITS.lower_rad[:6] + margin_rad)
        assert np.all(joints_rad[:6] < LIMITS.upper_rad[:6] - margin_rad)
    for unreachable_m in ((1.2, 0.0, 0.1), (0.05, 0.05, 0.1)):
        with pytest.raises(ValueError, match="does not reach"):
            kinematics.downwards(np.array(unreachable_m))


@pytest.mark.parametrize("elbow_rad", [1.2, -1.2])
@pytest.mark.parametrize("turns_rad", [0.0, 2 * np.pi])
def test_joints_for_a_tool_keep_wrist_elbow_and_turn(elbow_rad, turns_rad):
    joints_rad = np.array((0.3 + turns_rad, -0.9, elbow_rad, -1.1, -1.3, 0.4, 0.2))
    again = kinematics.joints_for_tool(joints_rad, kinematics.tool_position_m(joints_rad))
    np.testing.assert_allclose(again, joints_rad, atol=1e-9)


def test_whatever_is_asked_for_and_measured_the_tool_stays_inside():
    random, request, limiter = np.random.default_rng(0), READY_RAD, CommandLimiter(LIMITS, 0.0, 20.0)
    limiter.depart(READY_RAD)
    moved = 0
    for _ in range(400):
        if random.random() < 0.2:
            wild = random.uniform(1.2 * LIMITS.lower_rad - 0.1, 1.2 * LIMITS.upper_rad + 0.1)
            request = wild if random.random() < 0.5 else at(random.uniform((0.3, -0.3, -0.1), (0.6, 0.3, 0.3)))
        before = limiter.setpoint
        command = limiter.command(request, before + random.normal(0.0, 0.05, 7))
        assert beyond_m(LIMITS.workspace, command.setpoint) <= ROUNDING_M
        assert np.all(np.abs(command.setpoint - before) <= LIMITS.command_rate_rad_s / 20.0 + 1e-9)
        moved += np.any(command.setpoint[:6] != before[:6])
    assert moved > 200


def test_it_is_where_it_is_told_to_be_and_keeps_what_it_holds_when_nobody_commands(twin):
    twin.data.joint("cube").qpos[:3] = 0.445, -0.145, CUBE_M / 2
    high, low = (GRID.cell(0, 0, low) for low in (False, True))
    for cell in (high, low):
        joints_rad = go(twin, at(cell.tool_m), 1.2)
        assert np.linalg.norm(kinematics.tool_position_m(joints_rad) - cell.tool_m) < 0.002
    # It turns to the fingers, which have it at a width of its edge.
    go(twin, at(low.tool_m, CLOSED_RAD), 1.0)
    joints_rad = go(twin, at(high.tool_m, CLOSED_RAD), 1.0)
    held_m = STROKE_M - 2 * FINGER_M_RAD * joints_rad[6]
    assert held_m == pytest.approx(CUBE_M, abs=0.006) and twin.cube_m[2] > 0.09
    twin.advance(3.0)
    np.testing.assert_allclose(twin.data.qpos[twin.position_at][:6], joints_rad[:6], atol=0.01)
    assert twin.cube_m[2] > 0.09
    go(twin, at(high.tool_m), 1.0)
    assert twin.cube_m[2] < 0.03


def test_its_camera_sees_in_which_tray_the_cube_is_and_when_it_is_in_none():
    with make_twin(camera=True) as twin:
        for (x_m, y_m), side in {
            (0.42, 0.16): "left",
            (0.50, -0.16): "right",
            (0.62, -0.1): None,
            (0.46, 0.27): None,
        }.items():
            twin.data.joint("cube").qpos[:3] = x_m, y_m, CUBE_M / 2
            twin.advance(0.2)
            picture = twin.read()[ABOVE]
            assert is_out_of_reach(TABLE, find_cube(picture)) == (side is None)
            assert side is None or side_of_cube(picture) == side


def test_a_scripted_teacher_places_and_the_gripper_knows(tmp_path, capsys):
    lesson = Lesson(Chosen("ur5e", None, seed=0), tmp_path / "shown", 1, as_json=True)
    assert demonstrate(lesson) == 0
    assert json.loads(capsys.readouterr().out)["returns"][0] > 80.0


def test_a_camera_that_it_does_not_have_is_refused():
    config = configure(robot="ur5e", task="pick_place", minutes=1.0, seed=0, overrides=["twin.extra_cameras=[wrist]"])
    with pytest.raises(UserError, match="no further camera for twin.extra_cameras; leave it out"):
        find_robot("ur5e").task("pick_place").make(config)
