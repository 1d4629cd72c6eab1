"""How far a session is, counted from its experience alone."""

from __future__ import annotations

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import last_sequence
from daydreamer.session.directory import Session


def logged_steps(session: Session) -> int:
    """Steps in the logs of all actor lives."""
    return sum(last_sequence(path) + 1 for path in list_logs(session.experience).values())


def total_steps(session: Session, minutes: float | None = None) -> int:
    """Steps in `minutes` of robot time; without, in those the session was configured for."""
    minutes = session.config.minutes if minutes is None else minutes
    return round(minutes * 60.0 * session.spec.control_rate_hz)
