"""Several sessions that are looked at side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.session.directory import Session


def open_sessions(directories: Sequence[Path]) -> list[Session]:
    """The sessions in these directories, in the order given.

    Raises:
      UserError: one is none, or is named twice, or they are not of one robot and task.
    """
    sessions = [Session.open(directory) for directory in directories]
    if len({session.path for session in sessions}) < len(sessions):
        raise UserError("A session is named twice; name each once.")
    _require_same_task(sessions)
    return sessions


def _require_same_task(sessions: Sequence[Session]) -> None:
    first = sessions[0]
    for session in sessions[1:]:
        for what in ("robot", "task", "control_rate_hz"):
            ours, theirs = getattr(first.spec, what), getattr(session.spec, what)
            if ours != theirs:
                raise UserError(
                    f"{first.path} has {what} '{ours}' and {session.path} has '{theirs}': their rewards mean different "
                    "things. Compare sessions of one robot and task."
                )


def short_names(sessions: Sequence[Session]) -> list[str]:
    """Names of the directories, with as many of their parents as it takes to tell them apart."""
    for depth in range(1, max(len(session.path.parts) for session in sessions)):
        names = ["/".join(session.path.parts[-depth:]) for session in sessions]
        if len(set(names)) == len(names):
            break
    return names
