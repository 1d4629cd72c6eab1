"""Reads the TensorBoard scalars of a session while they are written.

TensorBoard's own reader would bring a web server and gRPC to every robot. The files are framed protocol buffers
(TFRecord: length, its checksum, data, its checksum), whose messages come with tensorboardX, which wrote them.
"""

from __future__ import annotations

import dataclasses
import math
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event

from daydreamer.storage.files import list_folder, open_file

_LENGTH = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
# No scalar comes near it; a longer one is a damaged length, after which nothing can be told apart.
_LONGEST_RECORD_BYTES = 1 << 20
_FILE = "events.out.tfevents."
MOST_BYTES = 128 << 20
"""Of all metrics together; a day takes some 40 MB."""


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
        self._bytes = 0
        self._points: dict[str, list[tuple[float, int, float]]] = {}

    def read(self) -> dict[str, Scalars]:
        """Everything so far, by tag. A record that is not complete yet is left for later."""
        for path in self._files():
            if path not in self.problems:
                self._read_file(path)
        return {tag: _scalars(points) for tag, points in sorted(self._points.items())}

    def _files(self) -> list[Path]:
        """Of all writers, each in a folder of its own or none."""
        files = []
        try:
            for name in sorted(list_folder(self._directory)):
                path = self._directory / name
                if _FILE in name:
                    files.append(path)
                elif path not in self.problems:
                    try:
                        files += [path / each for each in sorted(list_folder(path)) if _FILE in each]
                    except OSError as error:
                        self.problems[path] = f"The metrics in {path} cannot be read ({error.strerror})."
        except OSError as error:
            self.problems[self._directory] = f"The metrics in {self._directory} cannot be read ({error.strerror})."
        return files

    def _read_file(self, path: Path) -> None:
        offset = self._offsets.get(path, 0)
        try:
            with os.fdopen(open_file(path), "rb") as file:
                file.seek(offset)
                data = file.read(MOST_BYTES - self._bytes + 1)
        except OSError as error:
            self.problems[path] = f"The metrics in {path} cannot be read ({error.strerror})."
            return
        self._bytes += len(data)
        if self._bytes > MOST_BYTES:
            self.problems[path] = f"The metrics are more than {MOST_BYTES >> 20} MB; those after {path} are left out."
        position = 0
        records: list[bytes] = []
        try:
            while (end := _record_end(data, position)) is not None:
                records.append(data[position:end])
                position = end
            sound = _sound(records)
            for record in records[:sound]:
                self._add(Event.FromString(record[_LENGTH.size : -_CHECKSUM_BYTES]))
            if sound < len(records):
                position = sum(map(len, records[:sound]))
                raise ValueError("a checksum does not fit")
        except (DecodeError, ValueError):
            self.problems[path] = (
                f"The metrics in {path} are damaged at byte {offset + position}; the rest is left out."
            )
        self._bytes -= len(data) - position
        self._offsets[path] = offset + position

    def _add(self, event: Event) -> None:
        if not math.isfinite(event.wall_time):
            raise ValueError("a point without a time")
        for value in event.summary.value:
            if value.HasField("simple_value"):
                self._points.setdefault(value.tag, []).append((event.wall_time, event.step, value.simple_value))


def _sound(records: Sequence[bytes]) -> int:
    """How many of the first records have the checksums that their content should have."""
    wrong = len(records)
    # Those of one length at a time: byte by byte, but for all of them together.
    lengths = np.array([len(record) for record in records], np.int64)
    for length in np.unique(lengths):
        (indices,) = np.nonzero(lengths == length)
        rows = np.frombuffer(b"".join(records[index] for index in indices), np.uint8).reshape(-1, length)
        fits = _fits(rows[:, :8], rows[:, 8:12]) & _fits(rows[:, 12:-4], rows[:, -4:])
        if not fits.all():
            wrong = min(wrong, int(indices[np.argmin(fits)]))
    return wrong


def _fits(covered: np.ndarray, checksum: np.ndarray) -> np.ndarray:
    """`[rows]`, whether TFRecord's masked CRC-32C of `covered` is what stands in `checksum`; both `[rows, bytes]`."""
    crc = np.full(len(covered), 0xFFFFFFFF, np.uint32)
    for column in covered.T:
        crc = _CRC_TABLE[(crc ^ column) & 0xFF] ^ (crc >> np.uint32(8))
    crc = ~crc
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    return masked == np.ascontiguousarray(checksum).view("<u4").ravel()


def _crc_table() -> np.ndarray:
    """Of CRC-32C, by byte (RFC 3720, B.4; reflected polynomial)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(0x82F63B78), table >> np.uint32(1))
    return table.astype(np.uint32)


_CRC_TABLE = _crc_table()


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
