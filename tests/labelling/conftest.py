"""A session of the SO-101 whose pictures are the real twin's, and what is true of each."""

import contextlib
import math

import numpy as np
import pytest

from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import CAMERA_PERIOD_S, CUBE_M, OPEN_RAD, TRAY_X_M, TRAY_Y_M
from daydreamer.robots.so101.pick_place_fine import BEGIN_YAW_RAD
from daydreamer.robots.so101.reach import within_reach
from daydreamer.session.labels import write_labels
from daydreamer.session.new import configure, new_session

EPISODES, STEPS = 32, 14
SUCCESSES = 7
"""Of an episode, at its end, if it succeeds; every other one does."""
HELD_RAD = 0.5


class Table:
    """Puts arm and cube somewhere, and has the twin's camera look at them."""

    def __init__(self, twin, seed):
        self._twin, self._random = twin, np.random.default_rng(seed)

    def lying(self, side):
        """Where a cube lies in a tray, turned anyhow."""
        margin_m = CUBE_M / 2 + 0.01
        x_m = self._random.uniform(TRAY_X_M[0] + margin_m, TRAY_X_M[1] - margin_m)
        y_m = self._random.uniform(TRAY_Y_M[side][0] + margin_m, TRAY_Y_M[side][1] - margin_m)
        return np.array((x_m, y_m, CUBE_M / 2, self._random.uniform(-math.pi, math.pi)))

    def tool_m(self, side, low_m=0.03):
        """Somewhere over a tray, or in it."""
        middle_m = np.array((np.mean(TRAY_X_M), np.mean(TRAY_Y_M[side]) - 0.02, 0.0))
        high_m = (*self._random.uniform(-0.008, 0.008, 2), self._random.uniform(low_m, 0.065))
        return within_reach(middle_m + high_m, BEGIN_YAW_RAD)

    def picture(self, tool_m, cube=None):
        """With the cube there, or in the gripper."""
        data = self._twin.data
        if cube is None:
            cube = np.array((*(tool_m + kinematics.jaw_direction(BEGIN_YAW_RAD) * CUBE_M / 2), BEGIN_YAW_RAD))
            gripper_rad = HELD_RAD
        else:
            gripper_rad = OPEN_RAD
        joints_rad = np.array((*kinematics.downwards(tool_m, BEGIN_YAW_RAD), gripper_rad))
        self._twin.place_joints(joints_rad)
        data.qvel[:] = 0.0
        data.joint("cube").qpos[:] = (*cube[:3], math.cos(cube[3] / 2), 0.0, 0.0, math.sin(cube[3] / 2))
        self._twin.command(joints_rad)
        self._twin.advance(CAMERA_PERIOD_S)
        return self._twin.read()[ABOVE]

    def episode(self, side, succeeds):
        """Pictures of an episode that begins over a tray, and whether the cube lies in the other one in them."""
        begin = self.lying(side)
        yield self.picture(self.tool_m(side, 0.05), begin), False
        carried = STEPS - 1 - SUCCESSES if succeeds else self._random.integers(2, STEPS - 1)
        for step in range(1, STEPS):
            if step <= carried // 2:
                yield self.picture(self.tool_m(side), begin), False
            elif step <= carried:
                yield self.picture(self.tool_m(side, 0.05) * (1.0, step % 2, 1.0)), False  # over the ridge, or before
            else:
                end = self.lying(1 - side if succeeds else side)
                over = 1 - side if succeeds else self._random.integers(2)
                yield self.picture(self.tool_m(over, 0.055), end), succeeds


def step_of(spec, number, picture, is_first, is_last):
    observation = {key: space.zeros() for key, space in spec.observation.items()} | {ABOVE: picture}
    return Step(
        actor_life=1,
        sequence=number,
        monotonic_ns=number,
        wall_ns=number,
        observation=observation,
        action_requested=np.zeros(5, np.float32),
        action_sent=np.zeros(6, np.float32),
        reward=0.0,
        reward_terms={"placed": 0.0},
        info=dict.fromkeys(spec.info, 0.0),
        is_first=is_first,
        is_last=is_last,
        is_terminal=False,
        policy_version=0,
        intervention=False,
        safety_flags=0,
        latency_s=0.0,
    )


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """A session, all of whose pictures are labelled by what is true in the twin."""
    config = configure(robot="so101", task="pick_place_fine", minutes=1.0, seed=0)
    session, spec = new_session(tmp_path_factory.mktemp("labelled") / "session", config), make_task(config).spec
    labels, number = {}, 0
    with (
        contextlib.closing(find_robot("so101").make_twin(config.twin, 0)) as twin,
        ExperienceWriter(session.experience, spec, 1, 60.0) as writer,
    ):
        table = Table(twin, 0)
        for episode in range(EPISODES):
            for index, (picture, success) in enumerate(table.episode(episode // 2 % 2, episode % 2 == 0)):
                writer.append(step_of(spec, number, picture, index == 0, index == STEPS - 1))
                labels[1, number] = success
                number += 1
    write_labels(session, ABOVE, labels)
    return session
