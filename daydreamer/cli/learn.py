"""`daydreamer learn`, of which `walk` is one, and `daydreamer resume`."""

from __future__ import annotations

from pathlib import Path

from daydreamer.cli.begin import Beginning, Chosen, FromOthers
from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.drives import find_drive
from daydreamer.cli.launching import resumed_processes
from daydreamer.cli.supervise import check_installation, require_live, run_session
from daydreamer.config import Body
from daydreamer.processes import session_processes
from daydreamer.session.new import resumable_session
from daydreamer.session.progress import logged_steps, minutes_to_go


def learn(
    directory: Path | None, chosen: Chosen, others: FromOthers, *, body: Body, minutes: float, dashboard: bool
) -> int:
    """Runs a new session, with its dashboard beside it if asked for; returns the exit status.

    Raises:
      UserError: see `Beginning`, `Chosen.configure`, `require_live`, `check_installation`, `Session.create` and
        `run_session`.
    """
    beginning = Beginning(others)
    config = chosen.configure(minutes, body, beginning)
    require_live(config)
    check_installation(config)
    session = beginning.make(directory, config)
    print(f"Session {session.path}, stop with Ctrl-C.", flush=True)
    processes = session_processes(session, config.minutes, find_drive(chosen.robot, body).ros_arguments)
    return run_session(session, config.minutes, usable_dashboard(dashboard), processes)


def resume(session_directory: Path, more_minutes: float | None, dashboard: bool) -> int:
    """Goes on with a session for `more_minutes` of robot time, or for what is left of it; returns the exit status.

    Raises:
      UserError: there is no such session, its robot is not installed, nothing is left of it, it is not certain how its
        robot was driven, or see `run_session`.
    """
    session = resumable_session(session_directory)
    minutes = minutes_to_go(session, more_minutes)
    processes = resumed_processes(session, minutes)
    check_installation(session.config)
    done_minutes = logged_steps(session) / (60.0 * session.spec.control_rate_hz)
    print(f"Session {session.path}, {done_minutes:.1f} robot minutes so far, stop with Ctrl-C.", flush=True)
    if session.config.actor.teacher_after_s is not None:
        print("Its scripted teacher stood by in lock-step; in real time there is none.", flush=True)
    return run_session(session, minutes, usable_dashboard(dashboard), processes)
