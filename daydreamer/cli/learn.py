"""`daydreamer learn`, of which `walk` is one, and `daydreamer resume`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daydreamer.cli.begin import Beginning
from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.drives import find_drive
from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.launching import resumed_processes
from daydreamer.cli.supervise import check_installation, require_live, run_session
from daydreamer.config import Body
from daydreamer.processes import session_processes
from daydreamer.session.new import configure, resumable_session
from daydreamer.session.progress import logged_steps, minutes_to_go


def learn(
    session_directory: Path | None,
    *,
    robot: str,
    task: str | None,
    body: Body,
    minutes: float,
    seed: int,
    preset: str,
    twin_file: Path | None,
    overrides: list[str],
    dashboard: bool,
    parent: Path | None = None,
    experience_share: float | None = None,
    demonstrations: Sequence[Path] = (),
    demonstration_share: float | None = None,
) -> int:
    """Runs a new session, with its dashboard beside it if asked for; returns the exit status.

    Args:
      parent: directory of the session that it begins with.
      experience_share: see `LearnerConfig.inherited_share`.
      demonstrations, demonstration_share: see `Beginning`.

    Raises:
      UserError: see `Beginning`, `fitted_twin`, `configure`, `require_live`, `check_installation`, `Session.create`
        and `run_session`.
    """
    beginning = Beginning(parent, experience_share, demonstrations, demonstration_share)
    config = configure(
        robot=robot,
        task=task,
        body=body,
        minutes=minutes,
        seed=seed,
        preset=preset,
        twin=fitted_twin(twin_file),
        overrides=[*beginning.overrides, *overrides],
        parent=beginning.parent,
        is_shown=beginning.is_shown,
    )
    require_live(config)
    check_installation(config)
    session = beginning.make(session_directory, config)
    print(f"Session {session.path}, stop with Ctrl-C.", flush=True)
    processes = session_processes(session, config.minutes, find_drive(robot, body).ros_arguments)
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
