"""The Burger drives up to a red post in a room, by what its own camera, its wheels and its gyroscope say.

Nobody carries it back: an episode ends at the post, at a wall, or by its time, and before the next one it drives off at
random by itself. The reward is made of the same sensors; where the post is nobody tells it.
"""

from __future__ import annotations

import collections

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    JOINT_VELOCITY,
    Measurement,
)
from daydreamer.contract.task import Ending, Task, TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.burger.constants import (
    CAMERA_STALE_S,
    LIMITS,
    TWIST_OF_WHEELS,
    WHEEL_JOINTS,
    WHEEL_SPEED_RAD_S,
    WHEELS_OF_TWIST,
)
from daydreamer.robots.burger.departure import Departure
from daydreamer.robots.burger.embodiment import make_embodiment
from daydreamer.robots.burger.sight import find_post
from daydreamer.spec import RobotSpec, Space

CONTROL_RATE_HZ = 5.0
EPISODE_STEPS = 75

EMBODIMENT = make_embodiment(CAMERA, CAMERA_STALE_S)

DRIVE_M_S, TURN_RAD_S = float(LIMITS.forward_m_s), 1.5
"""The action (1, 1) drives at the one and turns left at the other; (-1, 0) stands still. It never backs: it has no eyes
behind."""

APPROACH, REACHED, BUMPED = 0.2, 3.0, -1.0
"""The first is for a step at full speed straight towards the post. Standing before it earns nothing: the cart in
examples/ stayed where having it in sight was paid."""

FACING = 0.4
"""Largest bearing at which a post that is near is reached."""

BUMP_STEPS = 2
"""A robot that is held up for so many steps has run into something."""

STALLED_SHARE, STALLED_RAD_S = 0.4, 1.0
"""A wheel that turns at less than this share of what it is told, if that is more than so much, is held."""

SLIP_RAD_S, SLIP_SHARE = 0.5, 0.25
"""By so much, and this share of it, the turn rate of gyroscope and wheels may differ before the tyres must slip: the
robot leans against something. In its twin they differ by 0.1 rad/s at most on free ground."""

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
    verdict_minutes=10.0,
)


class Reach(Task):
    """A Burger on the way to a red post.

    The policy sees `camera`, `wheel_speed` (left and right, in units of the fastest) and `turn_rate` (of the gyroscope,
    left, in units of `TURN_RAD_S`).
    """

    presentation = REACHES
    operator_stick = "rate"
    spec = RobotSpec(
        robot="burger",
        task="reach",
        control_rate_hz=CONTROL_RATE_HZ,
        episode_steps=EPISODE_STEPS,
        joint_names=WHEEL_JOINTS,
        foot_names=(),
        setpoint_names=EMBODIMENT.setpoint_names,
        observation={
            "camera": Space((64, 64, 3), "uint8", 0, 255),
            "wheel_speed": Space((2,)),
            "turn_rate": Space((1,)),
        },
        action=Space((2,), low=-1.0, high=1.0),
        reward_terms=("approach", "reached", "bumped"),
        info=("success_percent", "forward_velocity_m_s"),
        mirror={"wheel_speed": (2, 1), "turn_rate": (-1,), "action": (1, -2)},
    )

    def __init__(self, seed: int) -> None:
        """`seed` is of where episodes begin."""
        self.embodiment = EMBODIMENT
        self._departure = Departure(np.random.default_rng(seed))
        self._outcomes: collections.deque[bool] = collections.deque(maxlen=RECENT_EPISODES)
        self._in_episode = self._is_taken_over = False
        self.reset()

    def reset(self) -> None:
        """Begins anew; an episode that was broken off counts neither as a success nor as a failure."""
        self._held_steps = 0
        self._in_episode = self._is_taken_over = False

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        wheels_rad_s = np.asarray(measurement[JOINT_VELOCITY])
        turn_rad_s = float(measurement[ANGULAR_VELOCITY][2])
        forward_m_s = float((TWIST_OF_WHEELS @ wheels_rad_s)[0])
        seen, bearing, nearness = find_post(measurement[CAMERA])
        self._held_steps = self._held_steps + 1 if is_held(wheels_rad_s, turn_rad_s, sent) else 0
        ending = self._ending(abs(bearing), nearness)
        self._in_episode = ending is None
        if ending is not None:
            self._outcomes.append(ending == "success" and not self._is_taken_over)
        terms = {
            "approach": APPROACH * seen * (1.0 - abs(bearing)) * forward_m_s / DRIVE_M_S,
            "reached": REACHED * (ending == "success"),
            "bumped": BUMPED * (ending == "failure"),
        }
        observation = {
            "camera": measurement[CAMERA],
            "wheel_speed": (wheels_rad_s / WHEEL_SPEED_RAD_S).astype(np.float32),
            "turn_rate": np.array((turn_rad_s / TURN_RAD_S,), np.float32),
        }
        info = {"success_percent": 100.0 * sum(self._outcomes) / RECENT_EPISODES, "forward_velocity_m_s": forward_m_s}
        return TaskState(observation, sum(terms.values()), terms, info, ending)

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        drive, turn = np.clip(action, -1.0, 1.0).astype(np.float64)
        return np.array((DRIVE_M_S * (1.0 + drive) / 2, TURN_RAD_S * turn))

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        if elapsed_s == 0.0:
            if self._in_episode:  # its time was up
                self._outcomes.append(False)
            self._in_episode = self._is_taken_over = False
            self._departure.begin()
        return self._departure.setpoint(measurement, elapsed_s)

    def taken_over(self) -> None:
        """See `Task.taken_over`."""
        self._is_taken_over = True

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """Left stick: drives, and turns. See `Task.operator_action`."""
        left, forward = np.clip(axes[:2], -1.0, 1.0)
        return np.array((2.0 * max(0.0, forward) - 1.0, left), np.float32)

    def _ending(self, off: float, nearness: float) -> Ending | None:
        if nearness == 1.0 and off < FACING:
            return "success"
        return "failure" if self._held_steps >= BUMP_STEPS else None


def is_held(wheels_rad_s: np.ndarray, turn_rad_s: float, told: np.ndarray) -> bool:
    """Whether something is in the robot's way: a wheel hardly turns, or the robot does not turn as its wheels do.

    Args:
      wheels_rad_s: `[2]`, as they turn.
      turn_rad_s: of the gyroscope.
      told: forward speed in m/s and turn rate in rad/s `[2]`, which the robot has been following for a control period.
    """
    told_rad_s = WHEELS_OF_TWIST @ told
    stalled = (np.abs(told_rad_s) > STALLED_RAD_S) & (
        np.sign(told_rad_s) * wheels_rad_s < STALLED_SHARE * np.abs(told_rad_s)
    )
    by_wheels_rad_s = float((TWIST_OF_WHEELS @ wheels_rad_s)[1])
    slips = abs(by_wheels_rad_s - turn_rad_s) > SLIP_RAD_S + SLIP_SHARE * abs(by_wheels_rad_s)
    return bool(stalled.any() or slips)


def make(config: SessionConfig) -> Task:
    """The task of a session."""
    return Reach(config.seed)
