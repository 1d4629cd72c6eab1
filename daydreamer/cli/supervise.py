"""Runs the processes of a session: starts them, keeps the learner alive, and ends everything in a safe order."""

from __future__ import annotations

import contextlib
import enum
import importlib.util
import os
import time

from rich.console import Console

from daydreamer.actor.operator import OperatorRequest
from daydreamer.cli.child import Child
from daydreamer.cli.dashboard import dashboard_beside
from daydreamer.cli.keyboard import Keyboard
from daydreamer.cli.progress import ProgressView, summarise
from daydreamer.config import SessionConfig
from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.periodic import Schedule
from daydreamer.processes import session_processes
from daydreamer.robots import find_robot
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import StatusWriter, WalkStatus, read_process_status, read_status
from daydreamer.stop_request import StopRequest

POLL_S = 0.1
STATUS_PERIOD_S = 1.0
LARGEST_DOMAIN_ID = 232
HURRIED_TIMEOUT_S = 3.0
FIRST_RESTART_S = 1.0
LONGEST_RESTART_S = 60.0
STARTING_PATIENCE = 5.0
"""A starting process, which compiles, may be silent for this many times as long as a running one."""


class Ending(enum.Enum):
    """Why a session ended."""

    COMPLETE = "complete"
    REQUESTED = "requested"
    FAILED = "failed"


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


class SessionSupervisor:
    """One run of a session's processes, from start to summary."""

    def __init__(self, session: Session, minutes: float, stop: StopRequest):
        """Nothing runs yet.

        Args:
          session: to run; the caller holds its lock.
          minutes: robot time of the whole session.
          stop: asks for the end; a second signal hurries.
        """
        self._session = session
        self._minutes = minutes
        self._stop = stop
        self._events = EventLog(session.events)
        self._status = StatusWriter(session, "walk")
        self._children = [Child(process, session) for process in session_processes(session, minutes)]
        self._learner = next(child for child in self._children if child.name == "learner")
        self._learner_started_s = 0.0
        self._learner_pulse = Pulse(session.config.learner.silence_timeout_s)
        self._learner_ended_s: float | None = None
        self._restart_pause_s = FIRST_RESTART_S
        self._begin_s = time.monotonic()
        self._progress = ProgressView(Console(), session, minutes)

    def run(self) -> int:
        """Runs to the end; exit status 0, or 1 if a process that cannot be replaced ended by itself."""
        ending = Ending.FAILED
        with self._progress, Keyboard(self._on_request, self._progress.say):
            try:
                for child in reversed(self._children):
                    self._start(child)
                ending = self._watch()
            finally:
                self._write_status("running", "stopping")
                self._stop_all()
                self._record("stop", ending=ending.value, reason=self._stop.reason)
                self._write_status("failed" if ending is Ending.FAILED else "stopped", ending.value)
        self._print_summary(ending)
        return 1 if ending is Ending.FAILED else 0

    def _on_request(self, request: OperatorRequest) -> None:
        """Called on the keyboard's thread."""
        actor = self._children[0]
        said = request.value.replace("_", " ")
        self._progress.say(f"Operator: {said}." if actor.tell(request.value) else f"No actor to tell: {said}.")

    def _start(self, child: Child) -> None:
        child.start()
        self._record("process_start", process=child.name)
        if child is self._learner:
            self._learner_started_s = time.monotonic()
            self._learner_pulse.restart(self._learner_started_s)

    def _watch(self) -> Ending:
        status = Schedule(STATUS_PERIOD_S, at_once=True)
        while not self._stop:
            for child in self._children:
                if child is self._learner:
                    self._keep_learner()
                elif not child.running:
                    return self._judge_end(child)
            if status.due():
                self._progress.show(read_status(self._session), dashboard_url(self._session))
                self._write_status("running", None)
                self._end_hung_learner()
            time.sleep(POLL_S)
        return Ending.REQUESTED

    def _judge_end(self, child: Child) -> Ending:
        if child.name == "actor" and child.exit_status == 0:
            return Ending.COMPLETE
        self._report_end(child)
        return Ending.FAILED

    def _keep_learner(self) -> None:
        """A robot without a learner goes on with the policy it has; a new learner goes on from the last checkpoint."""
        if self._learner.running:
            return
        now_s = time.monotonic()
        if self._learner_ended_s is None:
            self._learner_ended_s = now_s
            if now_s - self._learner_started_s > LONGEST_RESTART_S:
                self._restart_pause_s = FIRST_RESTART_S
            self._report_end(self._learner)
            self._progress.say(f"The robot goes on; the learner is started again in {self._restart_pause_s:g} s.")
        elif now_s >= self._learner_ended_s + self._restart_pause_s:
            self._learner_ended_s = None
            self._restart_pause_s = min(2 * self._restart_pause_s, LONGEST_RESTART_S)
            self._start(self._learner)

    def _end_hung_learner(self) -> None:
        """A learner that has stopped reporting is killed; `_keep_learner` starts another."""
        if not self._learner.running:
            return
        status = read_process_status(self._session, "learner")
        own = status is not None and status.pid == self._learner.pid
        beat = (status.heartbeat_steady_s, status.state == "starting") if own else None
        silent_s = self._learner_pulse.silence(beat, time.monotonic())
        if silent_s is not None:
            self._record("process_kill", process="learner", reason="hung", silent_s=silent_s)
            self._progress.say(f"The learner has not reported for {silent_s:.0f} s and is killed.")
            self._learner.kill()

    def _report_end(self, child: Child) -> None:
        last_line = " ".join(child.last_lines(1))
        self._record("process_end", process=child.name, how=child.describe_end(), last_line=last_line)
        if child.exit_status == USER_ERROR_STATUS:
            self._progress.say(f"The {child.name} cannot go on: {last_line}")
            return
        self._progress.say(f"The {child.name} {child.describe_end()}. The end of {child.log_path}:")
        for line in child.last_lines(15):
            self._progress.say(f"  {line}")

    def _record(self, kind: str, **fields: object) -> None:
        """An event; a disk that does not take it must not keep us from stopping the robot in order."""
        try:
            self._events.record(kind, "walk", **fields)
        except UserError as error:
            self._progress.say(f"{error} What could not be written: {kind} {fields}")

    def _stop_all(self) -> None:
        """Actor, twin, learner: one after the other, because each lives on what the one before it gives."""
        for child in self._children:
            if not child.running:
                continue
            self._progress.show_line(f"Stopping the {child.name} ...")
            child.interrupt()
            if not self._wait(child):
                self._record("process_kill", process=child.name, reason="did not end in time")
                self._progress.say(f"The {child.name} did not end in time and was killed.")
                child.kill()

    def _wait(self, child: Child) -> bool:
        """Whether it ended in its time, which a second signal shortens, though not below what damping takes."""
        end_s = time.monotonic() + child.description.stop_timeout_s
        while not child.wait(POLL_S):
            if self._stop.signals > 1:
                end_s = min(end_s, time.monotonic() + HURRIED_TIMEOUT_S)
            if time.monotonic() >= end_s:
                return False
        return True

    def _write_status(self, state: str, message: str | None) -> None:
        self._status.attempt(WalkStatus(state=state, elapsed_s=time.monotonic() - self._begin_s, message=message))

    def _print_summary(self, ending: Ending) -> None:
        for line in summarise(read_status(self._session)):
            self._progress.say(line)
        self._progress.say(f"Session: {self._session.path}")
        if ending is not Ending.COMPLETE:
            self._progress.say(f"Go on with: daydreamer resume {self._session.path}")


def check_installation(config: SessionConfig) -> None:
    """Finds out before anything moves what would fail right after.

    Raises:
      UserError: a library is missing, or the ROS domain is not one.
    """
    if importlib.util.find_spec("rclpy") is None:
        raise UserError(
            "ROS 2's Python library rclpy is missing; install it with pip install 'daydreamer[ros]', or source "
            "/opt/ros/<distribution>/setup.bash."
        )
    if find_robot(config.robot).starts_twin and importlib.util.find_spec("mujoco") is None:
        raise UserError("The twin needs MuJoCo; install it with pip install 'mujoco<4'.")
    domain = config.ros_domain_id if config.ros_domain_id >= 0 else os.environ.get("ROS_DOMAIN_ID", "0")
    if not str(domain or "0").isdecimal() or int(domain or "0") > LARGEST_DOMAIN_ID:
        raise UserError(f"ROS_DOMAIN_ID is '{domain}'; it must be a number from 0 to 101.")


def run_session(session: Session, minutes: float, dashboard: bool = False) -> int:
    """Locks and runs a session; returns the exit status. `check_installation` comes first.

    Raises:
      UserError: the session is in use.
    """
    stop = StopRequest(watch_parent=False)
    beside = dashboard_beside(session, minutes) if dashboard else contextlib.nullcontext()
    with session.lock(), beside:
        return SessionSupervisor(session, minutes, stop).run()
