"""All that a report tells about a session, read once."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.presentation import Figure, Occurrence
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.session.directory import Session
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.columns import StepColumns, read_columns
from daydreamer.telemetry.dreams import Dream, list_dreams, read_dream
from daydreamer.telemetry.quantities import occurrence_times_s, of_columns
from daydreamer.telemetry.session_telemetry import SessionTelemetry, TelemetryReader

LOCKSTEP = "lockstep"
"""The writer of metrics of `daydreamer train`; a live session has one for each process."""

SET_BACK_S = 60.0
"""From there on events stand at a wrong minute; a clock that is steered moves by less."""

DREAMS = 40
"""So many dreams, spread over the session, show how the error falls; an hour has 360."""


@dataclasses.dataclass(frozen=True)
class SessionHistory:
    """What happened.

    Attributes:
      session: whose history it is.
      telemetry: what its files say, see `SessionTelemetry`.
      steps: all that were logged, without images.
      dreams: some of them, in their order.
      advice: what is wrong.
      problems: what could not be read, one sentence each.
    """

    session: Session
    telemetry: SessionTelemetry
    steps: StepColumns
    dreams: list[Dream]
    advice: list[Advice]
    problems: list[str]

    @property
    def minutes(self) -> float:
        """Robot time of the session."""
        return len(self.steps) * self.session.spec.control_period_s / 60.0

    @property
    def is_live(self) -> bool:
        """Whether it ran in real time; in lock-step there is nothing to be late for."""
        return not (self.session.metrics / LOCKSTEP).is_dir() and self.session.record.teacher != "imported"

    @functools.cached_property
    def reward(self) -> np.ndarray:
        """`[steps]`, by which results are compared."""
        compared = self._compared_reward
        return self.steps.reward if compared is None else compared

    @functools.cached_property
    def has_compared_reward(self) -> bool:
        """Whether `reward` is the one that the task is compared by, and not only in its place."""
        return self._compared_reward is not None

    @functools.cached_property
    def _compared_reward(self) -> np.ndarray | None:
        """None where it was not logged, or only as NaN, as in what was imported."""
        compared = of_columns(self.steps, self.session.presentation.compared_reward)
        return None if compared is None or np.isnan(compared).all() else compared

    @functools.cached_property
    def figures(self) -> list[tuple[Figure, np.ndarray]]:
        """The headline figures that were logged, and not only as NaN, each with `[steps]` values."""
        columns = ((figure, of_columns(self.steps, figure.quantity)) for figure in self.session.presentation.figures)
        return [(figure, values) for figure, values in columns if values is not None and not np.isnan(values).all()]

    @functools.cached_property
    def milestones_s(self) -> dict[str, float]:
        """Robot seconds at which each milestone was first reached, in their order."""
        events = [event for event in self.telemetry.events if event["kind"] == "milestone"]
        # A process that was killed may have told the events, but not the status.
        reached = {event["name"]: float(event["robot_seconds"]) for event in reversed(events)}
        reached |= self.telemetry.status["milestones_s"]
        return {name: reached[name] for name in self.session.presentation.milestone_names if name in reached}

    @functools.cached_property
    def occurrences_s(self) -> list[tuple[Occurrence, list[float]]]:
        """What happened, with the robot seconds at which it did; what did not is left out."""
        found = []
        for occurrence in self.session.presentation.occurrences:
            values = of_columns(self.steps, occurrence.quantity)
            times_s = [] if values is None else occurrence_times_s(occurrence, self.steps.robot_s, values)
            if times_s:
                found.append((occurrence, times_s))
        return found

    @functools.cached_property
    def safety_counts(self) -> dict[str, int]:
        """Commands that carried each safety flag; those that none carried are left out."""
        counts = {name: int(np.count_nonzero(self.steps.safety_flags & bit)) for name, bit in SAFETY_FLAGS.items()}
        return {name: count for name, count in counts.items() if count}

    def robot_minutes(self, event: dict[str, Any]) -> float:
        """When an event happened, in robot time."""
        if not len(self.steps):
            return 0.0
        return float(np.interp(event["wall_s"], self._wall_s, self.steps.robot_s)) / 60.0

    @functools.cached_property
    def _wall_s(self) -> np.ndarray:
        """`[steps]`, without what it says after it was set back, until it is where it was."""
        return np.maximum.accumulate(self.steps.wall_ns * 1e-9)


def read_history(session: Session) -> SessionHistory:
    """Reads whatever there is; what is missing is empty.

    Raises:
      SpecMismatch: a log is of another robot.
    """
    telemetry = TelemetryReader(session).read()
    problems = list(telemetry.problems)
    dreams = []
    try:
        paths = list_dreams(session.dreams)
    except UserError as error:
        problems.append(str(error))
        paths = []
    for index in np.unique(np.linspace(0, len(paths) - 1, DREAMS).astype(int)) if paths else ():
        try:
            dreams.append(read_dream(paths[index], session.spec))
        except UserError as error:
            problems.append(str(error))
    steps = read_columns(session, images=False, problems=problems)
    back_s = float((np.maximum.accumulate(steps.wall_ns) - steps.wall_ns).max(initial=0) * 1e-9)
    if back_s > SET_BACK_S:
        problems.append(
            f"The clock was set back by {back_s:.0f} s in the middle of the session, so that events and curves may "
            "stand at a wrong minute. Let the machine set its clock before it drives a robot (chrony, or a battery)."
        )
    return SessionHistory(session, telemetry, steps, dreams, judge(telemetry), list(dict.fromkeys(problems)))
