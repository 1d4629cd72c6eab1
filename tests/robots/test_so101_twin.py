"""The SO-101's twin: where it is told to be, what it picks, how it lies down, and what the supervisor makes of it."""

import contextlib

import msgspec
import mujoco
import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.contract.signals import JOINT_EFFORT, JOINT_POSITION, TEMPERATURE
from daydreamer.errors import UserError
from daydreamer.robots.arm.cells import SIDES
from daydreamer.robots.arm.sight import ABOVE, find_cube, is_out_of_reach
from daydreamer.robots.arm.teacher import PickPlaceTeacher
from daydreamer.robots.registry import find_robot
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import (
    COUNT_RAD,
    EASED_TORQUE_N_M,
    GRID,
    GRIPPER_TORQUE_N_M,
    JOINTS,
    OPEN_RAD,
    READY_RAD,
    REST_RAD,
    TABLE,
)
from daydreamer.robots.so101.embodiment import WRIST
from daydreamer.robots.so101.fine_teacher import FineTeacher
from daydreamer.robots.so101.pick_place import PickPlace
from daydreamer.robots.so101.pick_place_fine import PickPlaceFine
from daydreamer.session.new import configure

Cell = GRID.cell
BLACK = np.zeros((64, 64, 3), np.uint8)


@contextlib.contextmanager
def make_twin(seed=0, **overrides):
    config = configure(
        robot="so101",
        task="pick_place",
        minutes=1.0,
        seed=seed,
        overrides=[f"twin.{name}={value}" for name, value in overrides.items()],
    )
    with contextlib.closing(find_robot("so101").make_twin(config.twin, seed)) as twin:
        yield twin


@pytest.fixture
def twin():
    with make_twin(camera="false") as twin:
        yield twin


def hold(twin, setpoint_rad, seconds):
    for _ in range(round(seconds / 0.05)):
        twin.command(setpoint_rad)
        twin.advance(0.05)
    return twin.data.qpos[twin.position_at]


def above_table(cell, gripper_rad=OPEN_RAD):
    return np.array((*kinematics.downwards(cell.tool_m), gripper_rad))


def test_its_kinematics_are_those_of_the_model(twin):
    jaws = [twin.model.geom(name).id for name in ("fixed_pad_1", "fixed_pad_2")]
    random = np.random.default_rng(0)
    for joints_rad in random.uniform(-1.2, 1.2, (20, 6)):
        twin.reset(seed=0)
        twin.place_joints(joints_rad)
        mujoco.mj_forward(twin.model, twin.data)
        gripper = twin.data.body("gripper")
        tool_m = gripper.xpos + gripper.xmat.reshape(3, 3) @ (-0.0079, -0.000218121, -0.0981274)
        np.testing.assert_allclose(kinematics.tool_position_m(joints_rad), tool_m, atol=2e-6)
        assert np.linalg.norm(twin.data.geom_xpos[jaws[0]] - tool_m) < 0.005
        points_m = kinematics.points_m(joints_rad)
        for name, point_m in zip(("lower_arm", "wrist"), points_m[3:], strict=False):
            beside_m = 0.0182778 * np.array((np.sin(joints_rad[0]), np.cos(joints_rad[0]), 0.0))
            np.testing.assert_allclose(point_m - beside_m, twin.data.body(name).xpos, atol=2e-6)


def test_it_is_where_it_is_told_to_be_but_for_its_play(twin):
    for cell in (Cell(0, 0, True), Cell(1, 5, False)):
        hold(twin, above_table(Cell(cell.x, cell.y, False)), 1.0)
        told_m = kinematics.tool_position_m(above_table(cell))
        tool_m = kinematics.tool_position_m(hold(twin, above_table(cell), 1.5))
        assert np.linalg.norm(tool_m - told_m) < 0.006
    counted = twin.read()[JOINT_POSITION] / COUNT_RAD
    np.testing.assert_allclose(counted, np.round(counted), atol=1e-6)


@pytest.mark.parametrize("cell", [cell for side in SIDES for cell in GRID.cells_over(side)[::3]], ids=str)
def test_it_lies_down_before_it_lets_go(twin, cell):
    hold(twin, above_table(cell), 1.0)
    hold(twin, above_table(Cell(cell.x, cell.y, True)), 1.0)
    twin.command(None)
    twin.advance(0.5)
    assert np.abs(twin.data.actuator_force).max() > 0.1  # it is carried still
    lowest_m, hardest_n_m = 1.0, 0.0
    for _ in range(160):
        twin.advance(0.05)
        tool_m = kinematics.tool_position_m(twin.data.qpos[twin.position_at])
        lowest_m = min(lowest_m, tool_m[2])
        hardest_n_m = max(hardest_n_m, np.abs(twin.data.actuator_force).max())
    assert not twin.data.actuator_force.any() and lowest_m > 0.005 and hardest_n_m < 1.5
    np.testing.assert_allclose(twin.data.qpos[twin.position_at][:5], REST_RAD[:5], atol=0.1)


def test_an_arm_that_nobody_has_commanded_is_left_alone_and_a_silence_lays_it_down(twin):
    twin.reset("at_rest")
    twin.advance(1.0)
    assert not twin.data.actuator_force.any()
    twin.reset("ready")
    twin.command(READY_RAD)
    twin.advance(9.0)
    np.testing.assert_allclose(twin.data.qpos[twin.position_at][:5], REST_RAD[:5], atol=0.1)


@pytest.mark.parametrize("strength", [1.0, 0.88513])  # of which a rounded quotient was a little less than it should be
def test_a_gripper_on_a_rigid_bar_presses_no_harder_than_it_may_and_warms_a_little(twin, strength):
    twin.driver.strength[:] = strength
    twin.model.jnt_range[twin.model.joint("gripper").id] = (0.3, 1.7)  # as if a bar were in it
    closed_rad = above_table(Cell(0, 4, False), -0.16)
    hold(twin, closed_rad, 2.0)
    assert abs(twin.read()[JOINT_EFFORT][5]) == pytest.approx(strength * GRIPPER_TORQUE_N_M, abs=0.1)
    hold(twin, closed_rad, 8.0)
    signals = twin.read()
    assert abs(signals[JOINT_EFFORT][5]) == pytest.approx(strength * EASED_TORQUE_N_M, abs=0.1)
    assert 25.2 < signals[TEMPERATURE] < 26.5
    # What it held is gone: it closes on the next thing with all it may.
    twin.model.jnt_range[twin.model.joint("gripper").id] = (0.0, 1.7)
    hold(twin, closed_rad, 1.0)
    assert abs(twin.read()[JOINT_EFFORT][5]) == pytest.approx(strength * GRIPPER_TORQUE_N_M, abs=0.1)


@pytest.mark.parametrize("joint", ["shoulder_pan", "elbow_flex"])
def test_a_joint_that_is_blocked_is_no_longer_pressed(joint):
    class Told(PickPlace):
        def setpoint(self, action, measurement, sent):
            return wanted_rad

        def restart(self, measurement, elapsed_s):
            return None

    wanted_rad = READY_RAD.copy()
    with make_twin() as twin:
        loop = Loop(twin, None, safety=True, task=Told(seed=0))
        while loop.loop.supervisor.state != "running":
            loop.run(0.1)
        number = JOINTS.index(joint)
        at_rad = twin.data.qpos[twin.position_at][number]
        twin.model.jnt_range[twin.model.joint(joint).id] = at_rad - 0.001, at_rad + 0.001
        wanted_rad[number] -= 0.25
        loop.run(2.5)
        assert loop.raised == [f"{joint} is stalled"] and loop.loop.supervisor.state == "damping"
        hardest_n_m = 0.0
        for _ in range(6):
            loop.run(0.2)
            hardest_n_m = max(hardest_n_m, abs(twin.data.actuator_force[number]))
        assert hardest_n_m < 1.3


class Loop:
    """The control loop over a twin, in simulated time; on hardware's settings if it is watched."""

    def __init__(self, twin, choose, safety=False, task=None):
        config = configure(robot="so101", task="pick_place", body="hardware", minutes=1.0, seed=0)
        self.twin, self.steps, self.raised = twin, [], []
        self.task = task or PickPlace(seed=0)
        self.change = lambda measurement: None
        self.loop = ControlLoop(
            self.task,
            msgspec.structs.replace(config.actor, random_s=1e6),
            self,
            actor_life=1,
            seed=0,
            safety=msgspec.structs.replace(config.safety, learner_silent_s=1e4) if safety else None,
            clock=lambda: twin.time_s,
            on_event=lambda kind, **fields: kind == "watchdog" and self.raised.append(str(fields.get("subject"))),
        )
        if choose is not None:
            self.loop._behavior = self
            self._choose = choose
        if safety:
            self.loop.supervisor.activate("test")

    def choose(self, reward, env_steps, has_policy):
        return self._choose(self.task)

    def append(self, step):
        self.steps.append(step)

    def run(self, seconds):
        for _ in range(round(seconds / self.loop.tick_period_s)):
            measurement = self.twin.measure()
            self.change(measurement)
            command = self.loop.step(measurement, self.twin.time_s)
            if command is not None:
                self.twin.command(None if command.relaxes else command.setpoint)
            self.twin.advance(self.loop.tick_period_s)


def test_a_scripted_teacher_picks_and_places_and_the_gripper_knows():
    with make_twin() as twin:
        teacher = []
        loop = Loop(twin, lambda task: teacher[0].action())
        teacher.append(PickPlaceTeacher(loop.task, twin))
        sides = []
        for _ in range(40):
            loop.run(0.5)
            sides.append(np.sign(twin.cube_m[1]) if twin.cube_m[2] < 0.02 else 0.0)
        crossings = np.count_nonzero(np.diff([side for side in sides if side]))
        placed = sum(step.reward_terms["placed"] > 0 for step in loop.steps)
        assert placed >= 3 and abs(placed - crossings) <= 1
        assert sum(step.reward for step in loop.steps) >= 33


def test_a_scripted_teacher_places_by_small_motions_from_either_tray():
    with make_twin() as twin:
        task = PickPlaceFine(seed=0)
        loop = Loop(twin, None, task=task)
        teacher = FineTeacher(task, twin)
        loop.loop.intervene(lambda state: teacher.action())
        sides = [np.sign(twin.cube_m[1])]
        while len(sides) < 4 and twin.time_s < 60.0:
            steps = len(loop.steps)
            loop.run(0.1)
            if any(step.is_terminal for step in loop.steps[steps:]):
                sides.append(np.sign(twin.cube_m[1]))
        assert sides[1:] == [-side for side in sides[:-1]]
        assert sum(step.reward for step in loop.steps) == 3.0 and len(loop.steps) < 200


def test_the_camera_sees_the_cube_on_the_side_where_it_is():
    with make_twin(seed=3, initial_state="at_rest") as twin:
        for _ in range(3):
            twin.reset("at_rest")
            right, _ = find_cube(twin.read()[ABOVE])
            assert (right > 0.5) == (twin.cube_m[1] > 0)
        for x_m, y_m, reached in ((0.169, 0.113, True), (0.211, -0.113, True), (0.28, 0.0, False), (0.19, 0.19, False)):
            twin.data.joint("cube").qpos[:2] = x_m, y_m
            twin.advance(0.2)
            assert is_out_of_reach(TABLE, find_cube(twin.read()[ABOVE])) != reached


@pytest.mark.parametrize(("attended_s", "put_back"), [(2.0, 1), (0.0, 0)])
def test_a_cube_that_is_lost_is_put_back_after_a_while_if_somebody_is_there(attended_s, put_back):
    with make_twin(camera="false", attended_s=attended_s) as twin:
        for y_m, seconds in ((0.14, 3.0), (0.20, 1.9)):  # on a side of its tray, and beyond it
            twin.data.joint("cube").qpos[:3] = 0.19, y_m, 0.04
            for _ in range(round(seconds / 0.1)):
                twin.advance(0.1)
                twin.read()
            assert twin.put_back == 0
        lost_m = twin.cube_m
        for _ in range(2):
            twin.advance(0.1)
            twin.read()
        assert twin.put_back == put_back
        lost = np.allclose(twin.cube_m, lost_m, atol=1e-3)
        assert lost == (not put_back)


def test_a_cube_that_the_arm_does_not_get_hold_of_is_laid_elsewhere_in_time():
    with make_twin(camera="false", attended_s=2.0) as twin:

        def wait(seconds, moves=True):
            for _ in range(round(seconds / 0.1)):
                twin.advance(0.1)
                twin.data.qvel[twin.velocity_at] = 0.2 * moves
                twin.read()

        wait(3.8)
        twin.data.joint("cube").qpos[1] += 0.01  # a push: the time begins anew
        wait(3.8)
        wait(9.0, moves=False)  # as while a robot is paused
        lay_m = twin.cube_m
        assert twin.put_back == 0
        wait(0.6)
        assert twin.put_back == 1 and not np.allclose(twin.cube_m, lay_m, atol=0.005)
        wait(3.6)
        assert twin.put_back == 1


def test_a_camera_on_the_wrist_is_seen_and_watched_if_it_is_wanted():
    with make_twin(extra_cameras="[wrist]") as twin:
        task = PickPlaceFine(0, ("wrist",))
        tool_m = twin.cube_m * (1, 1, 0) + (0.0, -0.0325, 0.06)
        hold(twin, np.array((*kinematics.downwards(tool_m), OPEN_RAD)), 2.0)
        measurement = twin.measure()
        state = task.observe(measurement, measurement[JOINT_POSITION])
        assert find_cube(state.observation[WRIST])[0] == pytest.approx(0.6, abs=0.2)
        assert list(state.observation) == list(task.spec.observation) and task.spec != PickPlaceFine(0).spec
        assert len(task.embodiment.make_checks(None)) == 4
    with (
        pytest.raises(UserError, match=r"no camera 'front' for twin.extra_cameras; it has wrist"),
        make_twin(extra_cameras="[front]"),
    ):
        pass
    with pytest.raises(UserError, match=r"no camera 'front' for twin.extra_cameras; choose \[wrist\]"):
        PickPlaceFine(0, ("front",))


def dark(measurement):
    measurement[ABOVE] = BLACK


def presses(measurement):
    measurement[JOINT_EFFORT] = np.array((0.1, 0.1, 2.5, 0.1, 0.1, 0.1))
    measurement["joint_velocity_rad_s"] = np.zeros(6)


@pytest.mark.parametrize("change, said", [(dark, "are black"), (presses, "elbow_flex is stalled")])
def test_what_cannot_go_on_lays_it_down_and_it_goes_on_by_itself(change, said):
    with make_twin(initial_state="at_rest") as twin:
        loop = Loop(twin, None, safety=True)
        loop.run(9.0)  # out of its rest, and to a cell
        assert loop.steps and not loop.raised
        steps, loop.change = len(loop.steps), change
        loop.run(9.0)
        assert any(said in each for each in loop.raised) and len(loop.steps) <= steps + 6
        np.testing.assert_allclose(twin.data.qpos[twin.position_at][:5], REST_RAD[:5], atol=0.1)
        steps, loop.change = len(loop.steps), lambda measurement: None
        loop.run(11.0)
        assert len(loop.steps) > steps
