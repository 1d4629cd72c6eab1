"""Runs the processes of a session: starts them, keeps a learner alive, and ends everything in a safe order."""

from __future__ import annotations

import contextlib
import enum
import importlib.util
import os
import time
from collections.abc import Sequence

from daydreamer.actor.operator import STEER, OperatorRequest
from daydreamer.cli.child import POLL_S, Child
from daydreamer.cli.dashboard import dashboard_alongside
from daydreamer.cli.keeper import LearnerKeeper
from daydreamer.cli.keyboard import Keyboard, Voice
from daydreamer.cli.narrator import PERIOD_S, Narrator, conclude
from daydreamer.cli.progress import ProgressView
from daydreamer.cli.terminal import Terminal
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.rolling import require_disk
from daydreamer.middleware import require_middleware
from daydreamer.periodic import Schedule, periodically
from daydreamer.processes import ProcessDescription, session_processes
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.progress import is_complete
from daydreamer.session.status import StatusWriter, WalkStatus, forget_status, read_status
from daydreamer.stop_request import StopRequest

STATUS_PERIOD_S = 1.0
LARGEST_DOMAIN_ID = 232


class Ending(enum.Enum):
    """Why a session ended."""

    COMPLETE = "complete"
    REQUESTED = "requested"
    FAILED = "failed"


class SessionSupervisor:
    """One run of a session's processes, from start to summary."""

    def __init__(
        self, session: Session, minutes: float, stop: StopRequest, processes: Sequence[ProcessDescription] = ()
    ):
        """Nothing runs yet.

        Args:
          session: to run; the caller holds its lock.
          minutes: robot time of the whole session.
          stop: asks for the end; a second signal hurries.
          processes: in the order in which to stop them; by default those of a new session.
        """
        self._session = session
        self._minutes = minutes
        self._stop = stop
        self._events = EventLog(session.events)
        self._status = StatusWriter(session, "walk")
        self._status_written = True
        self._children = [Child(process, session) for process in processes or session_processes(session, minutes)]
        self._progress = ProgressView(Terminal(), session, minutes)
        self._narrator = Narrator(session, self._progress.say)
        self._voice = Voice(self._progress.say)
        self._learner = next((child for child in self._children if child.name == "learner"), None)
        self._keeper = self._learner and LearnerKeeper(self._learner, session, self._record, self._progress.say)
        self._begin_s = time.monotonic()

    def run(self) -> int:
        """Runs to the end; exit status 0, or 1 if a process ended by itself that cannot be replaced."""
        ending = Ending.FAILED
        # The narrator, whom a busy disk may hold up, is waited for only when the robot and all else have been stopped.
        narration = periodically(self._narrator.look, PERIOD_S, "narrator")
        keyboard = Keyboard(self._on_request, self._voice.say, self._on_steer)
        with self._progress, self._voice, keyboard, narration:
            try:
                for child in reversed(self._children):
                    self._start(child)
                ending = self._watch()
            finally:
                self._write_status("running", "stopping")
                self._stop_all()
                self._record("stop", ending=ending.value, reason=self._stop.reason)
                self._write_status("failed" if ending is Ending.FAILED else "stopped", ending.value)
        go_on = None if ending is Ending.COMPLETE else self._session.resume_command()
        signals = min(1, self._stop.signals)  # twice asked for the end means without a report
        conclude(self._session, self._progress.say, lambda: self._stop.signals > signals, go_on)
        return 1 if ending is Ending.FAILED else 0

    def _on_request(self, request: OperatorRequest) -> None:
        """Called on the keyboard's thread."""
        actor = self._children[0]
        said = request.value.replace("_", " ")
        self._voice.say(f"Operator: {said}." if actor.tell(request.value) else f"No actor to tell: {said}.")

    def _on_steer(self, key: str) -> None:
        """Called on the keyboard's thread."""
        self._children[0].tell(f"{STEER} {key}")

    def _start(self, child: Child) -> None:
        if self._keeper and child is self._learner:
            self._keeper.start()
            return
        child.start()
        self._record("process_start", process=child.name)

    def _watch(self) -> Ending:
        status = Schedule(STATUS_PERIOD_S, at_once=True)
        while not self._stop:
            for child in self._children:
                if self._keeper and child is self._learner:
                    self._keeper.keep()
                    if self._keeper.gave_up:
                        return Ending.FAILED
                elif not child.running:
                    return self._judge_end(child)
            if status.due():
                self._progress.show(read_status(self._session), dashboard_url(self._session), self._narrator.wrong)
                self._write_status("running", None)
                if self._keeper:
                    # Where this command cannot report, neither can the learner.
                    self._keeper.end_hung(can_report=self._status_written)
            time.sleep(POLL_S)
        return Ending.REQUESTED

    def _judge_end(self, child: Child) -> Ending:
        if child.name == "actor" and child.exit_status == 0 and is_complete(self._session, self._minutes):
            return Ending.COMPLETE
        child.report_end(self._record, self._progress.say)
        return Ending.FAILED

    def _record(self, kind: str, **fields: object) -> None:
        """An event; a disk that does not take it must not keep us from stopping the robot in order."""
        try:
            self._events.record(kind, "walk", **fields)
        except UserError as error:
            self._progress.say(f"{error} What could not be written: {kind} {fields}")

    def _stop_all(self) -> None:
        """Actor, twin, learner: one after the other, because each lives on what the one before it gives."""
        for child in self._children:
            if child.running:
                self._progress.show_line(f"Stopping the {child.name} ...")
                child.end(self._stop, self._record, self._progress.say)

    def _write_status(self, state: str, message: str | None) -> None:
        """A disk that does not take it is complained about once; the other processes cannot report either."""
        status = WalkStatus(state=state, elapsed_s=time.monotonic() - self._begin_s, message=message)
        try:
            self._status.write(status)
        except UserError as error:
            if self._status_written:
                self._progress.say(str(error))
            self._status_written = False
        else:
            self._status_written = True


def check_installation(config: SessionConfig) -> None:
    """Finds out before anything moves what would fail right after.

    Raises:
      UserError: a library is missing, or see `check_ros`.
    """
    check_ros(config.ros_domain_id)
    if config.body == "twin" and importlib.util.find_spec("mujoco") is None:
        raise UserError("The twin needs MuJoCo; install it with pip install 'mujoco<4'.")


def check_ros(domain_id: int = -1) -> None:
    """Finds out whether nodes can run in a ROS domain, by default in that of this process.

    Raises:
      UserError: the library is missing, or the domain or its middleware is not one.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise UserError(
            "ROS 2's Python library rclpy is missing; install it with pip install 'daydreamer[ros]', or source "
            "/opt/ros/<distribution>/setup.bash."
        )
    require_middleware()
    domain = domain_id if domain_id >= 0 else os.environ.get("ROS_DOMAIN_ID", "0")
    if not str(domain or "0").isdecimal() or int(domain or "0") > LARGEST_DOMAIN_ID:
        raise UserError(f"ROS_DOMAIN_ID is '{domain}'; it must be a number from 0 to 101.")


def require_live(config: SessionConfig) -> None:
    """Refuses, for a new session in real time, what there is in lock-step alone.

    Raises:
      UserError: names it.
    """
    if config.actor.teacher_after_s is not None or config.actor.teacher_s is not None:
        raise UserError(
            "A scripted teacher stands by in lock-step alone; use 'daydreamer train', or leave out "
            "actor.teacher_after_s and actor.teacher_s and intervene yourself, with i."
        )


def run_session(
    session: Session, minutes: float, dashboard: bool = False, processes: Sequence[ProcessDescription] = ()
) -> int:
    """Locks and runs a session; returns the exit status. `check_installation` comes first.

    Args:
      processes: see `SessionSupervisor`.

    Raises:
      UserError: the session is in use, or its disk takes nothing; said before anything is started.
    """
    require_disk(session.experience)
    stop = StopRequest(watch_parent=False)
    alongside = dashboard_alongside(session, minutes) if dashboard else contextlib.nullcontext()
    with session.lock(), alongside:
        StatusWriter(session, "walk").attempt(WalkStatus(state="starting"))
        forget_status(session, "keeper")  # of an earlier life of the session, by the other command
        return SessionSupervisor(session, minutes, stop, processes).run()
