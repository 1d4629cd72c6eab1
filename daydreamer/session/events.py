"""What happened in a session and when: one JSON object per line, appended by every process."""

from __future__ import annotations

import errno
import logging
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daydreamer.errors import UserError


class EventLog:
    """Appends events to a file that several processes share."""

    def __init__(self, path: Path):
        self._path = path

    def record(self, kind: str, source: str, *, wall_s: float | None = None, **fields: Any) -> None:
        """Appends `{wall_s, kind, source, pid, ...fields}`; in the kernel on return, whole or not at all.

        Args:
          kind: what happened, as 'start', 'crash', 'emergency_stop'.
          source: the process it happened to or in, as 'actor'.
          wall_s: when it happened; now if None.
          **fields: anything JSON can hold, numpy scalars and paths too.

        Raises:
          UserError: the file cannot be written.
        """
        event = {
            "wall_s": time.time() if wall_s is None else wall_s,
            "kind": kind,
            "source": source,
            "pid": os.getpid(),
        }
        if clash := event.keys() & fields.keys():
            raise ValueError(f"{sorted(clash)} are set by the event log itself")
        line = msgspec.json.encode(event | fields, enc_hook=_to_builtin) + b"\n"
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                # A line torn by a power loss must not swallow this one.
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                # One write in append mode: lines of several processes never mix.
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise UserError(
                f"Events cannot be written to {self._path} ({error.strerror}); free some space or check the disk."
            ) from error

    def attempt(self, kind: str, source: str, **fields: Any) -> bool:
        """As `record`, but a file that cannot be written is complained about on stderr, event and all.

        For processes that have better things to do than to end because of it; whether it was recorded.
        """
        try:
            self.record(kind, source, **fields)
        except UserError as error:
            logging.error("%s Event %s of the %s: %s", error, kind, source, fields)
            return False
        return True


class EventTail:
    """Reads the events of a session while they are recorded; each `read` goes on where the last one ended."""

    def __init__(self, path: Path):
        self._path = path
        self._offset = 0
        self._lines = 0

    def read(self) -> list[dict[str, Any]]:
        """What has been recorded since; empty if there is no such file.

        A torn last line is left for later. A line before it that is not an event stands as
        `{kind: 'unreadable', source: 'events', line: number}`.
        """
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        # What follows the last newline is empty, or torn.
        *lines, rest = content.split(b"\n")
        events = []
        for number, line in enumerate(lines, start=self._lines + 1):
            if not line:
                continue
            try:
                events.append(msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.DecodeError, UnicodeDecodeError):
                events.append({"kind": "unreadable", "source": "events", "line": number})
        self._offset += len(content) - len(rest)
        self._lines += len(lines)
        return events


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events in the order they were recorded, see `EventTail.read`."""
    return EventTail(path).read()


def _to_builtin(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"an event cannot hold a {type(value).__name__}")
