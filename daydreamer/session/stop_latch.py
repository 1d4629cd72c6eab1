"""An emergency stop outlives the process that was told of it: a mark in the session that only a reset takes away."""

from __future__ import annotations

import contextlib
import logging
import os

from daydreamer.session.directory import Session
from daydreamer.storage.atomic import fsync_directory

NAME = "emergency_stopped"


class StopLatch:
    """Whether there is such a file is all it says: nothing is read from it, and no link is followed.

    Attributes:
      stopped: as the session's directory says; at first what an earlier life has left.
    """

    def __init__(self, session: Session):
        self._path = session.status / NAME
        self._failed = False
        self.stopped = os.path.lexists(self._path)

    def keep(self, stopped: bool) -> None:
        """Call again and again, on a thread that may wait for a disk; complains once about one that does not take it.

        Args:
          stopped: whether the emergency stop is latched.
        """
        if stopped == self.stopped:
            return
        try:
            if stopped:
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            else:
                self._path.unlink(missing_ok=True)
            fsync_directory(self._path.parent)  # whoever stops a robot may cut its power next
        except OSError as error:
            if not self._failed:
                logging.error("%s cannot be written (%s): a restart would forget the stop.", self._path, error.strerror)
            self._failed = True
            return
        self.stopped, self._failed = stopped, False
