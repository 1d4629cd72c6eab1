"""DayDreamer's condition for a robot on wheels, to compare with its published curve.

A camera looks down on an arena; its picture is all that the policy sees, twice a second. It runs two motors, and is
paid by how far the robot is from a fixed place in the arena, which is drawn nowhere. After 100 steps random kicks move
the robot, and it goes on. Its place is taken from the same picture, as they did.
"""

from __future__ import annotations

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.burger.constants import (
    ABOVE_STALE_S,
    GOAL,
    TWIST_OF_WHEELS,
    WHEEL_JOINTS,
    WHEEL_SPEED_RAD_S,
)
from daydreamer.robots.burger.departure import Kicks
from daydreamer.robots.burger.embodiment import ABOVE, make_embodiment
from daydreamer.robots.burger.sight import find_robot
from daydreamer.spec import RobotSpec, Space

CONTROL_RATE_HZ = 2.0
EPISODE_STEPS = 100

EMBODIMENT = make_embodiment(ABOVE, ABOVE_STALE_S)

PLATEAU = -0.3
"""Mean reward per step about which the published curve settles after 5,000 steps."""

DISTANCE = "info/goal_distance"

NEARS = Presentation(
    milestones=(
        Milestone(
            name="stays near",
            did="stayed near its goal",
            does="stays near its goal",
            quantity="reward",
            at_least=PLATEAU,
            hold_s=50.0,
            mean_s=100.0,
        ),
    ),
    reward_range=(-1.2, 0.0),
    reward_level=Level(value=PLATEAU, words="as published"),
    figures=(
        Figure(
            quantity=DISTANCE,
            name="distance to the goal",
            short="to the goal",
            unit="of the arena",
            source="the camera above",
            plot_range=(0.0, 1.2),
        ),
    ),
    verdict_minutes=45.0,
)


class ReachFromAbove(Task):
    """A Burger in an arena, seen from above. The policy sees `above`."""

    presentation = NEARS
    operator_stick = "rate"
    spec = RobotSpec(
        robot="burger",
        task="reach_from_above",
        control_rate_hz=CONTROL_RATE_HZ,
        episode_steps=EPISODE_STEPS,
        joint_names=WHEEL_JOINTS,
        foot_names=(),
        setpoint_names=EMBODIMENT.setpoint_names,
        observation={ABOVE: Space((64, 64, 3), "uint8", 0, 255)},
        action=Space((2,), low=-1.0, high=1.0),
        reward_terms=("nearness",),
        info=("goal_distance",),
    )

    def __init__(self, seed: int) -> None:
        """`seed` is of the kicks."""
        self.embodiment = EMBODIMENT
        self._kicks = Kicks(np.random.default_rng(seed))
        self._place = np.full(2, 0.5)

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        picture = measurement[ABOVE]
        found = find_robot(picture)
        if found is not None:  # otherwise where it was seen last
            self._place = found
        distance = float(np.linalg.norm(self._place - GOAL))
        return TaskState({ABOVE: picture}, -distance, {"nearness": -distance}, {"goal_distance": distance})

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        return TWIST_OF_WHEELS @ (WHEEL_SPEED_RAD_S * np.clip(action, -1.0, 1.0).astype(np.float64))

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            self._kicks.begin()
        return self._kicks.setpoint(elapsed_s)

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: drives, and turns. See `Task.operator_action`."""
        left, forward = np.clip(axes[:2], -1.0, 1.0)
        return np.clip((forward - left, forward + left), -1.0, 1.0).astype(np.float32)


def make(config: SessionConfig) -> Task:
    """The task of a session."""
    return ReachFromAbove(config.seed)
