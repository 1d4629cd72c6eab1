"""What an operator has said of a session's pictures: whether the task has been done there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.parentage import Amount
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import make_folder, read_file
from daydreamer.texts import decode_json, seal_json, unseal_json

LARGEST_BYTES = 64 << 20

StepName = tuple[int, int]
"""Actor life and sequence number, which name a step of a session."""


class _Label(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    actor_life: Amount
    sequence: Amount
    success: bool


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    labels: Annotated[tuple[_Label, ...], Meta(max_length=1_000_000)]


def labels_path(session: Session, camera: str) -> Path:
    """The file of what was said of a camera's pictures."""
    return session.labels / f"{camera}.json"


def read_labels(session: Session, camera: str) -> dict[StepName, bool]:
    """Whether the task has been done, by the steps of which that was said; none if there is no such file.

    Raises:
      UserError: it cannot be read, or is damaged.
    """
    path = labels_path(session, camera)
    try:
        labels = decode_json(unseal_json(read_file(path, LARGEST_BYTES)), _File).labels
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {_CURE}") from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); {_CURE}") from error
    return {(each.actor_life, each.sequence): each.success for each in labels}


_CURE = "restore it from a copy, or remove it and label the session again."


def write_labels(session: Session, camera: str, labels: Mapping[StepName, bool]) -> None:
    """Keeps all that was said, in place of what there was.

    Raises:
      UserError: it cannot be written.
    """
    path = labels_path(session, camera)
    file = _File(tuple(_Label(life, sequence, success) for (life, sequence), success in sorted(labels.items())))
    with writing("What was said", path):
        make_folder(session.labels)
        write_atomically(path, seal_json(msgspec.json.encode(file)))
