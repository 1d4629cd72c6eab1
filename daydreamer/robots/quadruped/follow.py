"""A quadruped that goes as it is told: forward speed and turn rate are wished for, and paid as far as they come."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.contract.signals import ANGULAR_VELOCITY, WISHED_TWIST, Measurement, wish_signal
from daydreamer.contract.task import TaskState
from daydreamer.presentation import Figure, Level, Milestone, Presentation
from daydreamer.robots.quadruped import reward
from daydreamer.robots.quadruped.description import LEG_NAMES, Quadruped
from daydreamer.robots.quadruped.exploration import Explorer
from daydreamer.robots.quadruped.presentation import HOLD_S, MEAN_S, UPRIGHT, WALK
from daydreamer.robots.quadruped.task import INFO as WALK_INFO
from daydreamer.robots.quadruped.task import VELOCITY_SCALE_M_S, QuadrupedWalkTask
from daydreamer.spec import Space

FORWARD_M_S, TURN_RAD_S = (-0.2, 0.5), (-0.8, 0.8)
"""What may be wished for; more is cut off."""
WISH_S = (4.0, 8.0)
"""How long a sampled wish lasts, about the length of a rhythm's bout."""
STAND_SHARE = 0.2
"""Of the sampled wishes, those to stand still."""
WISH_SCALE = np.array((0.5, 1.0))
"""Units of the observed wish: 0.5 m/s, as of the observed velocity, and 1 rad/s."""
MISSES = np.array((0.2, 0.4))
"""What a wish to stand may be missed by, in m/s and rad/s, until nothing is paid for it any more: units in which going
and turning are told against each other."""
TURN_WINDOW_STEPS = 10
"""The turn rate is a mean over 0.5 s, about two steps' length: a trunk that goes straight ahead turns to and fro."""
THIGH = 1
"""Of a leg's joints."""
CLOSE = np.array((0.1, 0.2))
"""Within which a wish counts as followed."""

TERMS = (*reward.TERMS[:-1], "r_follow")
INFO = (*WALK_INFO, "turn_rate_rad_s", "forward_error_m_s", "turn_error_rad_s", "follows")

FOLLOW = Presentation(
    reward_range=(4.0, 14.0),
    terms_range=(-1.0, 1.1),
    milestones=(
        WALK.milestones[WALK.milestone_names.index(UPRIGHT)],
        Milestone(
            name="following",
            did="followed its commands",
            does="follows its commands",
            quantity="info/follows",
            at_least=0.5,
            hold_s=HOLD_S,
            mean_s=MEAN_S,
        ),
    ),
    figures=(
        Figure(
            quantity="info/forward_error_m_s",
            name="error of forward speed",
            unit="m/s",
            did="missed the speed asked for by",
            source="odometry",
            plot_range=(0.0, 0.7),
            level=Level(value=float(CLOSE[0]), words="close"),
        ),
        Figure(
            quantity="info/turn_error_rad_s",
            name="error of turn rate",
            unit="rad/s",
            did="missed the turn rate asked for by",
            source="gyroscope",
            plot_range=(0.0, 1.2),
            level=Level(value=float(CLOSE[1]), words="close"),
        ),
    ),
    occurrences=WALK.occurrences,
    may_be_constant=("joint_target", "wish"),
    verdict_minutes=WALK.verdict_minutes,
)


class Wishes:
    """What is wished of a robot while nobody says so: forward speed in m/s and turn rate in rad/s, drawn anew."""

    def __init__(self, period_s: float, seed: int) -> None:
        self._period_s = period_s
        self._random = np.random.default_rng((seed, 0xF0110))
        self._remaining_s = 0.0
        self._wish = np.zeros(2)

    def next(self) -> np.ndarray:
        """The wish of the next step, `[2]`."""
        self._remaining_s -= self._period_s
        if self._remaining_s <= 0.0:
            self._remaining_s = self._random.uniform(*WISH_S)
            wish = np.array((self._random.uniform(*FORWARD_M_S), self._random.uniform(*TURN_RAD_S)))
            self._wish = wish * (self._random.random() >= STAND_SHARE)
        return self._wish


class DirectionsToGo:
    """Forwards, backwards, turning, and a curve: what rhythms are looked for, see `Aims`.

    To the left only: the learner replays what was found to the right as well (`learner.mirror`).
    """

    WISHES = ((0.4, 0.0), (-0.2, 0.0), (0.0, 0.7), (0.3, 0.5))
    alternate = (True, True, False, False)

    def __init__(self) -> None:
        self._last_step = np.zeros(4)

    def add(self, state: TaskState, done: np.ndarray) -> None:
        """Takes a step in; `done` is what it did, `[2]` in m/s and rad/s."""
        standing = sum(state.reward_terms[name] for name in reward.TERMS[:-1])
        self._last_step = np.array((standing, reward.ramp(state.reward_terms["r_knee"]), *done))

    def relative(self, amplitude: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """The thighs of all legs, or of one side's, swing the other way; or one side's legs do half as much.

        Of an A1's rhythms that went forwards at 0.14 to 0.45 m/s, the first went backwards at 0.10 to 0.39 m/s, and of
        the others the best turned by 0.4 to 0.5 rad/s.
        """
        legs = amplitude.reshape(len(LEG_NAMES), -1).copy()
        sides = [name.endswith("L") for name in LEG_NAMES], [name.endswith("R") for name in LEG_NAMES]
        some = np.array(sides[generator.integers(2)])
        kind = generator.integers(3)
        if kind == 2:
            legs[some] *= 0.5
        else:
            legs[some if kind else slice(None), THIGH] *= -1.0
        return legs.ravel()

    def last_step(self) -> np.ndarray:
        return self._last_step

    def scores(self, steps: np.ndarray) -> list[float]:
        """What the mean of what was done would pay: how a robot sways on its way is left to the policy."""
        standing, on_feet, *done = steps.mean(0)
        paid = on_feet * paid_for(np.array(done), np.array(self.WISHES))
        return (standing + reward.VELOCITY_WEIGHT * (paid + 1.0)).tolist()


class QuadrupedFollowTask(QuadrupedWalkTask):
    """A quadruped that stands up as in `QuadrupedWalkTask`, and then goes as is wished for.

    The policy observes `wish` (forward in units of 0.5 m/s, turn rate in rad/s) beside what it observes there. A wish
    comes by the signal `WISHED_TWIST` if somebody says one, see there; otherwise it is drawn at random, so that all of
    them are learned, or is to stand.
    """

    def __init__(self, robot: Quadruped, camera: bool = False, *, seed: int | None = 0) -> None:
        """Makes the task; `seed` is of the wishes that are drawn, None for standing while nobody says one."""
        super().__init__(robot, camera)
        observation = self.spec.observation | {"turn_rate": Space((1,)), "wish": Space((2,))}
        # Left for right the robot turns the other way.
        mirror = self.spec.mirror | {"turn_rate": (-1,), "wish": (1, -2)}
        self.spec = msgspec.structs.replace(
            self.spec, task="follow", observation=observation, mirror=mirror, reward_terms=TERMS, info=INFO
        )
        signals = {**self.embodiment.signals, **wish_signal()}
        self.embodiment = dataclasses.replace(self.embodiment, signals=signals)
        self.presentation = FOLLOW
        self.hindsight = functools.partial(as_wished, stand_pose=robot.reward_stand_pose)
        self._wishes = None if seed is None else Wishes(self.spec.control_period_s, seed)
        self._wish = np.zeros(2)
        self._directions = DirectionsToGo()

    def make_behavior(self, config: ActorConfig, generator: np.random.Generator) -> Explorer:
        return Explorer(self.spec, config, generator, self.get_up_actions, self._directions)

    def reset(self) -> None:
        super().reset()
        self._turns_rad_s = np.zeros(TURN_WINDOW_STEPS)

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        state = super().observe(measurement, sent)
        up = state.observation["gravity_up"].astype(np.float64)
        self._turns_rad_s = np.append(self._turns_rad_s[1:], up @ measurement[ANGULAR_VELOCITY])
        turn_rad_s = float(self._turns_rad_s.mean())
        done = np.array((state.info["forward_velocity_m_s"], turn_rad_s))
        # The one before is what the last action was to answer.
        misses = np.abs(done - self._wish)
        self._directions.add(state, done)
        state.reward, state.reward_terms = follow_reward(state.reward_terms, done, self._wish)
        state.info |= {
            "turn_rate_rad_s": turn_rad_s,
            "forward_error_m_s": float(misses[0]),
            "turn_error_rad_s": float(misses[1]),
            "follows": float((misses <= CLOSE).all() and up[2] > reward.STAGE_THRESHOLD),
        }
        self._wish = self._next_wish(measurement)
        state.observation["turn_rate"] = np.array((turn_rad_s / WISH_SCALE[1],), np.float32)
        state.observation["wish"] = (self._wish / WISH_SCALE).astype(np.float32)
        return state

    def _next_wish(self, measurement: Measurement) -> np.ndarray:
        drawn = np.zeros(2) if self._wishes is None else self._wishes.next()
        said = measurement.get(WISHED_TWIST)
        return drawn if said is None else np.clip(said, *np.transpose((FORWARD_M_S, TURN_RAD_S)))


def follow_reward(
    walk_terms: Mapping[str, float], done: np.ndarray, wish: np.ndarray
) -> tuple[float, dict[str, float]]:
    """The reward of following, and its terms.

    As that of walking, but the five that going forwards pays there are paid here for what was wished for, see
    `paid_for`, and only on the feet.

    Args:
      walk_terms: of `reward.walk_reward`.
      done, wish: `[2]`, forward speed in m/s and turn rate in rad/s.
    """
    standing = {name: walk_terms[name] for name in reward.TERMS[:-1]}
    follow = float(reward.ramp(standing["r_knee"]) * paid_for(done, wish))
    return sum(standing.values()) + reward.VELOCITY_WEIGHT * (follow + 1.0), standing | {"r_follow": follow}


def paid_for(done: Any, wish: Any) -> Any:
    """How near what was done is to the wish: 1 for the same, 0 from where it is as far as standing still is.

    In the plane of forward speed and turn rate, in units of `MISSES`; of a wish that is smaller than these, from one of
    them on. So standing is paid for no wish to go, and every step towards the wish is paid.

    Args:
      done, wish: `[..., 2]`, of NumPy or JAX.

    Returns:
      `[...]`.
    """
    missed, wished = ((each**2).sum(-1) ** 0.5 for each in ((done - wish) / MISSES, wish / MISSES))
    return (1.0 - missed / wished.clip(1.0)).clip(0.0)


def as_wished(observation: dict[str, Any], stand_pose: np.ndarray) -> tuple[dict[str, Any], Any]:
    """Sequences as if the robot had been asked for what it did, and what that would have paid.

    However little of what was wished for a robot can do yet, it has always done something: so it learns from the first
    minute on what its actions are good for (Andrychowicz et al. 2017, Hindsight Experience Replay). The mean of what
    was done over a sequence is its wish.

    Args:
      observation: `[batch, time, ...]`, JAX.
      stand_pose: see `reward.pose_errors`.

    Returns:
      The observation with another wish, and the reward `[batch, time]`.
    """
    import jax.numpy as jnp  # takes a second, which only a learner need wait for

    going, turning = observation["velocity"][..., :1], observation["turn_rate"]
    done = jnp.concatenate((VELOCITY_SCALE_M_S * going, WISH_SCALE[1] * turning), -1)
    wish = done.mean(1, keepdims=True).clip(*np.transpose((FORWARD_M_S, TURN_RAD_S)))
    up_z = observation["gravity_up"][..., 2]
    posture = reward.posture_terms(up_z, observation["joint_position"], stand_pose)
    paid = reward.ramps(posture[-1]) * paid_for(done, wish)
    total = sum(posture) + reward.VELOCITY_WEIGHT * (paid + 1.0)
    return observation | {"wish": jnp.broadcast_to(wish / WISH_SCALE, done.shape)}, total
