"""A wish put to the test: the robot's twin is driven by a plan, and by the policy alone, and it is told what came."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from daydreamer.actor.control_loop import ActingPolicy, ControlLoop
from daydreamer.actor.simulated import SimulatedRobot, live_a_step
from daydreamer.experience.step import Step
from daydreamer.instrument.wishing import WishedReward
from daydreamer.learner.learned import Learned
from daydreamer.models.codecs import vector_keys
from daydreamer.policy.planning import PlanningPolicy
from daydreamer.policy.snapshot import SnapshotMetadata
from daydreamer.presentation import Occurrence
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.new import configure_played
from daydreamer.telemetry.quantities import is_known, occurs, of_step

SETTLE_S = 2.0
"""After the wish was made, in which the robot is on its way to it, or half of a shorter attempt; what comes then is
measured."""


class TrialTwin(SimulatedRobot, Protocol):
    """What a trial needs of a twin beyond lock-step."""

    def reset(self, state: str | None = None, seed: int | None = None) -> None: ...

    def close(self) -> None: ...


@dataclasses.dataclass(frozen=True)
class Spread:
    """A number over several attempts.

    Attributes:
      mean: of all.
      low, high: of the attempts the lowest and the highest.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(float(np.mean(values)), float(np.min(values)), float(np.max(values)))


@dataclasses.dataclass(frozen=True)
class Came:
    """What came of a wish.

    Attributes:
      driver: what drove, as 'by planning'.
      reward: of the wish, a step.
      signals: that it is about, by name, as the robot measured them.
      truth: the same as the simulator knows them, as far as it does.
      occurrences_per_minute: by what the robot 'did'.
      latency_ms: of planning: p50, p99, max; None where nothing was planned.
    """

    driver: str
    reward: Spread
    signals: dict[str, Spread]
    truth: dict[str, Spread]
    occurrences_per_minute: dict[str, Spread]
    latency_ms: Mapping[str, float | None] | None = None


@dataclasses.dataclass(frozen=True)
class _Attempt:
    """One attempt, see `Came`."""

    reward: float
    signals: dict[str, float]
    truth: dict[str, float]
    occurrences_per_minute: dict[str, float]


class TwinTrial:
    """Drives a session's twin, and says what came."""

    def __init__(self, learned: Learned, reward: WishedReward, overrides: Sequence[str] = ()):
        """Raises UserError if the robot is not what it was, or a setting is wrong."""
        session = learned.session
        metadata = SnapshotMetadata(
            version=1,
            gradient_step=int(learned.state.updates),
            env_steps=learned.progress.env_steps,
            robot_spec=session.spec,
            model=msgspec.to_builtins(session.config.model),
        )
        config = configure_played(session, metadata, body="twin", minutes=1.0, overrides=overrides)
        # What gets up a robot that has fallen would take a wish that its task does not pay for a fall.
        self._config = msgspec.structs.replace(config, actor=msgspec.structs.replace(config.actor, fallen_reward=None))
        self._session, self._reward = session, reward
        self._signals = jax.jit(lambda observation: (reward(observation), reward.signals(observation)))

    def run(
        self,
        driver: str,
        policy: ActingPolicy,
        *,
        seconds: float,
        attempts: int,
        seed: int,
        on_step: Callable[[], None] = lambda: None,
    ) -> Came:
        """Lets `policy` drive the twin for `seconds`, so many times, each from another beginning.

        Raises:
          UserError: there is no twin, or the reward is not finite.
        """
        config, rows = self._config, []
        robot = find_robot(config.robot, self._session.record.robot_package)
        with contextlib.closing(robot.make_twin(config.twin, seed)) as twin:
            for attempt in range(attempts):
                twin.reset(self._reward.begins, seed=seed + attempt)
                rows.append(self._attempt(twin, policy, seconds, seed + attempt, on_step))
        latency = policy.planner.latency.summary() if isinstance(policy, PlanningPolicy) else None
        return Came(
            driver,
            Spread.of([row.reward for row in rows]),
            _spreads([row.signals for row in rows]),
            _spreads([row.truth for row in rows]),
            _spreads([row.occurrences_per_minute for row in rows]),
            latency,
        )

    def _attempt(
        self, twin: TrialTwin, policy: ActingPolicy, seconds: float, seed: int, on_step: Callable[[], None]
    ) -> _Attempt:
        spec, told = self._session.spec, self._session.presentation
        task = make_task(self._config)
        task.spec = msgspec.structs.replace(task.spec, episode_steps=(1 << 31) - 1)
        kept: list[Step] = []
        truths: list[Any] = []

        def keep(step: Step) -> None:
            truths.append(twin.truth())
            on_step()

        loop = ControlLoop(
            task, self._config.actor, kept, actor_life=1, seed=seed, clock=lambda: twin.time_s, on_step=keep
        )
        loop.set_policy(policy, frozen=True)
        for _ in range(max(1, spec.steps(seconds))):
            live_a_step(loop, twin)
        settled = slice(spec.steps(min(SETTLE_S, seconds / 2.0)), None)
        observed = {key: jnp.stack([step.observation[key] for step in kept]) for key in vector_keys(spec.observation)}
        reward, signals = jax.device_get(self._signals(observed))
        true, shown = true_signals(truths, spec.control_period_s), self._reward.shown
        return _Attempt(
            float(reward[settled].mean()),
            {name: float(signals[name][settled].mean()) for name in shown},
            {name: float(true[name][settled].mean()) for name in shown if name in true},
            {
                each.did: 60.0 / (len(reward[settled]) * spec.control_period_s) * _count(each, kept, settled)
                for each in told.occurrences
                if is_known(each.quantity, spec)
            },
        )


def _count(occurrence: Occurrence, steps: Sequence[Step], counted: slice) -> int:
    """How often it happens in some of the steps; what they begin in is of those before."""
    return int(occurs(occurrence, np.array([of_step(step, occurrence.quantity) for step in steps]))[counted].sum())


def _spreads(attempts: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    return {name: Spread.of([each[name] for each in attempts]) for name in attempts[0]}


def true_signals(truths: Sequence[Any], period_s: float) -> dict[str, np.ndarray]:
    """What a simulator knows of signals, by their names, `[steps]`; nothing of a robot whose base is fixed."""
    if not truths[0].quantities:
        return {}
    velocity_m_s = np.array([truth.velocity_m_s for truth in truths])
    turned_rad = np.diff(np.unwrap([truth.yaw_rad for truth in truths]), prepend=truths[0].yaw_rad)
    return {
        "forward_velocity_m_s": velocity_m_s[:, 0],
        "left_velocity_m_s": velocity_m_s[:, 1],
        "up_velocity_m_s": velocity_m_s[:, 2],
        "turn_rate_rad_s": turned_rad / period_s,
        "up_z": np.array([truth.up_z for truth in truths]),
        "height_m": np.array([truth.height_m for truth in truths]),
    }
