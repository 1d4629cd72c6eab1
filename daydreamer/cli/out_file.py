"""Files that an operator names for a command to write."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daydreamer.errors import UserError


@contextlib.contextmanager
def written(out: Path) -> Iterator[None]:
    """A block that writes `out`.

    Raises:
      UserError: the system does not let it.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error


def require_writable(out: Path) -> None:
    """Finds out whether a file could be written, before there is anything to write; leaves nothing.

    Raises:
      UserError: it could not.
    """
    with written(out):
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=out.parent):
            pass
