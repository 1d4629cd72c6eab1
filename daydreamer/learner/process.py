"""The learner as a process of its own: `python -m daydreamer.learner.process --session DIR`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from daydreamer.scheduling import LEARNER_NICENESS, be_nice, group_before_others

if __name__ == "__main__":
    # While libraries load, an interrupt simply ends the process. As an exception it is lost if it happens to be raised
    # in one of JAX's callbacks of the garbage collector, and there is nothing to save yet.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    be_nice(LEARNER_NICENESS)

import jax

from daydreamer.accelerators import share_gpu_memory
from daydreamer.compilation import keep_compilations
from daydreamer.learner.learner import Learner
from daydreamer.periodic import Schedule
from daydreamer.session.dashboard import page_opened_s
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import LearnerStatus, ProcessState, StatusWriter
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.telemetry.metrics import MetricsWriter

INGEST_PERIOD_S = 0.25
STATUS_PERIOD_S = 1.0
IDLE_S = 0.02
PAGE_S, PAGE_PAUSE_S = 10.0, 50.0
"""Training stands still for so long when the dashboard is opened, and then not again for a while."""


class PageWatch:
    """Says when to leave the processor to a browser on this machine that opens the dashboard.

    Without a GPU, loading and drawing the page takes ten seconds of a core. Training that stands still for as long
    loses nothing that it does not catch up with.
    """

    def __init__(self, session: Session):
        self._session = session
        self._look = Schedule(INGEST_PERIOD_S, at_once=True)
        self._until_s = -math.inf

    def opening(self) -> bool:
        now_s = time.monotonic()
        if self._look.due() and (opened_s := page_opened_s(self._session)) is not None:
            # A time that is yet to come is of before the machine was started again.
            if opened_s <= now_s < opened_s + PAGE_S and opened_s > self._until_s + PAGE_PAUSE_S:
                self._until_s = opened_s + PAGE_S
        return now_s < self._until_s


class LearnerProcess:
    """Reads, trains, publishes and reports until it is told to stop; then reads the rest and checkpoints."""

    def __init__(self, session: Session, learner: Learner, metrics: MetricsWriter, status: StatusWriter):
        self._learner = learner
        self._metrics = metrics
        self._status = status
        config = session.config.learner
        self._ingest = Schedule(INGEST_PERIOD_S)
        self._report = Schedule(STATUS_PERIOD_S)
        self._publish = Schedule(config.publish_period_s)
        self._checkpoint = Schedule(config.checkpoint_period_s)
        self._scalars = Schedule(config.metrics_period_s)
        self._dream = Schedule(config.dream_period_s or math.inf)
        self._published_updates = learner.updates
        self._rate_start = (time.monotonic(), learner.updates)
        self._updates_per_s = 0.0
        self._page = PageWatch(session)
        self._on_cpu = jax.default_backend() == "cpu"

    def run(self, stop: StopRequest) -> None:
        learner = self._learner
        learner.ingest()
        while not stop:
            if self._ingest.due():
                learner.ingest()
            may_learn = learner.has_enough and learner.updates_allowed(learner.env_steps) > 0
            if may_learn and not (self._on_cpu and self._page.opening()):
                learner.update()
            else:
                time.sleep(IDLE_S)
            self._do_what_is_due()
        # What the actor has logged last is still to be read; what it logs later, by whoever goes on.
        learner.ingest()
        self._publish_if_new()
        self._metrics.close()  # the checkpoint says how much of them there is
        if learner.updates:
            learner.checkpoint()

    def current(self, state: ProcessState) -> LearnerStatus:
        return self._learner.status(state, self._updates_per_s)

    def _do_what_is_due(self) -> None:
        learner = self._learner
        if self._publish.due():
            self._publish_if_new()
        if self._report.due():
            begin_s, begin_updates = self._rate_start
            self._updates_per_s = (learner.updates - begin_updates) / (time.monotonic() - begin_s)
            self._status.attempt(self.current("running"))
        if self._checkpoint.due() and learner.updates:
            learner.checkpoint()
        if self._scalars.due() and learner.metrics and self._rate_start[1] < learner.updates:
            for name, value in learner.metric_values().items():
                self._metrics.add_scalar(name, value, learner.updates)
            self._metrics.add_scalar("learner/updates_per_s", self._updates_per_s, learner.updates)
            self._metrics.add_scalar("learner/replay_steps", len(learner.replay), learner.updates)
            self._rate_start = (time.monotonic(), learner.updates)
        # Also before there is anything worth recording: it is compiled while the robot still moves at random.
        if self._dream.due() and (dream := learner.dream()) is not None:
            for name, value in dream.scalars().items():
                self._metrics.add_scalar(name, value, dream.gradient_step)

    def _publish_if_new(self) -> None:
        updates = self._learner.updates
        if updates > self._published_updates and self._learner.publish() is not None:
            self._published_updates = updates


def main(arguments: Sequence[str], stop: StopRequest) -> None:
    parser = argparse.ArgumentParser(prog="learner", description=__doc__)
    parser.add_argument("--session", type=Path, required=True, metavar="DIR", help="session directory")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    share_gpu_memory()
    session = Session.open(options.session)
    keep_compilations()
    events = EventLog(session.events)
    status = StatusWriter(session, "learner")

    def on_event(kind: str, **fields: object) -> None:
        events.attempt(kind, "learner", **fields)
        # Not print: the reader of our output may be gone, and that must not keep us from the last checkpoint.
        logging.info("%s %s", kind, fields)

    with contextlib.ExitStack() as stack:
        stack.enter_context(session.lock("learner"))
        stack.enter_context(group_before_others())
        metrics = stack.enter_context(contextlib.closing(MetricsWriter(session.metrics / "learner")))
        on_event("start", nice=os.getpriority(os.PRIO_PROCESS, 0))
        status.attempt(LearnerStatus(state="starting"))
        process = None
        state: ProcessState = "failed"
        try:
            learner = Learner(session, on_event)
            with contextlib.closing(learner):
                if session.config.learner.train_ratio:
                    learner.compile()  # before the first step is there to learn from
                process = LearnerProcess(session, learner, metrics, status)
                process.run(stop)
            state = "stopped"
        except Exception as error:
            on_event("fault", error=str(error))
            raise
        finally:
            status.attempt(process.current(state) if process else LearnerStatus(state=state))
            on_event("stop", reason=stop.reason)


if __name__ == "__main__":
    sys.exit(run_process(main))
