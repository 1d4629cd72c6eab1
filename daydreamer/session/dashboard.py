"""Where the dashboard of a running session is, for the other processes to tell."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from daydreamer.session.directory import Session
from daydreamer.session.status import STATUS_BYTES, ProcessIdentity
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import read_file, remove_file
from daydreamer.texts import decode_json


class _Announcement(msgspec.Struct, kw_only=True):
    """Attributes:
    process: what serves the page; see `ProcessIdentity`.
    """

    url: str
    process: ProcessIdentity


@contextlib.contextmanager
def announce_dashboard(session: Session, url: str) -> Iterator[None]:
    """Says that this process shows the session at `url` until the end of the block; only to the owner of the session.

    The address holds what lets one look.

    Raises:
      UserError: it cannot be written.
    """
    place = _place(session)
    announcement = _Announcement(url=url, process=ProcessIdentity.of_this_process())
    with writing("Where the dashboard is", place):
        write_atomically(place, msgspec.json.encode(announcement), durable=False)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            remove_file(place)


def dashboard_url(session: Session) -> str | None:
    """Where it is; None if there is none, what served it is gone, or this is not an address of this machine's."""
    try:
        place = decode_json(read_file(_place(session), STATUS_BYTES), _Announcement)
    except (OSError, ValueError):
        return None
    return place.url if _is_own(place.url) and place.process.is_alive() else None


def _is_own(url: str) -> bool:
    """A session may come from a stranger, and this is shown in terminals, and opened by those who trust them."""
    return _URL.fullmatch(url) is not None


_URL = re.compile(r"https?://(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}/(\?token=[A-Za-z0-9_-]{1,100})?", re.ASCII)


def note_page_opened(session: Session) -> None:
    """Tells the learner, which shares the processor with a browser on this machine, that one opens the page now."""
    # A page is worth no error: the disk may be full.
    with contextlib.suppress(OSError):
        write_atomically(session.status / _OPENED, f"{time.monotonic()}".encode(), durable=False)


def page_opened_s(session: Session) -> float | None:
    """When that was last, on the steady clock of the machine that shows the page; None if it never was."""
    try:
        return float(read_file(session.status / _OPENED, 64))
    except (OSError, ValueError):
        return None


_OPENED = "page_opened"


def _place(session: Session) -> Path:
    return session.status / "dashboard.json"
