"""Keeps the learner of a session alive; a process of its own under ros2 launch: `-m daydreamer.cli.keeper`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from daydreamer.cli.child import POLL_S, Child
from daydreamer.config import STARTING_PATIENCE
from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.periodic import Schedule
from daydreamer.processes import learner_process
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import ProcessStatus, StatusWriter, forget_status, read_process_status
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.texts import printable

FIRST_RESTART_S = 1.0
LONGEST_RESTART_S = 60.0
MOST_REFUSALS = 3
"""A learner that has refused to begin this often, and has never been at work, is not going to be."""
HEARTBEAT_PERIOD_S = 1.0


class Pulse:
    """Tells from a process's heartbeats whether it hangs, on the watcher's own clock: nobody's wall clock counts."""

    def __init__(self, timeout_s: float):
        self._timeout_s = timeout_s
        self.restart(time.monotonic())

    def restart(self, now_s: float) -> None:
        """A new process has been started."""
        self._last: tuple[float, bool] | None = None
        self._seen_s = now_s

    def silence(self, beat: tuple[float, bool] | None, now_s: float) -> float | None:
        """How long the process has been silent in s if that is too long, otherwise None.

        Args:
          beat: its latest heartbeat, anything that changes, and whether it is still starting; None before the first.
        """
        if beat != self._last:
            self._last, self._seen_s = beat, now_s
        starting = beat is None or beat[1]
        limit_s = self._timeout_s * (STARTING_PATIENCE if starting else 1.0)
        silent_s = now_s - self._seen_s
        return silent_s if silent_s > limit_s else None


class LearnerKeeper:
    """Starts another learner when one has ended, after growing pauses, and kills one that hangs.

    A robot without a learner goes on with the policy it has; a new learner goes on from the last checkpoint. Where none
    has ever begun, because each refuses what it finds, there is nothing to go on with, and no robot has to move.

    Attributes:
      gave_up: no other learner is started any more.
    """

    def __init__(
        self, learner: Child, session: Session, record: Callable[..., None], say: Callable[[str], None]
    ) -> None:
        """Nothing runs yet.

        Args:
          record: called as `record(kind, **fields)` on events.
          say: called with each sentence for the operator.
        """
        self._learner = learner
        self._session = session
        self._record = record
        self._say = say
        self._pulse = Pulse(session.config.learner.silence_timeout_s)
        self._started_s = 0.0
        self._ended_s: float | None = None
        self._pause_s = FIRST_RESTART_S
        self._refusals = 0
        self._has_worked = False
        self.gave_up = False

    def start(self) -> None:
        self._learner.start()
        self._record("process_start", process=self._learner.name)
        self._started_s = time.monotonic()
        self._pulse.restart(self._started_s)

    def keep(self) -> None:
        """Restarts it if it has ended and its pause is over; call it often."""
        if self._learner.running or self.gave_up:
            return
        now_s = time.monotonic()
        if self._ended_s is None:
            self._ended_s = now_s
            if now_s - self._started_s > LONGEST_RESTART_S:
                self._pause_s = FIRST_RESTART_S
            self._learner.report_end(self._record, self._say)
            self._refusals = self._refusals + 1 if self._learner.exit_status == USER_ERROR_STATUS else 0
            self.gave_up = self._refusals >= MOST_REFUSALS and not self._has_worked
            if self.gave_up:
                self._say("No learner is started any more: none has been able to begin.")
                return
            self._say(f"The robot goes on; the learner is started again in {self._pause_s:g} s.")
        elif now_s >= self._ended_s + self._pause_s:
            self._ended_s = None
            self._pause_s = min(2 * self._pause_s, LONGEST_RESTART_S)
            self.start()

    def end_hung(self, can_report: bool = True) -> None:
        """Kills one that has stopped reporting; `keep` starts another.

        Args:
          can_report: the disk takes what processes report; if not, silence says nothing.
        """
        if not self._learner.running:
            return
        if not can_report:
            self._pulse.restart(time.monotonic())
            return
        status = read_process_status(self._session, "learner")
        own = status is not None and status.pid == self._learner.pid
        self._has_worked |= own and status.state == "running"
        beat = (status.heartbeat_steady_s, status.state == "starting") if own else None
        silent_s = self._pulse.silence(beat, time.monotonic())
        if silent_s is not None:
            self._record("process_kill", process="learner", reason="hung", silent_s=silent_s)
            self._say(f"The learner has not reported for {silent_s:.0f} s and is killed.")
            self._learner.kill()


def main(arguments: Sequence[str], stop: StopRequest) -> None:
    parser = argparse.ArgumentParser(prog="keeper", description=__doc__)
    parser.add_argument("--session", type=Path, required=True, metavar="DIR", help="session directory")
    session = Session.open(parser.parse_args(arguments).session)
    events = EventLog(session.events)

    def record(kind: str, **fields: object) -> bool:
        return events.attempt(kind, "keeper", **fields)

    def say(line: str) -> None:
        print(printable(line), flush=True)

    def report(state: str) -> bool:
        try:
            status.write(ProcessStatus(state=state))
        except UserError:  # the learner says so
            return False
        return True

    status = StatusWriter(session, "keeper")
    report("starting")
    forget_status(session, "walk")  # of an earlier life of the session, by the other command
    learner = Child(learner_process(session), session)
    keeper = LearnerKeeper(learner, session, record, say)
    heartbeat = Schedule(HEARTBEAT_PERIOD_S, at_once=True)
    try:
        keeper.start()
        while not stop:
            keeper.keep()
            if keeper.gave_up:
                raise UserError(" ".join(learner.last_lines(1)))
            if heartbeat.due():
                keeper.end_hung(can_report=report("running"))
            time.sleep(POLL_S)
    finally:
        learner.end(stop, record, say)
        report("stopped")


if __name__ == "__main__":
    sys.exit(run_process(main))
