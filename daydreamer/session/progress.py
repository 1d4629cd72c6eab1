"""How far a session is, counted from its experience alone."""

from __future__ import annotations

from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.experience.header import CorruptLog
from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import last_sequence
from daydreamer.session.directory import Session


def logged_steps(session: Session) -> int:
    """Steps in the logs of all actor lives; none of one that is damaged so that nobody can say, see `read_status`.

    Raises:
      UserError: a log cannot be read.
    """
    return sum(_steps_in(path) for path in list_logs(session.experience).values())


def _steps_in(path: Path) -> int:
    try:
        return last_sequence(path) + 1
    except CorruptLog:
        return 0  # a session goes on without them, as its learner does


def total_steps(session: Session, minutes: float | None = None) -> int:
    """Steps in `minutes` of robot time; without, in those the session was configured for."""
    minutes = session.config.minutes if minutes is None else minutes
    return round(minutes * 60.0 * session.spec.control_rate_hz)


def is_complete(session: Session, minutes: float | None = None) -> bool:
    """Whether all of its steps are logged, see `total_steps`.

    Raises:
      UserError: a log cannot be read.
    """
    return logged_steps(session) >= total_steps(session, minutes)


def minutes_to_go(session: Session, further: float | None) -> float:
    """Robot minutes that a session is to have in all when it goes on for `further`, or for what is left of it.

    Raises:
      UserError: nothing would be left to do.
    """
    done_steps = logged_steps(session)
    done_minutes = done_steps / (60.0 * session.spec.control_rate_hz)
    if further is None and done_steps >= total_steps(session):
        raise UserError(
            f"{session.path} is complete with {done_minutes:.1f} robot minutes; go on for longer with "
            f"'{session.resume_command(10)}'."
        )
    if further is not None and not further > 0:
        raise UserError(f"{further:g} further minutes would do nothing; choose a number above 0.")
    return session.config.minutes if further is None else done_minutes + further
