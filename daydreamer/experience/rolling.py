"""An experience log that rolls: when a file has become large, the next actor life begins in a new one."""

from __future__ import annotations

import errno
import functools
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.experience.closing import close_killed, is_complete
from daydreamer.experience.log import ExperienceWriter, disk_error, list_logs
from daydreamer.experience.pictures import PictureStorage
from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec
from daydreamer.storage.files import open_file, remove_file
from daydreamer.timing import LatencyStatistics

LEAST_SPACE_BYTES = 32 << 20
"""What a beginning takes: some checkpoints, and a few minutes of experience, metrics and dashboard."""


class RollingExperienceWriter:
    """An `ExperienceWriter` without end.

    It rolls at the end of an episode only, so that no transition is torn apart, and by beginning another actor life,
    so that readers need not know: a life has one file, and (actor life, sequence) identifies a step as ever.

    Attributes:
      append_latency: time that appending took, over all files, rolling included.
    """

    def __init__(
        self,
        directory: Path,
        spec: RobotSpec,
        actor_life: int,
        fsync_period_s: float,
        roll_bytes: int,
        settings: str = "",
        pictures: PictureStorage = PictureStorage(),
    ):
        """Creates the first log; those of earlier lives that were killed are closed meanwhile.

        Args:
          roll_bytes: of a log and its pictures together, from which on another one follows.
          settings, pictures: see `ExperienceWriter`.

        Raises:
          UserError: as `ExperienceWriter` does; or the disk is so full that the robot would be stopped before long.
        """
        require_disk(directory)
        self._directory = directory
        self._roll_bytes = roll_bytes
        self._actor_life = actor_life
        self._begin = functools.partial(
            ExperienceWriter, directory, spec, fsync_period_s=fsync_period_s, settings=settings, pictures=pictures
        )
        self._writer = self._begin(actor_life=actor_life)
        self.append_latency = LatencyStatistics()
        self._closing: list[threading.Thread] = []
        self._meanwhile("experience-close", _close_earlier, directory, actor_life)

    @property
    def path(self) -> Path:
        """The file of the log that is written now."""
        return self._writer.path

    @property
    def actor_life(self) -> int:
        """Whose log is written now."""
        return self._actor_life

    @property
    def last_sequence(self) -> int:
        """Of the last step in the log that is written now; -1 before its first."""
        return self._writer.last_sequence

    def append(self, step: Step) -> None:
        """Writes one step under the life and sequence number that it has here, and sets them in `step`.

        Raises:
          ValueError, UserError: see `ExperienceWriter.append`.
        """
        started_s = time.perf_counter()
        step.actor_life, step.sequence = self._actor_life, self._writer.last_sequence + 1
        self._writer.append(step)
        if step.is_last and self._writer.size >= self._roll_bytes:
            self._roll()
        self.append_latency.add(time.perf_counter() - started_s)

    def close(self) -> None:
        """Completes all files. Raises UserError if the disk failed."""
        for thread in self._closing:
            thread.join()
        self._writer.close()

    def __enter__(self) -> RollingExperienceWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _roll(self) -> None:
        """Waits for no disk: the command of the step that has just been appended is still to leave.

        When power goes meanwhile, each of the two logs ends where it was synced last, as it would without the other:
        the one before at most a period, and what this sync takes, before its end, and the one that follows likewise,
        or it is not there at all, see `ExperienceWriter._fsync_loop`. So a gap may come before steps that are there.
        """
        life = max(list_logs(self._directory)) + 1
        following = self._begin(actor_life=life, awaits_disk=False)
        # What it finds wrong is in the file as after a crash: without a summary, with all steps.
        self._meanwhile("experience-roll", _complete, self._writer)
        self._writer, self._actor_life = following, life

    def _meanwhile(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        """Has a log closed on a thread of its own; those before may still be at it, on a disk that is slow."""
        self._closing = [thread for thread in self._closing if thread.is_alive()]
        self._closing.append(threading.Thread(target=work, args=arguments, name=name))
        self._closing[-1].start()


def require_disk(directory: Path) -> None:
    """Finds out whether a log could be begun in `directory`, which costs nothing: before a robot is set in motion.

    Raises:
      UserError: nothing can be written there, or the disk is so full that the robot would be stopped before long.
    """
    # What a full disk did not let a session finish is removed again, and may leave just enough room for a robot to be
    # set in motion and stopped at once.
    try:
        free_bytes = shutil.disk_usage(directory).free
        if free_bytes < LEAST_SPACE_BYTES:
            sizes = f"{free_bytes / 1e6:.1f} MB are free, a beginning takes {LEAST_SPACE_BYTES / 1e6:.0f} MB"
            raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {sizes}")
        probe = directory / f".{secrets.token_hex(8)}.tmp"
        os.close(open_file(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        remove_file(probe)
    except FileNotFoundError:
        pass  # the directory is made with its first log
    except OSError as error:
        raise disk_error(directory, error) from error


def _complete(writer: ExperienceWriter) -> None:
    try:
        writer.close()
    except UserError as error:
        logging.error("%s", error)


def _close_earlier(directory: Path, actor_life: int) -> None:
    """So that other MCAP readers can read them; ours do so anyway, and who cannot close one has lost nothing."""
    try:
        earlier = [path for life, path in list_logs(directory).items() if life < actor_life]
    except UserError as error:
        logging.info("Earlier logs stay as they are: %s", error)
        return
    for path in earlier:
        try:
            if not is_complete(path):
                close_killed(path)
        except (OSError, UserError) as error:
            logging.info("An earlier log stays as it is: %s", error)
