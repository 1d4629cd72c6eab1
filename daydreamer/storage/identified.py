"""Files that an operator names for a session, and whose content must stay what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.storage.files import read_file

CLASSIFIER_BYTES = 64 << 20
"""Of the largest classifier of successes; ours take a megabyte."""


def digest_of(content: bytes) -> str:
    """SHA-256, which is the identity of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_classifier_file(path: Path, sha256: str = "") -> bytes:
    """The content of a classifier's file; links on the way to it are the operator's to choose.

    Args:
      sha256: of the content that is wanted; '' for any.

    Raises:
      UserError: it cannot be read, or has another content.
    """
    try:
        content = read_file(path.resolve(), CLASSIFIER_BYTES)
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"The classifier {path} cannot be read ({reason}); put it there, or choose another success.classifier."
        ) from error
    if sha256 and digest_of(content) != sha256:
        raise UserError(
            f"The classifier {path} is another one than the session began with; put that one back, or begin a new "
            "session with this one: what is paid must not change within a session."
        )
    return content
