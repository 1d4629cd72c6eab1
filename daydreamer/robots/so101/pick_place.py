"""The SO-101 picks a cube out of one tray and places it in the other, and back: DayDreamer's condition for its arms.

Twice a second the policy chooses among six actions: 4 cm forward, back, left or right, the gripper, and down, or up
with something held. It sees a picture and its own joints. The reward is of the gripper alone: what it holds after
closing, drops, and carries over. Nobody tells it where the cube is, and nobody carries anything back.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.contract.task import Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.so101 import grip, kinematics
from daydreamer.robots.so101.cells import (
    ACTIONS,
    BACK,
    FORWARD,
    GRIP,
    HIGH_M,
    LEFT,
    LIFT,
    RIGHT,
    X_M,
    Y_M,
    Cell,
    Side,
    cells_over,
    nearest,
)
from daydreamer.robots.so101.constants import (
    CLOSED_RAD,
    CONTROL_RATE_HZ,
    EPISODE_STEPS,
    GRIPPER,
    JOINTS,
    LIMITS,
    OPEN_RAD,
    TOOL_LOWER_M,
    TOOL_UPPER_M,
)
from daydreamer.robots.so101.embodiment import ABOVE, EMBODIMENT
from daydreamer.robots.so101.sight import find_cube
from daydreamer.spec import RobotSpec, Space

GRASPED, DROPPED, PLACED = 1.0, -1.0, 10.0
"""As published: for something held after closing, let go in the same tray, and let go in the other one."""

RECENT_STEPS = 240
"""Of which rates are told: two minutes."""

NEAR_M, NEAR_OPENING = 0.012, 0.1
"""Of a place on the robot's own way to the next episode, that counts as reached."""
PATIENCE_S = 3.0
"""For each such place."""

PUBLISHED = 0.25
"""Mean reward per step of the published UR5 after 20,000 to 25,000 steps."""

PER_MINUTE = 60.0 * CONTROL_RATE_HZ / RECENT_STEPS

PICKS = Presentation(
    milestones=(
        Milestone(
            name="grasps",
            did="grasped the cube six times a minute",
            does="grasps the cube",
            quantity="info/grasps_per_minute",
            at_least=6.0,
            hold_s=60.0,
        ),
        Milestone(
            name="places",
            did="placed the cube once a minute",
            does="places the cube",
            quantity="info/placements_per_minute",
            at_least=1.0,
            hold_s=60.0,
        ),
        Milestone(
            name="picks and places",
            did="picked and placed as the published arm",
            does="picks and places",
            quantity="reward",
            at_least=PUBLISHED,
            hold_s=60.0,
            mean_s=300.0,
        ),
    ),
    reward_level=Level(value=PUBLISHED, words="as published"),
    figures=(
        Figure(
            quantity="info/placements_per_minute",
            name="placements per minute",
            short="placements a minute",
            source="the gripper",
            decimals=1,
            plot_range=(0.0, 10.0),
        ),
        Figure(
            quantity="info/grasps_per_minute",
            name="grasps per minute",
            short="grasps a minute",
            source="the gripper",
            decimals=1,
            plot_range=(0.0, 20.0),
        ),
        Figure(
            quantity="info/success_percent",
            name="success",
            unit="%",
            source="placements among closings of the gripper",
            decimals=0,
            plot_range=(0.0, 100.0),
            level=Level(value=80.0, words="reliable"),
        ),
    ),
    may_be_constant=("side", "tool"),
    verdict_minutes=45.0,
)


@dataclasses.dataclass(frozen=True)
class _Place:
    """Somewhere on the robot's own way to the next episode: where the tool is to be, and the gripper's angle."""

    tool_m: np.ndarray
    gripper_rad: float

    @property
    def setpoint(self) -> np.ndarray:
        return _setpoint(self.tool_m, self.gripper_rad)

    def is_reached(self, measurement: Measurement, holds: bool) -> bool:
        joints_rad = measurement[JOINT_POSITION]
        far_m = float(np.linalg.norm(kinematics.tool_position_m(joints_rad) - self.tool_m))
        turn = abs(float(joints_rad[GRIPPER]) - self.gripper_rad) / (OPEN_RAD - CLOSED_RAD)
        return far_m < NEAR_M and (holds or turn < NEAR_OPENING)


class PickPlace(Task):
    """An arm over two trays.

    The policy sees `above`, `joints` (in units of their ranges), `tool` (where it is in the workspace), `opening` (of
    the gripper), and `side`: over which tray the tool is (two numbers), and from which one it holds something, or none
    (three).

    Attributes:
      cell: where the tool is, as of the newest observation.
      closed: whether the gripper is told to be.
      held_from: the tray that what it holds is from; None if it holds nothing.
    """

    presentation = PICKS
    spec = RobotSpec(
        robot="so101",
        task="pick_place",
        control_rate_hz=CONTROL_RATE_HZ,
        episode_steps=EPISODE_STEPS,
        joint_names=JOINTS,
        foot_names=(),
        observation={
            ABOVE: Space((64, 64, 3), "uint8", 0, 255),
            "joints": Space((len(JOINTS),)),
            "tool": Space((3,)),
            "opening": Space((1,)),
            "side": Space((5,), low=0.0, high=1.0),
        },
        action=Space((), classes=ACTIONS),
        reward_terms=("grasped", "dropped", "placed"),
        info=("attempts_per_minute", "grasps_per_minute", "placements_per_minute", "success_percent"),
    )

    def __init__(self, seed: int) -> None:
        """`seed` is of the cells in which episodes begin."""
        self.embodiment = EMBODIMENT
        self._random = np.random.default_rng(seed)
        # Of each of the last steps, whether the gripper was closed, held something, and placed it.
        self._recent: collections.deque[tuple[bool, bool, bool]] = collections.deque(maxlen=RECENT_STEPS)
        self._cube_side: Side | None = None
        self._way: Iterator[_Place] = iter(())
        self._place: _Place | None = None
        self.reset()

    def reset(self) -> None:
        """What it holds, if anything, counts for nothing."""
        self.closed: bool | None = None
        self.held_from: Side | None = None
        self._closing = False

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        joints_rad = np.asarray(measurement[JOINT_POSITION], np.float64)
        tool_m = kinematics.tool_position_m(joints_rad)
        self.cell = nearest(tool_m)
        if self.closed is None:
            self.closed = grip.opening(measurement) < grip.HELD[1]
        terms = self._judge(self.closed and grip.holds(measurement))
        observation = {
            ABOVE: measurement[ABOVE],
            "joints": _share(joints_rad, LIMITS.lower_rad, LIMITS.upper_rad),
            "tool": _share(tool_m, TOOL_LOWER_M, TOOL_UPPER_M),
            "opening": np.array((2.0 * grip.opening(measurement) - 1.0,), np.float32),
            "side": self._sides(),
        }
        return TaskState(observation, sum(terms.values()), terms, self._rates())

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        choice = int(action)
        self._closing = False
        if choice == GRIP:
            self.closed = not self.closed
            self._closing = self.closed
        return self._target(self.cell.after(choice, self.held_from is not None))

    def _target(self, there: Cell) -> np.ndarray:
        return _setpoint(there.tool_m, CLOSED_RAD if self.closed else OPEN_RAD)

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            self._way = self._way_to_begin(measurement)
            self._place = next(self._way)
            self._since_s = 0.0
        holds = bool(self.closed) and grip.holds(measurement)
        while self._place is not None:
            if not self._place.is_reached(measurement, holds) and elapsed_s - self._since_s < PATIENCE_S:
                return self._place.setpoint
            self._place, self._since_s = next(self._way, None), elapsed_s
        self.closed = False
        return None

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: forward, back, left and right; right stick: up or down, and the gripper. At rest, forward, which
        ends at the trays' far side: there is no action that does nothing.
        """
        left, forward, turn, up = axes.tolist()
        choices = {FORWARD: forward, BACK: -forward, LEFT: left, RIGHT: -left, GRIP: abs(turn), LIFT: abs(up)}
        return np.asarray(max(choices, key=lambda choice: choices[choice]), np.int32)

    def _judge(self, holds: bool) -> dict[str, float]:
        """The reward of what the gripper holds now, and did not before, or the other way round."""
        side = self.cell.side
        grasped = holds and self.held_from is None
        lost = not holds and self.held_from is not None
        placed = lost and self.held_from != side
        if grasped:
            self.held_from = side
        elif lost:
            self.held_from, self._cube_side = None, side
        self._recent.append((self._closing, grasped, placed))
        return {
            "grasped": GRASPED * grasped,
            "dropped": DROPPED * (lost and not placed),
            "placed": PLACED * placed,
        }

    def _rates(self) -> dict[str, float]:
        attempts, grasps, placements = (sum(column) for column in zip(*self._recent, strict=True))
        return {
            "attempts_per_minute": PER_MINUTE * attempts,
            "grasps_per_minute": PER_MINUTE * grasps,
            "placements_per_minute": PER_MINUTE * placements,
            "success_percent": 100.0 * min(1.0, placements / max(1, attempts)),
        }

    def _sides(self) -> np.ndarray:
        held = self.held_from
        over = self.cell.over_tray
        flags = (over and self.cell.side == "left", over and self.cell.side == "right")
        return np.array((*flags, held == "left", held == "right", held is None), np.float32)

    def _way_to_begin(self, measurement: Measurement) -> Iterator[_Place]:
        """Up, over to the cube's tray, where it opens, and on to a cell at random.

        The published arm swept the corners of its bins; here the trays' sides slope.
        """
        tool_m = kinematics.tool_position_m(measurement[JOINT_POSITION])
        begin = nearest(tool_m)
        gripper_rad = CLOSED_RAD if self.closed else OPEN_RAD
        above_m = np.array((*np.clip(tool_m[:2], (X_M[0], Y_M[0]), (X_M[-1], Y_M[-1])), HIGH_M))
        side = begin.side if self.closed and grip.holds(measurement) else self._side_of_cube(measurement, begin)
        cells = cells_over(side)
        middle_m = np.mean([cell.tool_m for cell in cells], axis=0)
        yield _Place(above_m, gripper_rad)
        yield _Place(middle_m, gripper_rad)
        yield _Place(middle_m, OPEN_RAD)
        self.closed = False
        yield _Place(cells[self._random.integers(len(cells))].tool_m, OPEN_RAD)

    def _side_of_cube(self, measurement: Measurement, cell: Cell) -> Side:
        """By its picture, in which left and right are exchanged; where it is hidden, where it was let go."""
        found = find_cube(measurement[ABOVE])
        if found is not None:
            return "left" if found[0] > 0.5 else "right"
        return self._cube_side or cell.side


def _setpoint(tool_m: np.ndarray, gripper_rad: float) -> np.ndarray:
    return np.array((*kinematics.downwards(tool_m), gripper_rad))


def _share(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Of ranges, from -1 to 1."""
    return (2.0 * (values - lower) / (upper - lower) - 1.0).astype(np.float32)


def make(config: SessionConfig) -> Task:
    """The task of a session."""
    return PickPlace(config.seed)
