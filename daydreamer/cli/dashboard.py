"""The dashboard beside a session that `walk` runs, and by itself as `daydreamer watch`."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

from daydreamer.cli.child import Child
from daydreamer.errors import UserError
from daydreamer.processes import dashboard_process
from daydreamer.session.directory import Session
from daydreamer.stop_request import StopRequest


def is_installed() -> bool:
    return all(importlib.util.find_spec(package) is not None for package in ("aiohttp", "cryptography", "rerun"))


def usable_dashboard(wanted: bool, say: Callable[[str], object] = print) -> bool:
    """Whether there is to be one; says so if it is wanted and cannot be."""
    if wanted and not is_installed():
        say("There is no dashboard without Rerun (pip install 'daydreamer[viewer]'); progress is shown here.")
        return False
    return wanted


def dashboard_alongside(session: Session, minutes: float) -> contextlib.AbstractContextManager[None]:
    """Runs the dashboard in a process of its own until the end of the block; nobody misses it if it ends earlier.

    Args:
      minutes: robot time that the session is to have.
    """
    return Child(dashboard_process(session, minutes), session).running_alongside()


def watch(
    session_directory: Path,
    address: str,
    port: int | None,
    open_browser: bool,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serves the dashboard of a running or finished session until it is interrupted.

    Raises:
      UserError: there is no such session, Rerun is missing, or see `show`.
    """
    session = Session.open(session_directory)
    if not is_installed():
        raise UserError("The dashboard needs Rerun and a web server; install them: pip install 'daydreamer[viewer]'.")
    if key is not None and certificate is None:
        raise UserError("--key is of no use without the --certificate that belongs to it.")
    from daydreamer.viewer.process import show

    show(
        session,
        StopRequest(watch_parent=False),
        address=address,
        port=port,
        certificate=certificate,
        key=key,
        open_browser=open_browser,
    )
