"""The SO-101 picks a cube out of one tray and places it in the other one, by small motions of its tool.

Ten times a second the policy says how the tool is to move: forward, left, up, about the upright, and how the gripper is
to open or close. One thing alone is paid, a cube that has been placed, and with it the episode ends. Gripper and camera
say so, as they do in `pick_place`; nobody carries anything back, as the next episode begins at the other tray.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.contract.task import Ending, Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.arm.beginning import Beginning
from daydreamer.robots.arm.carrying import Carrying, Change
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.rates import GRASPS, PLACEMENTS, Recent
from daydreamer.robots.arm.sensed import sense, share, spaces
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import (
    CLOSED_RAD,
    CUBE_M,
    GRIPPER,
    JAWS_MIDDLE_M,
    JOINTS,
    OPEN_RAD,
    SO101,
    TRAY_X_M,
    TRAY_Y_M,
)
from daydreamer.robots.so101.embodiment import make_embodiment
from daydreamer.robots.so101.grip import Hold
from daydreamer.robots.so101.placing import PlacementRule, SeenAfterLettingGo, make_rule
from daydreamer.robots.so101.reach import YAW_RAD, slid, within_reach
from daydreamer.spec import RobotSpec, Space

CONTROL_RATE_HZ = 10.0
EPISODE_STEPS = 150

STEP_M, STEP_YAW_RAD, STEP_GRIPPER_RAD = 0.01, 0.15, 0.15
"""Largest motion in a step: of the tool along each axis, about the upright, and of the gripper. The guard lets the arm
follow all of them at once within the step."""

BEGIN_YAW_RAD = (YAW_RAD[0] + YAW_RAD[1]) / 2
BEGIN_OFF_M, BEGIN_HEIGHT_M = 0.02, (0.050, 0.065)
"""Where an episode begins: the jaws' middle is so far at most from that of the tray, forward and left, and so high."""

PLACED = 1.0

RECENT_EPISODES = 20

PLACES = Presentation(
    milestones=(
        Milestone(
            name="grasps",
            did="grasped the cube twice a minute",
            does="grasps the cube",
            quantity="info/grasps_per_minute",
            at_least=2.0,
            hold_s=60.0,
        ),
        Milestone(
            name="places",
            did="placed the cube in 10 of 20 episodes",
            does="places the cube",
            quantity="info/success_percent",
            at_least=50.0,
            hold_s=0.0,
        ),
        Milestone(
            name="places reliably",
            did="placed the cube in 18 of 20 episodes",
            does="places the cube reliably",
            quantity="info/success_percent",
            at_least=90.0,
            hold_s=0.0,
        ),
    ),
    figures=(
        Figure(
            quantity="info/success_percent",
            name="success",
            unit="%",
            source=f"what was paid in the last {RECENT_EPISODES} episodes",
            decimals=0,
            plot_range=(0.0, 100.0),
            level=Level(value=90.0, words="reliable"),
        ),
        PLACEMENTS,
        GRASPS,
    ),
    may_be_constant=("side", "waited"),
    verdict_minutes=15.0,
)


class PickPlaceFine(Task):
    """An arm over two trays, whose tool is moved in small steps.

    The policy sees `above`, what the arm senses of itself (`sensed.own_spaces`), `yaw`, in units of its range, and
    `waited`, see `PlacementRule`.

    Attributes:
      tool_m, yaw_rad: where the tool is `[3]`, and how it is turned, as of the newest observation.
      told_rad: `[6]`, what the arm has been told, likewise.
      holds: whether the gripper holds something.
    """

    presentation = PLACES
    operator_axes = ("left, right", "forward, back", "opens, closes", "up, down", "turns left, right")
    operator_stick = "rate"

    def __init__(self, seed: int, extra_cameras: Sequence[str] = (), rule: PlacementRule | None = None) -> None:
        """`seed` is of where episodes begin, `extra_cameras` as of `make_embodiment`, and `rule` says what is
        paid; None for gripper and camera.
        """
        self.embodiment = make_embodiment(extra_cameras)
        self.spec = RobotSpec(
            robot="so101",
            task="pick_place_fine",
            control_rate_hz=CONTROL_RATE_HZ,
            episode_steps=EPISODE_STEPS,
            joint_names=JOINTS,
            foot_names=(),
            observation=spaces(SO101, self.embodiment) | {"yaw": Space((1,)), "waited": Space((1,), low=0.0, high=1.0)},
            action=Space((5,), low=-1.0, high=1.0),
            reward_terms=("placed",),
            info=("grasps_per_minute", "placements_per_minute", "success_percent"),
        )
        self._random = np.random.default_rng(seed)
        self._recent = Recent(CONTROL_RATE_HZ)
        self._outcomes: collections.deque[bool] = collections.deque(maxlen=RECENT_EPISODES)
        self._carrying = Carrying()
        self._hold = Hold()
        self._rule = rule or SeenAfterLettingGo()
        self._beginning = Beginning(SO101, self._choose_begin, BEGIN_YAW_RAD)
        self.reset()

    @property
    def held_from(self) -> Side | None:
        """The tray that what it holds is from; None if it holds nothing."""
        return self._carrying.held_from

    def reset(self) -> None:
        """What it holds, if anything, counts for nothing, and neither does an episode that was broken off."""
        self.holds = self._in_episode = self._is_taken_over = False
        self._hold.forget()
        self._carrying.forget()
        self._rule.forget()

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        joints_rad = np.asarray(measurement[JOINT_POSITION], np.float64)
        self.tool_m, self.yaw_rad = kinematics.tool_position_m(joints_rad), kinematics.yaw_rad(joints_rad)
        self.told_rad = np.array(sent, np.float64)
        self.holds = self._hold.update(measurement, sent)
        grasp_m = self.tool_m + kinematics.jaw_direction(self.yaw_rad) * CUBE_M / 2
        side: Side = "left" if grasp_m[1] > 0.0 else "right"
        change = self._carrying.update(self.holds, side)
        placed = self._rule.is_placed(change, self.holds, side, measurement[ABOVE])
        ending: Ending | None = "success" if placed else None
        self._count(change, ending)
        over = side if _is_over_tray(grasp_m, side) else None
        observation = {
            **sense(SO101, self.embodiment, measurement, over, self.held_from),
            "yaw": share(np.array((self.yaw_rad,)), *np.array(YAW_RAD)),
            "waited": np.array((self._rule.waited,), np.float32),
        }
        reward = PLACED * (ending == "success")
        return TaskState(observation, reward, {"placed": reward}, self._told(), ending)

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        """What has been told is moved on from, not where the arm is: its servos give way, and it would sink."""
        step = np.clip(action, -1.0, 1.0).astype(np.float64)
        begin_m = kinematics.tool_position_m(sent)
        yaw_rad = float(np.clip(kinematics.yaw_rad(sent) + STEP_YAW_RAD * step[3], *YAW_RAD))
        tool_m = slid(begin_m, within_reach(begin_m + STEP_M * step[:3], yaw_rad), self.holds)
        joints_rad = kinematics.downwards(tool_m, yaw_rad)
        return np.array((*joints_rad, np.clip(sent[GRIPPER] + STEP_GRIPPER_RAD * step[4], CLOSED_RAD, OPEN_RAD)))

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            if self._in_episode:  # its time was up
                self._outcomes.append(False)
            self._in_episode = self._is_taken_over = False
            self._beginning.begin(measurement, self.holds, self._carrying.let_go_in)
        return self._beginning.setpoint(measurement, elapsed_s)

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: forward, back, left and right; right stick: up and down, and to its left the gripper opens;
        cross: sideways the tool turns.
        """
        left, forward, opens, up, turn, _ = np.clip(axes, -1.0, 1.0)
        return np.array((forward, left, up, turn, opens), np.float32)

    def taken_over(self) -> None:
        """See `Task.taken_over`."""
        self._is_taken_over = True

    def operator_note(self) -> str:
        return self._carrying.note

    def _count(self, change: Change, ending: Ending | None) -> None:
        self._in_episode = ending is None
        if ending is not None:
            self._outcomes.append(not self._is_taken_over)
        grasped, placed = change.grasped, ending == "success"
        self._recent.add(grasped and not self._is_taken_over, placed and not self._is_taken_over)

    def _told(self) -> dict[str, float]:
        grasps, placements = self._recent.per_minute()
        return {
            "grasps_per_minute": grasps,
            "placements_per_minute": placements,
            "success_percent": 100.0 * sum(self._outcomes) / RECENT_EPISODES,
        }

    def _choose_begin(self, side: Side) -> np.ndarray:
        """The tool, so that its open jaws are somewhere over a tray."""
        y_m = TRAY_Y_M[0 if side == "left" else 1]
        ahead_m, left_m = self._random.uniform(-BEGIN_OFF_M, BEGIN_OFF_M, 2)
        middle_m = np.array((np.mean(TRAY_X_M) + ahead_m, np.mean(y_m) + left_m, self._random.uniform(*BEGIN_HEIGHT_M)))
        tool_m = middle_m - JAWS_MIDDLE_M * kinematics.jaw_direction(BEGIN_YAW_RAD)
        return within_reach(tool_m, BEGIN_YAW_RAD)


def _is_over_tray(grasp_m: np.ndarray, side: Side) -> bool:
    """Whether what is grasped there `[3]` would fall onto the flat part of a tray, or nearly so."""
    low_m, high_m = TRAY_Y_M[0 if side == "left" else 1]
    return bool(low_m - CUBE_M / 2 < grasp_m[1] < high_m + CUBE_M / 2)


def make(config: SessionConfig) -> Task:
    """The task of a session.

    Raises:
      UserError: see `make_embodiment` and `make_rule`.
    """
    return PickPlaceFine(config.seed, config.twin.extra_cameras, make_rule(config))
