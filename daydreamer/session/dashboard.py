"""Where the dashboard of a running session is, for the other processes to tell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from daydreamer.session.atomic import write_atomically
from daydreamer.session.directory import Session


@contextlib.contextmanager
def announce_dashboard(session: Session, url: str) -> Iterator[None]:
    """Says that this process shows the session at `url` until the end of the block."""
    place = _place(session)
    write_atomically(place, msgspec.json.encode({"url": url, "pid": os.getpid()}), durable=False)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)


def dashboard_url(session: Session) -> str | None:
    """Where it is; None if there is none, or what served it is gone."""
    try:
        place = msgspec.json.decode(_place(session).read_bytes())
        os.kill(place["pid"], 0)
    except (OSError, msgspec.DecodeError):
        return None
    return place["url"]


def _place(session: Session) -> Path:
    return session.status / "dashboard.json"
