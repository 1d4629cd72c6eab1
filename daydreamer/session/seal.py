"""What a checkpoint says about itself, and what it knows of the session's other files. Reads no arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from daydreamer.errors import UserError
from daydreamer.storage.files import list_folder, read_file
from daydreamer.texts import decode_json

SEAL_BYTES = 1 << 22


class CorruptCheckpoint(UserError):
    """A checkpoint is not what was written."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path} is damaged: {reason}. The learner uses the one before it.")


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """How much there was of files that stay, and only grow: less of them later is damage.

    Attributes:
      events_bytes: of `events.jsonl` and what rolled out of it.
      dreams: number of the last one.
      metrics_bytes: by file, relative to the metrics.
      statuses: roles that had reported; none in the ledgers of earlier versions.
    """

    events_bytes: int
    dreams: int
    metrics_bytes: dict[str, int]
    statuses: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a checkpoint knows besides the train state.

    Attributes:
      spec_hash: of the robot.
      env_steps: received from the log.
      cursors: by actor life, byte offset and next sequence number in its log.
      policy_version: last published.
      ledger: of the session when it was written; None in those of earlier versions.
    """

    spec_hash: str
    env_steps: int
    cursors: Mapping[str, tuple[int, int]]
    policy_version: int
    ledger: Ledger | None = None


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stored beside the train state; tells damage from a checkpoint of other networks.

    Attributes:
      progress: see `Progress`.
      layout: SHA-256 of name, type and shape of all arrays.
      content: SHA-256 of their bytes.
      sha256: of the above.
    """

    progress: Progress
    layout: str
    content: str
    sha256: str = ""

    def closed(self) -> Seal:
        """The same with the checksum that fits."""
        return msgspec.structs.replace(self, sha256=self.digest())

    def digest(self) -> str:
        values = msgspec.to_builtins(msgspec.structs.replace(self, sha256=""))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_seal(path: Path) -> Seal:
    """The seal of the checkpoint in a folder.

    Raises:
      CorruptCheckpoint: it cannot be read, or is not what was written.
    """
    try:
        seal = decode_json(read_file(path / "progress" / "metadata", SEAL_BYTES), Seal)
        cursors = {int(life): cursor for life, cursor in seal.progress.cursors.items()}
    except OSError as error:
        raise CorruptCheckpoint(path, f"its record cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CorruptCheckpoint(path, f"its record cannot be read ({error})") from error
    if seal.sha256 != seal.digest() or len(cursors) != len(seal.progress.cursors):
        raise CorruptCheckpoint(path, "the checksum of its record does not fit")
    return seal


def checkpoint_paths(directory: Path) -> list[Path]:
    """Folders of the checkpoints in a directory, oldest first, without opening any.

    Raises:
      OSError: it cannot be read, see `list_folder`.
    """
    names = [name for name in list_folder(directory) if name.isascii() and name.isdecimal() and len(name) < 20]
    return sorted((directory / name for name in names), key=lambda path: int(path.name))
