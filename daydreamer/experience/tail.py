"""Reads experience logs while they are written: every step exactly once, in order, and nothing that is damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mcap.opcode import Opcode
from mcap.writer import MCAP0_MAGIC

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.closing import DATA_END
from daydreamer.experience.codec import StepDecoder
from daydreamer.experience.header import CHUNK_HEAD, CorruptLog, LogHeader, check_spec, read_header
from daydreamer.experience.log import list_logs
from daydreamer.experience.picture_file import PictureReader, pictures_path
from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec
from daydreamer.storage.files import file_size, open_file

_BLOCK_BYTES = 4 << 20
_FEW_RECORDS = 8
"""So many are looked at behind a damaged one, and twice as many each time that all of them are sound: where every other
one is damaged, a whole block for each would take days."""
# What begins the records of which one ends the steps of a closed log.
_MESSAGE_INDEX = bytes([Opcode.MESSAGE_INDEX])
MOST_PROBLEMS = 100
"""Of each life so many are told one by one."""
_SEARCHED_BYTES = 256 << 20
"""From the end of a log, for its last step: more than any actor writes into one file."""


class LogTail:
    """Reads one log from where the last read ended; the file may still grow, or not exist yet.

    Attributes:
      path: of the log.
      offset: byte at which the next record begins; 0 before the header is read.
      header: None until it is there completely.
      closed: the writer has completed the file and everything has been read.
      truncated_bytes: by how much the file is shorter than `offset`, as after a power loss.
    """

    def __init__(self, path: Path, spec: RobotSpec, offset: int = 0, actor_life: int | None = None):
        """Goes on at `offset`; with `actor_life` the log must be of that life."""
        self.path = path
        self.offset = offset
        self.closed = False
        self.truncated_bytes = 0
        self._spec = spec
        self._actor_life = actor_life
        self.header: LogHeader | None = None
        self._decoder: StepDecoder | None = None
        self._pictures: PictureReader | None = None
        self._block_bytes = _BLOCK_BYTES  # that are looked at next

    def read(self, limit: int | None = None) -> list[Step]:
        """The complete steps from `offset` on, at most `limit`; moves `offset` behind them.

        An incomplete record at the end is left for later.

        Raises:
          CorruptLog: the record at `offset` is damaged, or a picture that it refers to. All steps before it have been
            returned by then; `skip_damage` moves behind it.
          SpecMismatch: the log is of another robot.
          UserError: the file cannot be read.
        """
        steps: list[Step] = []
        try:
            if not self._open():
                return steps
            with self._reading() as descriptor:
                self.truncated_bytes = max(0, self.offset - os.fstat(descriptor).st_size)
                while not self.closed and (limit is None or len(steps) < limit):
                    if not self._read_block(descriptor, limit, steps):
                        break
        except OSError as error:
            if not steps:
                raise UserError(
                    f"{error.filename or self.path} cannot be read ({error.strerror}); check disk and permissions."
                ) from error
        return steps

    def skip_damage(self) -> bool:
        """Moves `offset` from a damaged record to the next undamaged one, or to the end of a closed log.

        Returns:
          False if neither is in sight yet; `offset` is then unchanged.
        """
        if self._decoder is None or self.header is None:
            return False
        size, frame = self._decoder.record_size, self._decoder.frame
        block = _FEW_RECORDS * size
        start = self.offset + 1
        with self._reading() as descriptor:
            # A hole holds no step, and may be larger than any disk.
            while data := os.pread(descriptor, block, start := _next_data(descriptor, start)):
                position = data.find(frame)
                while 0 <= position <= len(data) - size:
                    if len(self._sound_prefix(memoryview(data)[position : position + size])[0]):
                        self.offset = start + position
                        self._block_bytes = _FEW_RECORDS * self._decoder.step_bytes
                        return True
                    position = data.find(frame, position + 1)
                if len(data) < block:
                    self.closed = data.endswith(MCAP0_MAGIC)
                    break
                # A record may straddle the end of the block.
                start += block - size + 1
                block = max(block, min(2 * block, _BLOCK_BYTES))
        return self.closed

    def _open(self) -> bool:
        """Reads the header as soon as it is complete; False before that."""
        if self.header is None:
            header = read_header(self.path)
            if header is None:
                return False
            check_spec(self.path, header, self._spec)
            if self._actor_life not in (None, header.actor_life):
                raise CorruptLog(self.path, 0, f"it is the log of life {header.actor_life} under another name")
            self.header = header
            self._decoder = StepDecoder(self._spec, header.channel, header.refers)
            if header.refers:
                self._pictures = PictureReader(pictures_path(self.path), self._spec, header.pictures)
            self.offset = max(self.offset, header.size)
        return True

    @contextlib.contextmanager
    def _reading(self) -> Iterator[int]:
        """A descriptor of the log; the file of its pictures is open meanwhile."""
        with _reading(self.path) as file, self._pictures or contextlib.nullcontext():
            yield file.fileno()

    def _sound_prefix(self, data: memoryview) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
        """As `StepDecoder.valid_prefix`, with the pictures that the records refer to, which are sound, too."""
        assert self._decoder is not None and self.header is not None, "_open() has read them"
        records, reason = self._decoder.valid_prefix(data, self.header.actor_life)
        if self._pictures is None:
            return records, {}, reason
        pictures, count, damage = self._pictures.read(records)
        return records[:count], pictures, damage or reason

    def _read_block(self, descriptor: int, limit: int | None, steps: list[Step]) -> bool:
        """Adds the steps of the next block; False at the end, for now, of what can be read."""
        assert self._decoder is not None and self.header is not None, "_open() has read them"
        size = self._decoder.record_size
        wanted = max(1, self._block_bytes // self._decoder.step_bytes)
        if limit is not None:
            wanted = min(wanted, limit - len(steps))
        data = memoryview(os.pread(descriptor, wanted * size, self.offset))
        records, pictures, reason = self._sound_prefix(data)
        steps += self._decoder.steps(records, pictures)
        self.offset += len(records) * size
        rest = data[len(records) * size :]
        if not rest:
            self._block_bytes = min(2 * self._block_bytes, _BLOCK_BYTES)
            return len(records) == wanted
        begin = bytes(rest[: len(self._decoder.frame)])
        # No index precedes the steps: what looks like one there is the damaged head of their chunk.
        indexed = begin.startswith(_MESSAGE_INDEX) and self.offset > self.header.size
        if indexed or begin.startswith(DATA_END):
            self.closed = True
        elif len(rest) >= size or not (self._decoder.frame.startswith(begin) or DATA_END.startswith(begin)):
            # Steps before the damage are handed out first; the next read comes back to it.
            if not steps:
                raise CorruptLog(self.path, self.offset, reason or "no step record begins here")
        return False


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something about the logs that the operator should know; reading goes on all the same.

    Attributes:
      kind: 'damage', 'gap', 'duplicate', 'truncated' or 'missing'.
      actor_life: whose log it is.
      text: one sentence.
    """

    kind: str
    actor_life: int
    text: str


@dataclasses.dataclass
class _Life:
    tail: LogTail
    next_sequence: int = 0


class ExperienceTail:
    """Reads the logs of all actor lives in a directory, in order of life, each from where the last read ended.

    A new life is begun as soon as its log appears; earlier ones are looked at until they are closed.

    Attributes:
      problems: damage, gaps and duplicates found so far, of each life at most `MOST_PROBLEMS` and a word that there
        are more. Steps after damage or a gap are delivered; their `sequence` shows that they do not follow on.
    """

    def __init__(
        self,
        directory: Path,
        spec: RobotSpec,
        cursors: Mapping[int, tuple[int, int]] | Mapping[str, tuple[int, int] | list[int]] | None = None,
    ):
        """Goes on at `cursors`, as an earlier tail of the same directory gave them; keys may have become strings."""
        self.problems: list[Problem] = []
        self._told: defaultdict[int, set[Problem]] = defaultdict(set)
        self._directory = directory
        self._spec = spec
        self._lives: dict[int, _Life] = {}
        logs = list_logs(directory)
        for life, (offset, next_sequence) in sorted((int(key), value) for key, value in (cursors or {}).items()):
            path = logs.get(life) or directory / f"actor-{life:04d}.mcap"
            self._lives[life] = _Life(LogTail(path, spec, offset, life), next_sequence)
            if life not in logs:
                self._report("missing", life, f"{path} has been read up to step {next_sequence - 1} but is gone.")

    @property
    def cursors(self) -> dict[int, tuple[int, int]]:
        """By actor life: byte offset and sequence number of the next step. For checkpoints; JSON can hold it."""
        return {life: (state.tail.offset, state.next_sequence) for life, state in self._lives.items()}

    def read(self, limit: int | None = None) -> list[Step]:
        """Steps that have become available since the last call, at most `limit`.

        Raises:
          SpecMismatch: a log is of another robot.
          UserError: a file cannot be read.
        """
        for life, path in list_logs(self._directory).items():
            if life not in self._lives:
                self._lives[life] = _Life(LogTail(path, self._spec, actor_life=life))
        steps: list[Step] = []
        for life in sorted(self._lives):
            while not self._lives[life].tail.closed and (limit is None or len(steps) < limit):
                try:
                    batch = self._read_life(life, None if limit is None else limit - len(steps))
                except (SpecMismatch, UserError):
                    # What has been read so far must not be lost; the next call fails at once.
                    if steps:
                        return steps
                    raise
                if batch is None:
                    break
                steps += batch
        return steps

    def _read_life(self, life: int, limit: int | None) -> list[Step] | None:
        """Some more steps of one life; None if there are none now."""
        state = self._lives[life]
        try:
            batch = state.tail.read(limit)
        except CorruptLog as error:
            self._report("damage", life, str(error))
            return [] if state.tail.skip_damage() else None
        if state.tail.header is None:
            # Only the newest log can still be about to get its header.
            if life < max(self._lives) and _size(state.tail.path):
                self._report("damage", life, f"{state.tail.path} cannot be read: its header is incomplete.")
            return None
        if state.tail.truncated_bytes:
            self._report(
                "truncated",
                life,
                f"{state.tail.path} has lost its last {state.tail.truncated_bytes} bytes since it was read, as after a "
                "power loss; what the learner read of them is kept.",
            )
        return self._in_sequence(life, state, batch) if batch else None

    def _in_sequence(self, life: int, state: _Life, batch: list[Step]) -> list[Step]:
        accepted = []
        for step in batch:
            if step.sequence < state.next_sequence:
                self._report("duplicate", life, f"Step {step.sequence} is twice in {state.tail.path}; one is ignored.")
                continue
            if step.sequence > state.next_sequence:
                lost = f"{state.next_sequence} to {step.sequence - 1}"
                self._report("gap", life, f"Steps {lost} are missing in {state.tail.path}.")
            accepted.append(step)
            state.next_sequence = step.sequence + 1
        return accepted

    def _report(self, kind: str, life: int, text: str) -> None:
        problem = Problem(kind, life, text)
        told = self._told[life]
        if len(told) > MOST_PROBLEMS or problem in told:
            return
        told.add(problem)
        if len(told) > MOST_PROBLEMS:
            problem = Problem("damage", life, f"{self._lives[life].tail.path} has more damage than is listed.")
        self.problems.append(problem)


def last_sequence(path: Path) -> int:
    """Sequence number of the last complete step in a log; -1 if there is none. Reads the end of the file only.

    Raises:
      CorruptLog: the header is damaged, or there is no step near the end of a file that has room for many.
      UserError: it cannot be read.
    """
    try:
        return _last_sequence(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check disk and permissions.") from error


def _last_sequence(path: Path) -> int:
    header = read_header(path)
    if header is None:
        return -1
    decoder = StepDecoder(header.spec, header.channel, header.refers)
    size = decoder.record_size
    with _reading(path) as file:
        descriptor, end = file.fileno(), os.fstat(file.fileno()).st_size

        def step_at(offset: int) -> int | None:
            data = memoryview(os.pread(descriptor, size, offset))
            records, _ = decoder.valid_prefix(data, header.actor_life)
            return int(records["sequence"][0]) if len(records) else None

        # What the index of a closed log takes depends on its steps; the head of its chunk says where they end.
        if header.reserved and end > header.size:
            head = CHUNK_HEAD.unpack(os.pread(descriptor, CHUNK_HEAD.size, header.size - CHUNK_HEAD.size))
            last = header.size + head[-1] - size
            if head[0] == Opcode.CHUNK and header.size <= last <= end and (found := step_at(last)) is not None:
                return found
        searched = 0
        while end > header.size and searched < _SEARCHED_BYTES:
            begin = max(header.size, end - _BLOCK_BYTES)
            # A record may straddle the beginning of the block that was searched before.
            data = os.pread(descriptor, end - begin + size, begin)
            position = data.rfind(decoder.frame)
            while position >= 0:
                if (found := step_at(begin + position)) is not None:
                    return found
                position = data.rfind(decoder.frame, 0, position)
            searched += end - begin
            end = begin
        if end > header.size:
            raise CorruptLog(path, end, f"there is no step in its last {searched} bytes")
    return -1


def _next_data(descriptor: int, offset: int) -> int:
    """Where a file goes on after a hole; `offset` itself outside of one, or where nobody knows of holes."""
    try:
        return os.lseek(descriptor, offset, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(descriptor).st_size if error.errno == errno.ENXIO else offset


def _reading(path: Path) -> BinaryIO:
    return os.fdopen(open_file(path), "rb", buffering=0)


def _size(path: Path) -> int:
    """Bytes of a file; 0 if it is gone, or nothing that could be read."""
    try:
        return file_size(path) or 0
    except OSError:
        return 0
