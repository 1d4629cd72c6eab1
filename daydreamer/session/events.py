"""What happened in a session and when: one JSON object per line, appended by every process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daydreamer.errors import UserError
from daydreamer.storage.files import open_file, rename_file
from daydreamer.texts import decode_json, seal_json, unseal_json

ROLL_BYTES = 4 << 20
"""Size at which the file is put aside as `events.1.jsonl`; the one before it goes. Some 20,000 events."""
LONGEST_LINE_BYTES = 1 << 16
MOST_BYTES = 16 << 20
"""Of a file from an earlier version, which did not roll: the latest so many bytes are read."""


def earlier_events(path: Path) -> Path:
    """Where the events before those in `path` are, once it has rolled."""
    return path.with_suffix(f".1{path.suffix}")


class EventLog:
    """Appends events to a file that several processes share."""

    def __init__(self, path: Path):
        self._path = path

    def record(self, kind: str, source: str, *, wall_s: float | None = None, **fields: Any) -> None:
        """Appends `{wall_s, kind, source, pid, ...fields, checksum}`; in the kernel on return, whole or not at all.

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
        if clash := {*event, "checksum"} & fields.keys():
            raise ValueError(f"{sorted(clash)} are set by the event log itself")
        line = seal_json(msgspec.json.encode(event | fields, enc_hook=_to_builtin)) + b"\n"
        try:
            descriptor = open_file(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
            try:
                # A line torn by a power loss must not swallow this one.
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                # One write in append mode: lines of several processes never mix.
                if os.write(descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if size + len(line) > ROLL_BYTES:
                    self._roll(descriptor)
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

    def _roll(self, descriptor: int) -> None:
        """Puts the file aside, unless another process has just done so; whoever has it open writes there once more."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            current = open_file(self._path)
            try:
                if os.path.samestat(os.fstat(current), os.fstat(descriptor)):
                    rename_file(self._path, earlier_events(self._path).name)
            finally:
                os.close(current)


class EventTail:
    """Reads the events of a session while they are recorded; each `read` goes on where the last one ended.

    Attributes:
      torn_bytes: after the last whole line, by the last `read`; nobody writes only a part of one.
    """

    def __init__(self, path: Path):
        self._path = path
        self._inode: int | None = None
        self._offset = 0
        self._lines = 0
        self._wall_s = 0.0
        self.torn_bytes = 0

    def read(self) -> list[dict[str, Any]]:
        """What has been recorded since; empty if there is no such file.

        Each has a kind, a source and a time, and what belongs to its kind. A torn last line is left for later. A line
        before it that is not an event, or whose checksum does not fit, stands as
        `{wall_s, kind: 'unreadable', source: 'events', line: number}`, with the time of the event before it.

        Raises:
          UserError: it cannot be read.
        """
        events = []
        for path, inode in ((earlier_events(self._path), self._inode), (self._path, None)):
            try:
                # If it has rolled since the last time, what was added in the meantime comes first.
                events += self._read(path, inode)
            except OSError as error:
                raise UserError(f"{path} cannot be read ({error.strerror}); check it and its permissions.") from error
        return events

    def _read(self, path: Path, inode: int | None) -> list[dict[str, Any]]:
        """What is new in a file; with `inode` only if it is that one."""
        try:
            descriptor = open_file(path)
        except FileNotFoundError:
            return []
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            found = os.fstat(descriptor)
            if inode is not None and found.st_ino != inode:
                return []
            if found.st_ino != self._inode or found.st_size < self._offset:
                self._inode, self._offset, self._lines = found.st_ino, 0, 0
            skipped = []
            if found.st_size - self._offset > MOST_BYTES:
                skipped = [self._unreadable()]
                self._offset = found.st_size - MOST_BYTES
            file.seek(self._offset)
            content = file.read(MOST_BYTES)
        # What follows the last newline is empty, or torn.
        *lines, rest = content.split(b"\n")
        events = [self._decode(number, line) for number, line in enumerate(lines, self._lines + 1) if line]
        self.torn_bytes = len(rest)
        self._offset += len(content) - len(rest)
        self._lines += len(lines)
        return skipped + events

    def _decode(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            event = _decode_event(line)
        except ValueError:
            return self._unreadable(line=number)
        self._wall_s = event["wall_s"]
        return event

    def _unreadable(self, **fields: Any) -> dict[str, Any]:
        return {"wall_s": self._wall_s, "kind": "unreadable", "source": "events", **fields}


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events in the order they were recorded, see `EventTail.read`."""
    return EventTail(path).read()


_COMMON: dict[str, Any] = {"wall_s": (int, float), "kind": str, "source": str}
_OF_A_KIND: Mapping[str, dict[str, Any]] = {
    "milestone": {"name": str, "robot_seconds": (int, float)},
    "update_skipped": {"count": int},
    "watchdog": {"name": str},
    "fault": {"error": str},
    "process_start": {"process": str},
    "process_end": {"process": str, "last_line": str},
    "log_problem": {"text": str},
    "safety_state": {"after": str},
    "intervention": {"by": str},
    "log_shorter_than_checkpoint": {"env_steps": int, "checkpoint_env_steps": int},
}
"""What others read of an event, by kind, and of which type."""


def _decode_event(line: bytes) -> dict[str, Any]:
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError("it is too long")
    event = decode_json(unseal_json(line), dict[str, Any])
    kind = event.get("kind")
    wanted = _COMMON | (_OF_A_KIND.get(kind, {}) if isinstance(kind, str) else {})
    for name, type in wanted.items():
        value = event.get(name)
        if not isinstance(value, type) or isinstance(value, bool):
            raise ValueError(f"'{name}' is missing or of another type")
        if isinstance(value, float | int) and not (math.isfinite(value) and abs(value) < 1e15):
            raise ValueError(f"'{name}' is no number of this world")
    return event


def _to_builtin(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"an event cannot hold a {type(value).__name__}")
