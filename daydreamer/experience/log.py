"""The experience log: what happened, written before the next command is sent.

One MCAP file per life of the actor process, one unchunked message per step, one write() per message. A message
is in the kernel when `append` returns, so a killed process loses nothing; a background thread calls fsync, so a
power loss costs at most one fsync period. Compressed pictures go into a file beside it, before the step that they are
of, see `daydreamer.experience.picture_file`.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from mcap.writer import Writer

from daydreamer.config import PictureFormat
from daydreamer.errors import UserError
from daydreamer.experience.closing import complete, complete_pictures
from daydreamer.experience.codec import StepEncoder
from daydreamer.experience.header import RESERVED, read_header, write_header
from daydreamer.experience.picture_file import PictureWriter, pictures_path
from daydreamer.experience.pictures import PictureStorage
from daydreamer.experience.step import Step
from daydreamer.experience.stream import KernelStream
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import fsync_directory
from daydreamer.storage.files import make_folder, numbered_files, remove_file
from daydreamer.timing import LatencyStatistics

_LOG_NAME = re.compile(r"actor-(\d{4,9})\.mcap", re.ASCII)


def log_path(directory: Path, actor_life: int) -> Path:
    return directory / f"actor-{actor_life:04d}.mcap"


def list_logs(directory: Path) -> dict[int, Path]:
    """Logs by actor life, in order; empty if there is no such directory.

    Raises:
      UserError: the directory cannot be read.
    """
    return numbered_files(directory, _LOG_NAME)


def next_actor_life(directory: Path) -> int:
    """One more than the highest life that left a log; 1 for the first."""
    return max(list_logs(directory), default=0) + 1


def disk_error(path: Path, error: OSError) -> UserError:
    """What to tell somebody whose experience cannot be written to `path`, with the cure."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "Free some space" if full else "Check the disk and its permissions"
    return UserError(
        f"Experience cannot be written to {path} ({error.strerror}). {cure}, then go on with 'daydreamer resume'."
    )


class ExperienceWriter:
    """Appends the steps of one actor life to `actor-NNNN.mcap`.

    `append` belongs to one thread, the control loop's; `close` may follow on any.

    Attributes:
      path: of the log.
      actor_life: whose steps these are.
      append_latency: time that `append` took.
    """

    def __init__(
        self,
        directory: Path,
        spec: RobotSpec,
        actor_life: int,
        fsync_period_s: float,
        settings: str = "",
        pictures: PictureStorage = PictureStorage(),
        awaits_disk: bool = True,
    ):
        """Creates the log.

        Args:
          settings: digest of those that it is recorded by, see `Session.digest`.
          pictures: how they are stored, if the robot has cameras.
          awaits_disk: the name of the log is on disk on return; otherwise it is brought there meanwhile, before any
            step is synced, and what does not work about it surfaces on a later `append`.

        Raises:
          UserError: the log exists, the directory cannot be written, the period is not positive, or pictures of this
            size cannot be stored so.
        """
        if not fsync_period_s > 0:
            raise UserError(f"actor.fsync_period_s is {fsync_period_s}; it must be greater than 0.")
        self.path = log_path(directory, actor_life)
        self.append_latency = LatencyStatistics()
        self.actor_life = actor_life
        self._next_sequence = 0
        self._log_times = array.array("Q")
        self._failure: OSError | None = None
        self._pictures: PictureWriter | None = None
        compressed = pictures.compresses(spec)
        if compressed:
            pictures.require_storable(spec)
        self._encoder = StepEncoder(spec, self._store_pictures if compressed else None)
        try:
            make_folder(directory)
            self._stream = KernelStream(self.path)
            if compressed:
                self._pictures = PictureWriter(pictures_path(self.path), spec, pictures)
            self._writer = Writer(cast(BinaryIO, self._stream), use_chunking=False, enable_data_crcs=True)
            self._channel = self._write_header(spec, settings, pictures.format if compressed else "raw")
            header = read_header(self.path)
            assert header is not None, "it has just been written"
            self._header = header
            if awaits_disk:
                fsync_directory(directory)
        except FileExistsError as error:
            raise UserError(
                f"{self.path} already exists: another actor is writing to this session, or life {actor_life} is over. "
                "Stop the other actor, or start this one with the next life."
            ) from error
        except OSError as error:
            # A log without a whole header tells nobody anything, and would count as a life.
            for path in (self.path, pictures_path(self.path)) if compressed else (self.path,):
                with contextlib.suppress(OSError):
                    remove_file(path)
            raise disk_error(self.path, error) from error
        self._closing = threading.Event()
        self._unsynced = False
        self._fsync_thread = threading.Thread(
            target=self._fsync_loop, args=(fsync_period_s, not awaits_disk), name="experience-fsync", daemon=True
        )
        self._fsync_thread.start()

    @property
    def last_sequence(self) -> int:
        """The number of the last step appended; -1 before the first."""
        return self._next_sequence - 1

    @property
    def size(self) -> int:
        """Bytes in the file, and in that of its pictures."""
        return sum(stream.tell() for stream in self._streams)

    @property
    def _streams(self) -> tuple[KernelStream, ...]:
        """In the order in which they are written."""
        return (self._pictures.stream, self._stream) if self._pictures else (self._stream,)

    def append(self, step: Step) -> None:
        """Writes one step; it is in the kernel's hands on return.

        Raises:
          ValueError: the step is of another life, out of sequence, or does not follow the specification.
          UserError: the disk failed, now or at the last fsync. Nothing can be appended from then on.
        """
        started_s = time.perf_counter()
        if self._failure is not None:
            raise disk_error(self.path, self._failure) from self._failure
        if (step.actor_life, step.sequence) != (self.actor_life, self._next_sequence):
            raise ValueError(
                f"step {step.sequence} of life {step.actor_life} where step {self._next_sequence} of life "
                f"{self.actor_life} was expected"
            )
        try:
            payload = self._encoder.encode(step)
            self._writer.add_message(self._channel, step.wall_ns, payload, step.wall_ns, step.sequence)
        except OSError as error:
            self._fail(error)
            raise disk_error(self.path, error) from error
        for stream in self._streams:
            stream.commit()
        self._log_times.append(step.wall_ns)
        self._next_sequence += 1
        self._unsynced = True
        self.append_latency.add(time.perf_counter() - started_s)

    def close(self) -> None:
        """Completes the MCAP file (index, summary and footer) and syncs it. May be called twice.

        Raises:
          UserError: the disk failed; the steps appended before are still readable.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._fsync_thread.join()
        try:
            # After a failure the file stays as a crash would leave it: readable, without a summary.
            if self._failure is None:
                if self._pictures is not None:
                    pictures = self._pictures
                    complete_pictures(pictures.stream.anywhere(), pictures.head, pictures.whole)
                complete(self._stream.anywhere(), self._header, np.array(self._log_times, np.uint64))
        except OSError as error:
            self._fail(error)
        finally:
            for stream in self._streams:
                stream.close()
        if self._failure is not None:
            raise disk_error(self.path, self._failure) from self._failure

    def __enter__(self) -> ExperienceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _store_pictures(self, step: Step) -> Sequence[int]:
        assert self._pictures is not None, "the encoder was told so"
        return self._pictures.append(step)

    def _write_header(self, spec: RobotSpec, settings: str, pictures: PictureFormat) -> int:
        self._stream.hold()
        channel = write_header(self._writer, spec, self.actor_life, settings, pictures)
        self._stream.write(RESERVED)
        self._stream.release()
        self._stream.commit()
        return channel

    def _fail(self, error: OSError) -> None:
        self._failure = error
        # Where even that fails, readers take what remains for the torn record that it is.
        for stream in self._streams:
            with contextlib.suppress(OSError):
                stream.roll_back()

    def _fsync_loop(self, period_s: float, name_first: bool) -> None:
        try:
            # Steps of a file that has no name yet would not be found again, so until this is done a power loss costs
            # all of them. No other log is concerned; but the life's number is free again, and goes to the next one.
            if name_first:
                fsync_directory(self.path.parent)
            while not self._closing.wait(period_s):
                if not self._unsynced or self._failure is not None:
                    continue
                self._unsynced = False
                for stream in self._streams:
                    os.fdatasync(stream.descriptor)
        except OSError as error:
            self._failure = error
