"""Learning from recorded sessions alone: gradient steps, judged by what the model predicts of what was held out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping

from daydreamer.errors import UserError
from daydreamer.instrument.trust import WINDOWS, Trust, trust_of
from daydreamer.learner.learner import Learner
from daydreamer.learner.logs import find_held_out
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import StatusWriter
from daydreamer.telemetry.metrics import MetricsWriter

MEASURE_EVERY = 250
"""Gradient steps between two measurements of what the model predicts."""
PATIENCE = 8
"""Measurements without a better one, after which no more is learned."""
AS_GOOD = 1.02
"""An error that is not larger than the smallest by more than this is as good: the policy has dreamt for longer then."""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """How good the model was of what was held out.

    Attributes:
      gradient_step: after which it was taken.
      trust: see there.
      figures: of that gradient step, by tag.
      is_better: than all before.
    """

    gradient_step: int
    trust: Trust
    figures: Mapping[str, float]
    is_better: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
      kept: of the model and the policy that the session ends with; None if there was no gradient step.
      gradient_steps: made in all.
      ended_early: the model had not become better for long.
    """

    kept: Measurement | None
    gradient_steps: int
    ended_early: bool


class OfflineTraining:
    """Learns from the logs of a session, as `daydreamer.learner.logs` has put them there; no robot takes a step.

    A checkpoint is written whenever the model predicts what was held out better than ever, or as well: what the session
    ends with is its newest one. At each measurement a policy is published.
    """

    def __init__(self, session: Session, every: int = MEASURE_EVERY, patience: int = PATIENCE):
        """Learns nothing yet.

        Args:
          every: see `MEASURE_EVERY`.
          patience: see `PATIENCE`.

        Raises:
          UserError: what was held out has no stretch without a gap that is long enough, or cannot be read.
        """
        self._session = session
        self._every = every
        self._patience = patience
        self._events = EventLog(session.events)
        self._record = functools.partial(self._events.record, source="learner")
        self._rows, self._starts = find_held_out(session, WINDOWS, self._record)
        self._measured: list[Measurement] = []
        self._lowest = math.inf
        self._since_better = 0
        self._ended = False

    def run(
        self,
        gradient_steps: int,
        on_measurement: Callable[[Measurement], object] = lambda measurement: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Makes so many gradient steps, or fewer if the model has not become better for long, or `stop` says so.

        Raises:
          UserError: the sizes in the settings do not fit each other, or what the model predicts is not finite.
        """
        session = self._session
        with contextlib.ExitStack() as stack:
            stack.enter_context(session.lock("learner"))
            metrics = stack.enter_context(contextlib.closing(MetricsWriter(session.metrics / "learner")))
            learner = stack.enter_context(contextlib.closing(Learner(session, self._record)))
            status = StatusWriter(session, "learner")
            stack.callback(lambda: status.attempt(learner.status("stopped" if self._ended else "failed")))
            kept = self._learn(learner, metrics, status, gradient_steps, on_measurement, stop)
            made = learner.updates
            if kept is not None and kept.gradient_step != made:
                learner.go_back()
                learner.publish()
                if learner.updates != kept.gradient_step:
                    raise UserError(
                        f"What was learned by gradient step {kept.gradient_step} could not be written to "
                        f"{session.checkpoints}, and is lost: free some space or check the disk."
                    )
            self._ended = True
        ended_early = self._since_better >= self._patience
        self._record("learned_offline", gradient_steps=made, kept=kept and kept.gradient_step, ended_early=ended_early)
        return Outcome(kept, made, ended_early)

    def _learn(
        self,
        learner: Learner,
        metrics: MetricsWriter,
        status: StatusWriter,
        gradient_steps: int,
        on_measurement: Callable[[Measurement], object],
        stop: Callable[[], bool],
    ) -> Measurement | None:
        """Makes the gradient steps; what was measured of what is kept."""
        begin_s, kept = time.monotonic(), None
        while learner.updates < gradient_steps and self._since_better < self._patience and not stop():
            before = learner.updates
            learner.update()
            done = learner.updates >= gradient_steps or stop()
            if done or before // self._every < learner.updates // self._every:
                kept = self._measure(learner, metrics) or kept
                on_measurement(self._measured[-1])
                status.attempt(learner.status("running", learner.updates / (time.monotonic() - begin_s)))
        return kept

    def _measure(self, learner: Learner, metrics: MetricsWriter) -> Measurement | None:
        """Measures and publishes; what was measured if it is what the session would end with now."""
        dream = learner.dream_of(self._rows, self._starts)
        trust = trust_of(dream, self._session)
        error, values = trust.mean, learner.metric_values()
        self._measured.append(Measurement(learner.updates, trust, values, error < self._lowest))
        scalars = values | dream.scalars() | {"held_out/error": error}
        for name, value in scalars.items():
            metrics.add_scalar(name, value, learner.updates)
        learner.publish()
        self._since_better = 0 if error < self._lowest else self._since_better + 1
        self._lowest = min(error, self._lowest)
        return self._measured[-1] if error <= AS_GOOD * self._lowest and learner.checkpoint() else None
