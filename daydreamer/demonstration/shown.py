"""What becomes of a session in which somebody shows something, beside its log."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.simulated import lockstep_status
from daydreamer.experience.step import Step
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import ProcessState, StatusWriter
from daydreamer.telemetry.metrics import MetricsWriter
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones


@dataclasses.dataclass
class Shown:
    """An episode that was shown.

    Attributes:
      steps: that were logged.
      total: sum of their rewards.
      whole: it came to its end.
    """

    steps: int = 0
    total: float = 0.0
    whole: bool = False

    def add(self, step: Step) -> None:
        self.steps += 1
        self.total += step.reward
        self.whole = step.is_last


class Account:
    """Milestones, status and scalars of such a session."""

    def __init__(self, session: Session, stack: contextlib.ExitStack):
        """The session is in use as long as `stack` is open; its caller holds the lock of the whole."""
        for role in ("actor", "twin"):
            stack.enter_context(session.lock(role))
        self._session = session
        self._milestones = MilestoneRecorder(
            Milestones(session.presentation.milestones, session.spec.control_period_s),
            functools.partial(EventLog(session.events).record, source="twin"),
            shown=True,
        )
        self._metrics = stack.enter_context(contextlib.closing(MetricsWriter(session.metrics / "lockstep")))
        self._status = StatusWriter(session, "actor")

    def add(self, step: Step, truth: Mapping[str, float]) -> None:
        """The next step that is logged, with what the twin knows of it."""
        self._milestones.add(step, truth)

    def conclude_episode(self, loop: ControlLoop) -> None:
        """Tells how it went."""
        for name, value in loop.statistics.recent().items():
            self._metrics.add_scalar(f"actor/{name}", value, loop.statistics.env_steps)
        self.tell(loop, "running")

    def tell(self, loop: ControlLoop, state: ProcessState) -> None:
        """Writes the status."""
        self._status.write(lockstep_status(self._session, loop, state, self._milestones.reached_s))
