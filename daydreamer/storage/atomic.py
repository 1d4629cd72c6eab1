"""Files that are complete or absent."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from daydreamer.errors import UserError
from daydreamer.storage.files import FILE_MODE, open_file, remove_file, rename_file


def write_atomically(path: Path, content: bytes, durable: bool = True, mode: int = FILE_MODE) -> None:
    """Replaces a file of a session in one step, for readers and across a crash of this process.

    A link in its place is replaced, and not followed; one on the way to it is an error, see `open_file`.

    Args:
      durable: also survive a power loss (two fsyncs, milliseconds to tens of them).
      mode: who may do what with it, less what the umask forbids.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _write(descriptor, content, durable)
        rename_file(temporary, path.name)
    except BaseException:
        # Where even that fails, what went wrong first is what matters.
        with contextlib.suppress(OSError):
            remove_file(temporary)
        raise
    if durable:
        fsync_directory(path.parent)


@contextlib.contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """A block that writes something of a session's.

    Args:
      what: begins a sentence, as 'The status'.

    Raises:
      UserError: the disk failed.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{what} cannot be written to {path} ({error.strerror}); free some space or check the disk."
        ) from error


def write_anywhere(path: Path, content: bytes, mode: int = 0o644) -> None:
    """As `write_atomically`, for a file that an operator has named: links on the way to it are theirs to choose."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        os.fchmod(descriptor, mode)  # mkstemp lets nobody else read
        _write(descriptor, content, durable=False)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def replaced_anywhere(path: Path, mode: int = 0o644) -> Iterator[IO[str]]:
    """As `write_anywhere`, for text that is written piece by piece: it is there once the block has been left well."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(descriptor, mode)  # mkstemp lets nobody else read
            yield file
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _write(descriptor: int, content: bytes, durable: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def fsync_directory(directory: Path) -> None:
    """Makes the names in a directory survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(directory: Path) -> None:
    """Makes everything below a directory survive a power loss, its own name included."""
    for folder, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_directory(Path(folder))
    fsync_directory(directory.parent)
