"""One robot that does what a frozen policy says, in simulated time, and what it comes to."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.simulated import SimulatedRobot, Truth, live_a_step
from daydreamer.config import SessionConfig
from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.motions import KnownMotion
from daydreamer.errors import SimulationUnstable
from daydreamer.evaluation import measures
from daydreamer.experience.step import Step
from daydreamer.policy.policy import Policy
from daydreamer.presentation import Presentation
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones
from daydreamer.telemetry.quantities import known_figures, occurrence_times_s, of_step

Kind = Literal["nominal", "random"]
KINDS: tuple[Kind, ...] = ("nominal", "random")

LEAST_SPEED_M_S = 0.05
"""A robot that gets anywhere is faster on average; of a slower one nothing can be said of what it costs to."""


class MeteredRobot(SimulatedRobot, Protocol):
    """What an evaluation needs of a twin beyond lock-step."""

    description: Any
    drawn: Any
    base_velocity_at: slice | None

    @property
    def mass_kg(self) -> float: ...

    def count_work(self) -> np.ndarray: ...

    def truth(self) -> PlaceTruth: ...


class PlaceTruth(Truth, Protocol):
    """What only a simulator knows."""

    position_m: np.ndarray


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A robot that is to be set out once.

    Attributes:
      contender: number of the session whose policy it is.
      kind: the robot as published, or one drawn at random.
      config: of this robot, whose seed says how it begins, and who it is if it is drawn.
      spec: that the policy was learned with.
      presentation: by which it is judged.
      snapshot: file of the policy.
      episodes: that it does one after the other; nobody picks it up in between.
      episode_steps: of each of them at most.
      known_motions: that the session has found to get the robot up.
    """

    contender: int
    kind: Kind
    config: SessionConfig
    spec: RobotSpec
    presentation: Presentation
    snapshot: str
    episodes: int
    episode_steps: int
    known_motions: tuple[KnownMotion, ...] = ()

    @property
    def seed(self) -> int:
        return self.config.seed


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a robot has come to.

    Attributes:
      contender, kind, seed: of its trial.
      robot_minutes: that it took, with what lies between two episodes.
      logged_minutes: without; rates are of these.
      values: by key of its measure; what cannot be said is left out.
      milestones_s: robot seconds after which each was reached, by name.
      drawn: what is random of the robot, by name; None for one as published.
      problem: why nothing is known of it; empty where all went well.
    """

    contender: int
    kind: Kind
    seed: int
    robot_minutes: float = 0.0
    logged_minutes: float = 0.0
    values: dict[str, float] = {}
    milestones_s: dict[str, float] = {}
    drawn: dict[str, Any] | None = None
    problem: str = ""


def run_trial(trial: Trial) -> Outcome:
    """Sets a robot out, and judges what it does.

    Raises:
      UserError: its twin cannot be made, or the policy does not fit.
    """
    config = trial.config
    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, config.seed)) as twin:
        outcome = Outcome(contender=trial.contender, kind=trial.kind, seed=trial.seed, drawn=_drawn(twin))
        try:
            return _live(trial, twin, outcome)
        except SimulationUnstable as error:
            return msgspec.structs.replace(outcome, problem=str(error))


def _live(trial: Trial, twin: MeteredRobot, outcome: Outcome) -> Outcome:
    """`outcome` with what the robot came to."""
    config, task = trial.config, make_task(trial.config)
    task.spec = msgspec.structs.replace(task.spec, episode_steps=trial.episode_steps)
    record = Record(trial.spec, trial.presentation, twin.truth)
    loop = ControlLoop(
        task,
        config.actor,
        record,
        actor_life=1,
        seed=config.seed,
        clock=lambda: twin.time_s,
        on_event=record.on_event,
        on_step=record.on_step,
    )
    loop.recall(trial.known_motions)
    policy = Policy.load(Path(trial.snapshot), trial.spec, config.seed, config.model.acting_noise)
    loop.set_policy(policy, frozen=True)
    begin_s, work_j = twin.time_s, twin.count_work()
    while record.episodes < trial.episodes:
        live_a_step(loop, twin)
    elapsed_s, work = twin.time_s - begin_s, float(work_j.sum())
    values = record.values() | {measures.POWER: work / elapsed_s}
    if twin.base_velocity_at is not None and (metres := record.distance_m()) > LEAST_SPEED_M_S * elapsed_s:
        values[measures.TRANSPORT] = work / (twin.mass_kg * GRAVITY_M_S2 * metres)
    return msgspec.structs.replace(
        outcome,
        robot_minutes=elapsed_s / 60.0,
        logged_minutes=record.minutes,
        values=values,
        milestones_s=record.milestones_s,
    )


def _drawn(twin: MeteredRobot) -> dict[str, Any] | None:
    """What changes this robot of all that was drawn, by name; None where nothing was."""
    if twin.drawn is None:
        return None
    values, randomised = dataclasses.asdict(twin.drawn), twin.description.randomised
    without = [] if randomised.friction_geoms else ["friction"]
    without += [] if randomised.payload_body else ["payload_kg", "payload_forward_m", "payload_left_m"]
    without += [] if randomised.bodies else ["mass_scale"]
    return {name: value for name, value in values.items() if name not in without}


class Record:
    """Keeps of each step what is judged, as the simulator knows it, or else as it was logged.

    Attributes:
      episodes: that have ended.
    """

    def __init__(self, spec: RobotSpec, presentation: Presentation, truth: Callable[[], PlaceTruth]):
        self.episodes = 0
        self._spec, self._presentation, self._truth = spec, presentation, truth
        self._occurrences = measures.known_occurrences(spec, presentation)
        quantities = ["reward", measures.compared_quantity(spec, presentation)]
        quantities += [figure.quantity for figure in known_figures(presentation, spec)]
        quantities += [occurrence.quantity for occurrence in self._occurrences]
        self._columns: dict[str, list[float]] = {quantity: [] for quantity in quantities}
        self._places_m: list[np.ndarray] = []
        self._changes: list[float] = []
        self._by_policy = 0
        self._last_action: np.ndarray | None = None
        self._endings: collections.Counter[str] = collections.Counter()
        self._milestones = MilestoneRecorder(
            Milestones(presentation.milestones, spec.control_period_s), lambda kind, **fields: None
        )

    @property
    def milestones_s(self) -> dict[str, float]:
        """See `Outcome`."""
        return self._milestones.reached_s

    def append(self, step: Step) -> None:
        """As a log, which nobody reads."""

    def on_event(self, kind: str, **fields: object) -> None:
        """Takes an event of the control loop in."""
        if kind == "episode_end":
            self._endings[str(fields["ending"])] += 1

    def on_step(self, step: Step) -> None:
        """Takes a step in, at the moment at which it was measured."""
        truth = self._truth()
        known = truth.quantities
        for quantity, column in self._columns.items():
            column.append(known.get(quantity, of_step(step, quantity)))
        self._places_m.append(truth.position_m)
        self._milestones.add(step, known)
        if self._last_action is not None and not step.is_first:
            self._changes.append(self._change(step.action_requested))
        self._last_action = step.action_requested
        self._by_policy += step.policy_version > 0
        self.episodes += step.is_last

    def _change(self, action: np.ndarray) -> float:
        """Share of the range, which is from -1 to 1; of a class whether it is another one."""
        if self._spec.action.is_discrete:
            return float(action != self._last_action)
        return float(np.abs(action - self._last_action).mean()) / 2.0

    def distance_m(self) -> float:
        """Length of the way on level ground, in strides of a second: how a trunk sways in between is no way."""
        places_m = np.array(self._places_m)[:: max(1, self._spec.steps(1.0)), :2]
        return float(np.linalg.norm(np.diff(places_m, axis=0), axis=1).sum())

    @property
    def minutes(self) -> float:
        """Robot minutes of the steps that were logged."""
        return len(self._places_m) * self._spec.control_period_s / 60.0

    def values(self) -> dict[str, float]:
        """By key of the measure."""
        columns = {quantity: np.array(column) for quantity, column in self._columns.items()}
        values = {quantity: _mean(column) for quantity, column in columns.items()}
        steps, minutes = len(self._places_m), self.minutes
        for occurrence in self._occurrences:
            times_s = occurrence_times_s(occurrence, np.arange(steps), columns[occurrence.quantity])
            values[measures.rate_key(occurrence)] = len(times_s) / minutes
        shown = {measure.key for measure in measures.measures_of(self._spec, self._presentation)}
        values = {key: value for key, value in values.items() if key in shown and np.isfinite(value)}
        values |= {
            measures.SUCCESSES: 100.0 * self._endings["success"] / self.episodes,
            measures.FAILURES: 100.0 * self._endings["failure"] / self.episodes,
            measures.BY_POLICY: 100.0 * self._by_policy / steps,
        }
        return values | ({measures.ACTION_CHANGE: 100.0 * _mean(np.array(self._changes))} if self._changes else {})


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are finite; NaN where none is."""
    finite: np.ndarray = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def describe_drawn(drawn: Mapping[str, Any], joint_names: tuple[str, ...]) -> str:
    """What is special about a robot, in words: 'payload 0.83 kg, friction 0.42, ...'."""
    parts = []
    if "payload_kg" in drawn:
        place = f"{drawn['payload_forward_m']:+.2f} m forward, {drawn['payload_left_m']:+.2f} m left"
        parts.append(f"payload {drawn['payload_kg']:.2f} kg ({place})")
    if "friction" in drawn:
        parts.append(f"friction {drawn['friction']:.2f}")
    strength = np.array(drawn["motor_strength"])
    weakest = int(strength.argmin())
    name = f" {joint_names[weakest]}" if len(joint_names) == len(strength) else ""
    parts.append(f"weakest motor{name} {strength[weakest]:.0%} (mean {strength.mean():.0%})")
    if "mass_scale" in drawn:
        parts.append(f"masses {min(drawn['mass_scale']):.0%} to {max(drawn['mass_scale']):.0%}")
    parts.append(f"latency {1e3 * drawn['command_latency_s']:.0f} ms")
    return ", ".join([*parts, f"{drawn['noise_scale']:.1f} times the noise"])
