"""Reads the TensorBoard scalars of a session while they are written.

TensorBoard's own reader would bring a web server and gRPC to every robot. The files are framed protocol buffers
(TFRecord: length, its checksum, data, its checksum), whose messages come with tensorboardX, which wrote them.
"""

from __future__ import annotations

import array
import dataclasses
import math
import os
import struct
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from tensorboardX.proto.event_pb2 import Event

from daydreamer.storage.files import list_folder, open_file

_LENGTH = struct.Struct("<QI")
_CHECKSUM_BYTES = 4
# No scalar comes near it; a longer one is a damaged length, after which nothing can be told apart.
_LONGEST_RECORD_BYTES = 1 << 12
_BLOCK_BYTES = 1 << 21  # so much of a file is in memory at once
_FILE = "events.out.tfevents."
MOST_BYTES = 128 << 20
"""Of all metrics together; a day takes some 40 MB."""
MOST_POINTS, MOST_CURVES = 1 << 21, 10_000
"""Of all metrics together. A point takes 64 bytes or more where this program wrote it, so that `MOST_BYTES` come first;
a stranger's may take seven, and a curve of its own."""


@dataclasses.dataclass(frozen=True)
class Scalars:
    """One tag over time, in the order of `wall_s`.

    Attributes:
      wall_s, step, value: `[points]`; what a step is depends on the writer.
    """

    wall_s: np.ndarray
    step: np.ndarray
    value: np.ndarray


class _TooMuch(Exception):
    """There are more points or curves than are read."""


class ScalarReader:
    """All scalars below a directory, whoever wrote them; each `read` goes on where the last one ended.

    Attributes:
      problems: what could not be read, one sentence for each file.
    """

    def __init__(self, directory: Path):
        self.problems: dict[Path, str] = {}
        self._directory = directory
        self._offsets: dict[Path, int] = {}
        self._bytes = self._count = 0
        self._points: dict[str, array.array[float]] = {}  # by tag, for each point `wall_s`, `step` and `value`

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
        """Takes in what is new, block by block: most of what is read is not kept."""
        try:
            with os.fdopen(open_file(path), "rb") as file:
                more = True
                while more and path not in self.problems:
                    file.seek(self._offsets.get(path, 0))
                    block = file.read(min(_BLOCK_BYTES, MOST_BYTES - self._bytes + 1))
                    if self._bytes + len(block) > MOST_BYTES:
                        self._leave_out_after(path, f"are more than {MOST_BYTES >> 20} MB")
                    self._take(path, block)
                    more = len(block) == _BLOCK_BYTES
        except OSError as error:
            self.problems[path] = f"The metrics in {path} cannot be read ({error.strerror})."

    def _take(self, path: Path, block: bytes) -> None:
        """Adds the records at the beginning of a block, up to the first that is not sound or not all there."""
        offset, position = self._offsets.get(path, 0), 0
        edges, impossible = _record_edges(block)
        sound = _sound(block, edges)
        try:
            for end in edges[1 : sound + 1]:
                self._add(Event.FromString(block[position + _LENGTH.size : end - _CHECKSUM_BYTES]))
                position = end
            if impossible or sound < len(edges) - 1:
                raise ValueError("a length or a checksum that cannot be true")
        except _TooMuch:
            self._leave_out_after(path, f"are more than {MOST_POINTS} points or {MOST_CURVES} curves")
        except (DecodeError, ValueError):
            self.problems[path] = (
                f"The metrics in {path} are damaged at byte {offset + position}; the rest is left out."
            )
        self._bytes += position
        self._offsets[path] = offset + position

    def _leave_out_after(self, path: Path, why: str) -> None:
        self.problems[path] = f"The metrics {why}; those after {path} are left out."

    def _add(self, event: Event) -> None:
        if not math.isfinite(event.wall_time):
            raise ValueError("a point without a time")
        for value in event.summary.value:
            if value.HasField("simple_value"):
                if self._count >= MOST_POINTS or (value.tag not in self._points and len(self._points) >= MOST_CURVES):
                    raise _TooMuch
                points = self._points.setdefault(value.tag, array.array("d"))
                points.extend((event.wall_time, event.step, value.simple_value))
                self._count += 1


def _record_edges(block: bytes) -> tuple[list[int], bool]:
    """Where the complete records begin, and the last one ends; and whether what follows has a length that none has."""
    edges = [0]
    while edges[-1] + _LENGTH.size <= len(block):
        length, _ = _LENGTH.unpack_from(block, edges[-1])
        if length > _LONGEST_RECORD_BYTES:
            return edges, True
        end = edges[-1] + _LENGTH.size + length + _CHECKSUM_BYTES
        if end > len(block):
            break
        edges.append(end)
    return edges, False


def _sound(block: bytes, edges: list[int]) -> int:
    """How many of the first records have the checksums that their content should have."""
    content, begin, end = np.frombuffer(block, np.uint8), np.array(edges[:-1], np.int64), np.array(edges[1:], np.int64)
    fits = _fits(content, begin, begin + 8) & _fits(content, begin + _LENGTH.size, end - _CHECKSUM_BYTES)
    return len(fits) if fits.all() else int(np.argmin(fits))


def _fits(content: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """`[rows]`, whether TFRecord's masked CRC-32C of each `content[begin:end]` is what stands in the four bytes after.

    It is taken byte by byte, but of all rows at once, the longest first: those that go on are at the front.
    """
    length = end - begin
    order = np.argsort(-length, kind="stable")
    going_on = np.searchsorted(-length[order], -np.arange(length.max(initial=0)))
    place, crc = begin[order], np.full(len(order), 0xFFFFFFFF, np.uint32)
    for position, rows in enumerate(going_on):
        now = crc[:rows]
        crc[:rows] = _CRC_TABLE[(now ^ content[place[:rows] + position]) & 0xFF] ^ (now >> np.uint32(8))
    crc = ~crc
    masked = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)
    checksum = content[end[order][:, None] + np.arange(_CHECKSUM_BYTES)].view("<u4").ravel()
    fits = np.empty(len(order), bool)
    fits[order] = masked == checksum
    return fits


def _crc_table() -> np.ndarray:
    """Of CRC-32C, by byte (RFC 3720, B.4; reflected polynomial)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> np.uint32(1)) ^ np.uint32(0x82F63B78), table >> np.uint32(1))
    return table.astype(np.uint32)


_CRC_TABLE = _crc_table()


def _scalars(points: array.array[float]) -> Scalars:
    wall_s, step, value = np.array(points).reshape(-1, 3).T
    order = np.argsort(wall_s, kind="stable")  # files of several lives need not come in order
    return Scalars(wall_s[order], step[order].astype(np.int64), value[order])
