"""`daydreamer play`: a frozen policy of another session drives the robot."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.drives import find_drive
from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.supervise import check_installation, run_session
from daydreamer.config import Body
from daydreamer.errors import UserError
from daydreamer.processes import session_processes
from daydreamer.session.directory import Session
from daydreamer.session.new import configure_played, new_played_session
from daydreamer.session.status import is_running
from daydreamer.telemetry.measured_policies import choose_policy


def play(
    directory: Path,
    *,
    version: str,
    session_directory: Path | None,
    body: Body,
    minutes: float,
    seed: int | None,
    samples: bool,
    twin_file: Path | None,
    overrides: Sequence[str],
    dashboard: bool,
) -> int:
    """Runs a new session that plays a policy of the one in `directory`; returns the exit status.

    Raises:
      UserError: see `make_played_session` and `run_session`.
    """
    session = make_played_session(
        directory,
        version=version,
        session_directory=session_directory,
        body=body,
        minutes=minutes,
        seed=seed,
        samples=samples,
        twin_file=twin_file,
        overrides=overrides,
    )
    print(f"Session {session.path} plays {describe_origin(session)}; stop with Ctrl-C.", flush=True)
    processes = session_processes(session, minutes, find_drive(session.config.robot, body).ros_arguments)
    return run_session(session, minutes, usable_dashboard(dashboard), processes)


def make_played_session(
    directory: Path,
    *,
    version: str,
    session_directory: Path | None,
    body: Body,
    minutes: float,
    seed: int | None,
    samples: bool,
    twin_file: Path | None,
    overrides: Sequence[str],
) -> Session:
    """A new session with the policy that it is to play; that in `directory` is only read, and may be running.

    Args:
      directory: the session that has learned the policy.
      version: see `choose_policy`.
      session_directory: of the new one, see `new_session`.
      twin_file: that `fit` wrote, or None.
      seed, samples, overrides: see `configure_played`.

    Raises:
      UserError: `directory` is no session that can be gone on with, has no such policy, its robot cannot be used here,
        or `twin_file` is no such file. Nothing has been made then.
    """
    learned = Session.open(directory)
    learned.require_resumable()
    policy = choose_policy(learned, version)
    config = configure_played(
        learned,
        policy.metadata,
        body=body,
        minutes=minutes,
        seed=seed,
        samples=samples,
        twin=fitted_twin(twin_file),
        overrides=overrides,
    )
    check_installation(config)
    plays = policy.played(learned, version, samples)
    return new_played_session(session_directory, config, learned, plays, policy.path)


def describe_origin(session: Session) -> str:
    """What a session plays, and whether there may soon be something better."""
    assert session.plays is not None, "it was made to play something"
    try:
        runs = is_running(Session.open(session.plays.session))
    except UserError:
        runs = False
    return session.plays.description + ("; that session still runs" if runs else "")
