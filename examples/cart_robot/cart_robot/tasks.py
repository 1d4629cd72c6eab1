"""The cart drives up to a red post: by its camera's pictures, or by what a few lines find in them.

The robot learns where it is: nobody carries it back. An episode ends at the post, at a wall, or by its time, and before
the next one the cart backs off and turns away by itself.
"""

from __future__ import annotations

import collections
import math
from typing import Any

import numpy as np

from cart_robot.blob import find_post
from cart_robot.constants import CAMERA_STALE_S, LIMITS
from daydreamer.config import SessionConfig
from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    ODOMETRY_TWIST,
    Measurement,
    camera_signal,
    imu_signals,
    odometry_signals,
)
from daydreamer.contract.task import Ending, Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.registry import TaskEntry
from daydreamer.safety.twist_limiter import TwistLimiter
from daydreamer.spec import RobotSpec, Space

CONTROL_RATE_HZ = 5.0
EPISODE_STEPS = 50

EMBODIMENT = Embodiment(
    name="cart",
    signals={
        ODOMETRY_TWIST: odometry_signals()[ODOMETRY_TWIST],
        ANGULAR_VELOCITY: imu_signals()[ANGULAR_VELOCITY],
        CAMERA: camera_signal(stale_s=CAMERA_STALE_S),
    },
    setpoint_kind="twist",
    setpoint_names=("forward", "turn"),
    limits=LIMITS,
    make_guard=TwistLimiter,
)

DRIVE_M_S, TURN_RAD_S = 0.2, 1.5
"""The action (1, 1) drives at twice the one, because (-1, 0) stands still, and turns left at the other."""

APPROACH, REACHED, BUMPED = 0.2, 3.0, -1.0
"""The first is for a step at full speed straight towards the post. Standing still before it earns nothing: where having
it in sight was paid, three carts of four stayed where they saw it."""

FACING = 0.4
"""Largest bearing at which standing before the post is having reached it."""

BLOCKED_SHARE, BLOCKED_STEPS = 0.4, 3
"""A cart that for so many steps drives at less than this share of what it is told has run into something."""

RECENT_EPISODES = 10

REACHES = Presentation(
    milestones=(
        Milestone(
            name="reaches",
            did="reached the post in 8 of 10 episodes",
            does="reaches the post",
            quantity="info/success_percent",
            at_least=80.0,
            hold_s=0.0,
        ),
    ),
    figures=(
        Figure(
            quantity="info/success_percent",
            name="success",
            unit="%",
            source="the last 10 episodes",
            decimals=0,
            plot_range=(0.0, 100.0),
            level=Level(value=80.0, words="reaches"),
        ),
    ),
    # The post may be out of sight for long.
    may_be_constant=("post",),
    verdict_minutes=5.0,
)


class Reach(Task):
    """A cart on the way to a red post.

    The policy sees `motion` (forward speed of the wheels in units of 0.4 m/s, turn rate of the gyroscope in units of
    1.5 rad/s), and either `post` (see `find_post`) or `camera`.
    """

    presentation = REACHES
    operator_stick = "rate"

    def __init__(self, name: str, seed: int, by_blob: bool) -> None:
        """Makes the task.

        Args:
          name: of it, in the robot's table of tasks.
          seed: of the directions in which episodes begin.
          by_blob: the policy sees what `find_post` finds in the pictures, and not the pictures themselves.
        """
        self.spec = _spec(name, by_blob)
        self.embodiment = EMBODIMENT
        self._by_blob = by_blob
        self._departure = Departure(np.random.default_rng(seed))
        self._outcomes: collections.deque[bool] = collections.deque(maxlen=RECENT_EPISODES)
        self._in_episode = False
        self.reset()

    def reset(self) -> None:
        self._blocked_steps = 0

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        forward_m_s = float(measurement[ODOMETRY_TWIST][0])
        turn_rad_s = float(measurement[ANGULAR_VELOCITY][2])
        seen, bearing, closeness = post = find_post(measurement[CAMERA])
        blocked = is_blocked(forward_m_s, float(sent[0]))
        self._blocked_steps = self._blocked_steps + 1 if blocked else 0
        ending = self._ending(abs(bearing), closeness)
        self._in_episode = ending is None
        if ending is not None:
            self._outcomes.append(ending == "success")
        motion = np.array((forward_m_s / (2 * DRIVE_M_S), turn_rad_s / TURN_RAD_S), np.float32)
        terms = {
            "approach": APPROACH * seen * (1.0 - abs(bearing)) * forward_m_s / (2 * DRIVE_M_S),
            "reached": REACHED * (ending == "success"),
            "bumped": BUMPED * (ending == "failure"),
        }
        return TaskState(
            {"motion": motion} | ({"post": np.float32(post)} if self._by_blob else {"camera": measurement[CAMERA]}),
            sum(terms.values()),
            terms,
            {"success_percent": 100.0 * sum(self._outcomes) / RECENT_EPISODES, "forward_velocity_m_s": forward_m_s},
            ending,
        )

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        drive, turn = np.clip(action, -1.0, 1.0).astype(np.float64)  # in which 2 x 0.2 is no more than the limit of 0.4
        return np.array((DRIVE_M_S * (1.0 + drive), TURN_RAD_S * turn))

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            if self._in_episode:  # its time was up
                self._outcomes.append(False)
            self._in_episode = False
            self._departure.begin()
        return self._departure.setpoint(measurement, elapsed_s)

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: drives, and turns. See `Task.operator_action`."""
        left, forward = np.clip(axes[:2], -1.0, 1.0)
        return np.array((2.0 * max(0.0, forward) - 1.0, left), np.float32)

    def _ending(self, off: float, closeness: float) -> Ending | None:
        if closeness == 1.0 and off < FACING:
            return "success"
        return "failure" if self._blocked_steps >= BLOCKED_STEPS else None


class Departure:
    """How an episode begins: the cart backs off from what is before it, and turns to look somewhere else."""

    BACK_M, BACK_M_S = 0.6, 0.2
    TURN_RAD_S, MOST_RAD = 1.0, 1.5
    BLOCKED_S = 0.6

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self.begin()

    def begin(self) -> None:
        self._before_s = 0.0
        self._left_m = self.BACK_M
        self._left_rad = self._random.uniform(-self.MOST_RAD, self.MOST_RAD)
        self._blocked_s = 0.0

    def setpoint(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        """Forward speed and turn rate `[2]` in m/s and rad/s; None once it is done."""
        period_s, self._before_s = elapsed_s - self._before_s, elapsed_s
        forward_m_s = float(measurement[ODOMETRY_TWIST][0])
        if self._left_m > 0.0:
            self._left_m += forward_m_s * period_s
            # Something behind it is as good a reason to stop.
            self._blocked_s = self._blocked_s + period_s if forward_m_s > -0.4 * self.BACK_M_S else 0.0
            if self._blocked_s > self.BLOCKED_S:
                self._left_m = 0.0
            return np.array((-self.BACK_M_S, 0.0))
        before_rad = self._left_rad
        self._left_rad -= float(measurement[ANGULAR_VELOCITY][2]) * period_s
        if before_rad * self._left_rad <= 0.0:
            return None
        return np.array((0.0, math.copysign(self.TURN_RAD_S, self._left_rad)))


def is_blocked(forward_m_s: float, told_m_s: float) -> bool:
    """Whether wheels turn far more slowly than they are told."""
    return told_m_s > 0.25 * DRIVE_M_S and forward_m_s < BLOCKED_SHARE * told_m_s


def _spec(task: str, by_blob: bool) -> RobotSpec:
    seen = {"post": Space((3,))} if by_blob else {"camera": Space((64, 64, 3), "uint8", 0, 255)}
    return RobotSpec(
        robot="cart",
        task=task,
        control_rate_hz=CONTROL_RATE_HZ,
        episode_steps=EPISODE_STEPS,
        joint_names=(),
        foot_names=(),
        setpoint_names=EMBODIMENT.setpoint_names,
        observation={"motion": Space((2,))} | seen,
        action=Space((2,), low=-1.0, high=1.0),
        reward_terms=("approach", "reached", "bumped"),
        info=("success_percent", "forward_velocity_m_s"),
        # Left for right, the turn rate, the bearing and the turn change their signs; pictures are mirrored anyway.
        mirror={"motion": (1, -2), "action": (1, -2)} | ({"post": (1, -2, 3)} if by_blob else {}),
    )


OVERRIDES: dict[str, Any] = {"twin": {"camera": True}}
"""Both tasks look through the camera, whatever the preset."""

DEFAULT: dict[str, Any] = {
    "model": {"deterministic": 128, "hidden": 64, "units": 64, "noise_correlation": 0.5},
    "actor": {"random_s": 60.0},
    "learner": {
        # At 5 Hz one gradient step for each of its own is what two cores keep up with.
        "batch_length": 16,
        "train_ratio": 256.0,
        "minimum_s": 40.0,
        "imagination_starts": 128,
        "imagination_horizon": 10,
        "actor_delay_updates": 100,
        "discount": 0.97,
        "replay_capacity": 50_000,  # nearly three hours; pictures are 600 MB of it
    },
}
TINY: dict[str, Any] = {
    "model": {"deterministic": 32, "hidden": 32, "stochastic": 4, "classes": 4, "units": 32},
    "actor": {"random_s": 5.0},
    "learner": {
        "batch_size": 4,
        "batch_length": 8,
        "imagination_starts": 16,
        "imagination_horizon": 2,  # each is compiled
        "minimum_s": 5.0,
        "replay_capacity": 10_000,
    },
}


def _make_reach_by_blob(config: SessionConfig) -> Task:
    return Reach("reach_by_blob", config.seed, by_blob=True)


def _make_reach(config: SessionConfig) -> Task:
    return Reach("reach", config.seed, by_blob=False)


REACH_BY_BLOB = TaskEntry(
    make=_make_reach_by_blob,
    summary="drive up to the red post, found in pictures by its colour",
    overrides=OVERRIDES,
    presets={"default": DEFAULT, "tiny": TINY},
)

REACH = TaskEntry(
    make=_make_reach,
    summary="drive up to the red post, by the pictures themselves",
    overrides=OVERRIDES,
    presets={"default": DEFAULT, "tiny": TINY},
)
