"""Reads the TensorBoard scalars of a session while they are written.

TensorBoard's own reader would bring a web server and gRPC to every robot. The files are framed protocol buffers
(TFRecord: length, its checksum, data, its checksum), whose messages come with tensorboardX, which wrote them.
"""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event

_LENGTH = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
# No scalar comes near it; a longer one is a damaged length, after which nothing can be told apart.
_LONGEST_RECORD_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Scalars:
    """One tag over time, in the order of `wall_s`.

    Attributes:
      wall_s, step, value: `[points]`; what a step is depends on the writer.
    """

    wall_s: np.ndarray
    step: np.ndarray
    value: np.ndarray


class ScalarReader:
    """All scalars below a directory, whoever wrote them; each `read` goes on where the last one ended.

    Attributes:
      problems: what could not be read, one sentence for each file.
    """

    def __init__(self, directory: Path):
        self.problems: dict[Path, str] = {}
        self._directory = directory
        self._offsets: dict[Path, int] = {}
        self._points: dict[str, list[tuple[float, int, float]]] = {}

    def read(self) -> dict[str, Scalars]:
        """Everything so far, by tag. A record that is not complete yet is left for later."""
        for path in sorted(self._directory.glob("**/events.out.tfevents.*")):
            if path not in self.problems:
                self._read_file(path)
        return {tag: _scalars(points) for tag, points in sorted(self._points.items())}

    def _read_file(self, path: Path) -> None:
        offset = self._offsets.get(path, 0)
        try:
            with open(path, "rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError as error:
            self.problems[path] = f"The metrics in {path} cannot be read ({error.strerror})."
            return
        position = 0
        try:
            while (end := _record_end(data, position)) is not None:
                self._add(Event.FromString(data[position + _LENGTH.size : end - _CHECKSUM_BYTES]))
                position = end
        except (DecodeError, ValueError):
            self.problems[path] = (
                f"The metrics in {path} are damaged at byte {offset + position}; the rest is left out."
            )
        self._offsets[path] = offset + position

    def _add(self, event: Event) -> None:
        for value in event.summary.value:
            if value.HasField("simple_value"):
                self._points.setdefault(value.tag, []).append((event.wall_time, event.step, value.simple_value))


def _record_end(data: bytes, start: int) -> int | None:
    """Where the record that begins at `start` ends; None if it is not all there.

    Raises:
      ValueError: its length cannot be true.
    """
    if len(data) < start + _LENGTH.size:
        return None
    length, _ = _LENGTH.unpack_from(data, start)
    if length > _LONGEST_RECORD_BYTES:
        raise ValueError(f"a record of {length} bytes")
    end = start + _LENGTH.size + length + _CHECKSUM_BYTES
    return end if end <= len(data) else None


def _scalars(points: list[tuple[float, int, float]]) -> Scalars:
    wall_s, step, value = np.array(points, np.float64).T
    order = np.argsort(wall_s, kind="stable")  # files of several lives need not come in order
    return Scalars(wall_s[order], step[order].astype(np.int64), value[order])
