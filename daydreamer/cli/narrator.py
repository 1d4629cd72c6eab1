"""Tells an operator about a session in words; a process of its own under ros2 launch: `-m daydreamer.cli.narrator`.

Lines come every ten seconds, and when a milestone is reached or something goes wrong; at the end, when all processes
have ended, there is a verdict, and a report is written. It only reads the session, apart from the report.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from daydreamer.cli.child import POLL_S, Child
from daydreamer.cli.progress import ProgressView, summarise
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.periodic import Schedule
from daydreamer.processes import ProcessDescription
from daydreamer.scheduling import look_on
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.session.progress import is_complete
from daydreamer.session.status import read_status
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.session_telemetry import TelemetryReader

PERIOD_S = 10.0
"""Between two looks: judging a session takes some tenths of a second."""

REPEAT_S = 300.0
"""What goes wrong again sooner after it was said is not said again."""

LEAST_REPORTED_MINUTES = 1.0
"""About less robot time than this there is nothing to tell."""

OTHERS_TIMEOUT_S = 90.0
"""For the session's processes to end; the learner, which reads the rest and writes a checkpoint, takes longest."""


class Narrator:
    """Says once what an operator should not miss.

    Attributes:
      wrong: titles of what is wrong now.
    """

    def __init__(self, session: Session, say: Callable[[str], None]):
        """Nothing is said yet; what was reached before is not said at all."""
        self.wrong: tuple[str, ...] = ()
        self._say = say
        self._telemetry = TelemetryReader(session)
        self._reached = set(read_status(session)["milestones_s"])
        self._said_s: dict[str, float] = {}

    def look(self) -> None:
        """Reads what is new and says what is worth it."""
        try:
            telemetry = self._telemetry.read()
            advice = judge(telemetry)
        except UserError as error:  # what cannot be read now may be read later
            self.wrong = (str(error),)
            return
        for name, seconds in telemetry.status["milestones_s"].items():
            if name not in self._reached:
                self._reached.add(name)
                self._say(f"Milestone: {name} after {seconds / 60:.1f} robot minutes.")
        for each in advice:
            self._say_what_is_wrong(each)
        self.wrong = tuple(each.title for each in advice)

    def _say_what_is_wrong(self, advice: Advice) -> None:
        now_s = time.monotonic()
        again = advice.title in self.wrong or now_s - self._said_s.get(advice.rule, -REPEAT_S) < REPEAT_S
        if not again:
            self._said_s[advice.rule] = now_s
            self._say(f"{advice.title}: {advice.sentence}")


def conclude(session: Session, say: Callable[[str], None], hurried: Callable[[], bool], go_on: str | None) -> None:
    """Says what a session that has ended has come to, and writes its report in a process of its own.

    Args:
      hurried: asked now and then; the report is given up once it says so.
      go_on: command by which the session goes on; None if it is complete.
    """
    status = read_status(session)
    for line in summarise(status):
        say(line)
    say(f"Session: {session.path}")
    if go_on is not None and (status["env_steps"] or status["problems"]):
        say(f"Go on with: {go_on}")
    if (status["robot_seconds"] or 0.0) < 60.0 * LEAST_REPORTED_MINUTES or hurried():
        return
    say("Writing the report; Ctrl-C goes without.")
    report = Child(ProcessDescription("report", "daydreamer.cli.main", "", ("report", str(session.path))), session)
    report.start()
    while not report.wait(POLL_S):
        if hurried():
            report.kill()
            say(f"There is no report; 'daydreamer report {session.path}' writes one.")
            return
    for line in report.last_lines(50):
        say(line)


def main(arguments: Sequence[str], stop: StopRequest) -> None:
    look_on()
    parser = argparse.ArgumentParser(prog="narrator", description=__doc__)
    parser.add_argument("--session", type=Path, required=True, metavar="DIR", help="session directory")
    parser.add_argument("--minutes", type=float, help="robot time that the session is to have")
    options = parser.parse_args(arguments)
    session = Session.open(options.session)
    minutes = options.minutes or session.config.minutes
    view = ProgressView(Terminal(), session, minutes)
    narrator = Narrator(session, view.say)
    period = Schedule(PERIOD_S)
    with view:
        while not stop:
            if period.due():
                narrator.look()
            view.show(read_status(session), dashboard_url(session), narrator.wrong)
            time.sleep(10 * POLL_S)
    if stop.parent_gone:  # nobody is there to read it
        return
    end_s = time.monotonic() + OTHERS_TIMEOUT_S
    while _others_run(session) and time.monotonic() < end_s and stop.signals < 2:
        time.sleep(POLL_S)
    go_on = None if is_complete(session, minutes) else session.resume_command()
    conclude(session, view.say, lambda: stop.signals > 1 or stop.parent_gone, go_on)


def _others_run(session: Session) -> bool:
    ended = ("stopped", "failed", "crashed")
    return any(process["state"] not in ended for process in read_status(session)["processes"].values())


if __name__ == "__main__":
    sys.exit(run_process(main))
