"""A file to which whole records are appended, each in the kernel's hands as soon as it is written."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from daydreamer.storage.files import open_file


class KernelStream:
    """The output of mcap's Writer: hands every write to the kernel, except while it holds them together.

    Attributes:
      descriptor: of the file, in append mode.
    """

    def __init__(self, path: Path, anew: bool = False):
        """Makes a file that there must not be, or with `anew` one in place of what is there."""
        self.descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | (0 if anew else os.O_EXCL))
        os.ftruncate(self.descriptor, 0)
        self._held: bytearray | None = None
        self._size = 0
        self._committed_size = 0

    def write(self, data: bytes) -> int:
        if self._held is not None:
            self._held += data
        else:
            self._write_through(data)
        return len(data)

    def tell(self) -> int:
        return self._size + len(self._held or b"")

    def hold(self) -> None:
        self._held = bytearray()

    def release(self) -> None:
        held, self._held = self._held, None
        self._write_through(bytes(held or b""))

    def commit(self) -> None:
        """What was written up to here is whole."""
        self._committed_size = self._size

    def roll_back(self) -> None:
        """Removes what a failed write left of a record."""
        self._held = None
        self._size = self._committed_size
        os.ftruncate(self.descriptor, self._committed_size)

    def anywhere(self) -> int:
        """The descriptor, no longer in append mode."""
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, fcntl.fcntl(self.descriptor, fcntl.F_GETFL) & ~os.O_APPEND)
        return self.descriptor

    def close(self) -> None:
        os.close(self.descriptor)

    def _write_through(self, data: bytes) -> None:
        # The kernel takes less than all only when the disk is full or fails; the next call says why.
        remaining = memoryview(data)
        while remaining:
            written = os.write(self.descriptor, remaining)
            self._size += written
            remaining = remaining[written:]
