"""An arm picks a cube out of one tray and places it in the other, and back: DayDreamer's condition for its arms.

Twice a second the policy chooses among six actions: 4 cm forward, back, left or right, the gripper, and down, or up
with something held. It sees a picture and its own joints. The reward is of the gripper alone: what it holds after
closing, drops, and carries over. Nobody tells it where the cube is, and nobody carries anything back.

As with the published UR5 (Wu et al. 2022, danijar/daydreamer, embodied/envs/ur5.py), three things happen by themselves:
what has been grasped is lifted, one action carries it all the way over the ridge, and there it is let go.
"""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import JOINT_POSITION, Measurement
from daydreamer.contract.task import OPERATOR_PUSHED, Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.arm import grip
from daydreamer.robots.arm.beginning import Beginning
from daydreamer.robots.arm.carrying import Carrying
from daydreamer.robots.arm.cells import ACTIONS, BACK, FORWARD, GRIP, LEFT, LIFT, RIGHT, Side
from daydreamer.robots.arm.description import Arm
from daydreamer.robots.arm.rates import GRASPS, PLACEMENTS, Recent
from daydreamer.robots.arm.sensed import sense, spaces
from daydreamer.spec import RobotSpec, Space

CONTROL_RATE_HZ = 2.0
EPISODE_STEPS = 100
"""As published."""

GRASPED, DROPPED, PLACED = 1.0, -1.0, 10.0
"""As published: for something held after closing, let go in the same tray, and let go in the other one."""

PUBLISHED = 0.25
"""Mean reward per step of the published UR5 after 20,000 to 25,000 steps."""

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
        PLACEMENTS,
        GRASPS,
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


class ArmPickPlace(Task):
    """An arm over two trays.

    The policy sees `above`, `joints` (in units of their ranges), `tool` (where it is in the workspace), `opening` (of
    the gripper), and `side`: over which tray the tool is (two numbers), and from which one it holds something, or none
    (three).

    Attributes:
      arm: that does it.
      cell: where the tool is, as of the newest observation.
      closed: whether the gripper is told to be.
    """

    presentation = PICKS
    operator_axes = ("left, right", "forward, back", "gripper", "down, or up with something held")
    operator_stick = "rate"

    def __init__(self, arm: Arm, embodiment: Embodiment, seed: int) -> None:
        """`seed` is of the cells in which episodes begin."""
        self.arm = arm
        self.embodiment = embodiment
        self.spec = RobotSpec(
            robot=arm.name,
            task="pick_place",
            control_rate_hz=CONTROL_RATE_HZ,
            episode_steps=EPISODE_STEPS,
            joint_names=arm.joints,
            foot_names=(),
            observation=spaces(arm, embodiment),
            action=Space((), classes=ACTIONS),
            reward_terms=("grasped", "dropped", "placed"),
            info=("attempts_per_minute", "grasps_per_minute", "placements_per_minute", "success_percent"),
        )
        self._random = np.random.default_rng(seed)
        self._recent = Recent(CONTROL_RATE_HZ)
        self._carrying = Carrying()
        self._beginning = Beginning(arm, self._choose_begin)
        self.cell = arm.grid.nearest(arm.tool_position_m(embodiment.poses["ready"]))
        self.reset()

    @property
    def held_from(self) -> Side | None:
        """The tray that what it holds is from; None if it holds nothing."""
        return self._carrying.held_from

    def reset(self) -> None:
        """What it holds, if anything, counts for nothing."""
        self.closed: bool | None = None
        self._carrying.forget()
        self._closing = self._is_taken_over = False

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        arm = self.arm
        self.cell = arm.grid.nearest(arm.tool_position_m(measurement[JOINT_POSITION]))
        if self.closed is None:
            self.closed = grip.opening(arm, measurement) < grip.HELD[1]
        terms = self._judge(self.closed and grip.holds(arm, measurement))
        over = self.cell.side if self.cell.over_tray else None
        observation = sense(arm, self.embodiment, measurement, over, self.held_from)
        return TaskState(observation, sum(terms.values()), terms, self._rates())

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        choice, held_from = int(action), self.held_from
        self._closing = False
        if held_from is not None and self.cell.over_tray and self.cell.side != held_from:
            self.closed, there = False, self.cell
        else:
            there = self.cell.after(choice, held_from)
            if choice == GRIP and there == self.cell:  # nothing lets go on its way over the ridge
                self.closed = not self.closed
                self._closing = self.closed
        gripper_rad = self.arm.closed_rad if self.closed else self.arm.open_rad
        return np.array((*self.arm.downwards(there.tool_m, 0.0), gripper_rad))

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            self._is_taken_over = False
            self._beginning.begin(measurement, bool(self.closed), self._carrying.let_go_in)
        setpoint = self._beginning.setpoint(measurement, elapsed_s)
        if setpoint is None:
            self.closed = False
        return setpoint

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: forward, back, left and right; right stick: up or down, and the gripper. At rest the arm
        stays, by a move that leads out of the trays: there is no action that does nothing. What it holds is lifted.
        """
        left, forward, turn, up = axes[:4].tolist()
        if max(map(abs, (left, forward, turn, up))) < OPERATOR_PUSHED:
            nowhere = FORWARD if self.cell.after(FORWARD, None) == self.cell else BACK
            return np.asarray(nowhere, np.int32)
        choices = {FORWARD: forward, BACK: -forward, LEFT: left, RIGHT: -left, GRIP: abs(turn), LIFT: abs(up)}
        return np.asarray(max(choices, key=lambda choice: choices[choice]), np.int32)

    def taken_over(self) -> None:
        """See `Task.taken_over`."""
        self._is_taken_over = True

    def operator_note(self) -> str:
        return self._carrying.note

    def _judge(self, holds: bool) -> dict[str, float]:
        """The reward of what the gripper holds now, and did not before, or the other way round."""
        change = self._carrying.update(holds, self.cell.side)
        happened = (self._closing, change.grasped, change.carried_over)
        self._recent.add(*(each and not self._is_taken_over for each in happened))
        return {
            "grasped": GRASPED * change.grasped,
            "dropped": DROPPED * (change.lost and not change.carried_over),
            "placed": PLACED * change.carried_over,
        }

    def _rates(self) -> dict[str, float]:
        closings, _, placed = self._recent.counts()
        attempts, grasps, placements = self._recent.per_minute()
        return {
            "attempts_per_minute": attempts,
            "grasps_per_minute": grasps,
            "placements_per_minute": placements,
            "success_percent": 100.0 * min(1.0, placed / max(1, closings)),
        }

    def _choose_begin(self, side: Side) -> np.ndarray:
        """The tool in one of the cells over a tray."""
        cells = self.arm.grid.cells_over(side)
        return cells[self._random.integers(len(cells))].tool_m
