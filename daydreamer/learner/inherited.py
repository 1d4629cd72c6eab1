"""The files in which a session keeps steps of others, which are replayed beside its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.replay import Continuity, inheritable, row_layout, to_rows
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import make_folder, numbered_files
from daydreamer.storage.tensors import decode_metadata, read_tensors

FORMAT_VERSION = 1
BLOCK_STEPS = 4096
"""Of a file: an hour of vectors has 18, and no file of pictures is larger than a snapshot may be."""
BLOCK_BYTES = 1 << 30
_BLOCK = re.compile(r"(\d{6,9})\.safetensors", re.ASCII)


class InheritedWriter:
    """Copies steps of other sessions into one that is being made.

    Attributes:
      most: steps that go into it yet.
    """

    def __init__(self, session: Session, folder: Path | None = None):
        """Writes into a folder of the session; without one, into that of what it inherits."""
        self._session = session
        self._folder = folder or session.inherited
        self._number = 0
        self.most = inheritable(session.spec, session.config.learner, session.is_offline)

    def copy(self, tail: ExperienceTail, wanted: Callable[[Step], bool], most: int | None = None) -> int:
        """Of the steps that a log has from where `tail` is, those that are wanted and have room; how many.

        Args:
          most: steps to copy; None for as many as have room. The tail is left behind the last of them.

        Raises:
          UserError: they cannot be read, or the disk failed.
        """
        spec, continuity, count = self._session.spec, Continuity(), 0
        limit = self.most if most is None else min(most, self.most)
        while count < limit and (steps := tail.read(min(BLOCK_STEPS, limit - count))):
            if chosen := [step for step in steps if wanted(step)]:
                rows = to_rows(chosen, spec)
                continuity.mark(rows)
                self._write(rows)
                count += len(chosen)
        return count

    def put(self, rows: Mapping[str, np.ndarray]) -> int:
        """Of steps as `to_rows` makes them, the last ones that have room; how many.

        Raises:
          UserError: the disk failed.
        """
        whole = len(rows["reward"])
        begin = max(0, whole - self.most)
        for start in range(begin, whole, BLOCK_STEPS):
            self._write({name: values[start : start + BLOCK_STEPS] for name, values in rows.items()})
        return whole - begin

    def _write(self, rows: Mapping[str, np.ndarray]) -> None:
        self._number, self.most = self._number + 1, self.most - len(rows["reward"])
        _write_block(self._folder / f"{self._number:06d}.safetensors", rows, self._session.spec)


def _write_block(path: Path, rows: Mapping[str, np.ndarray], spec: RobotSpec) -> None:
    header = {"format_version": json.dumps(FORMAT_VERSION), "spec_hash": json.dumps(spec.hash)}
    header["sha256"] = json.dumps(_digest(rows))
    with writing("Experience", path):
        make_folder(path.parent)
        write_atomically(path, safetensors.numpy.save(dict(rows), metadata=header))


def read_inherited_experience(session: Session, on_event: Callable[..., None]) -> dict[str, np.ndarray] | None:
    """The steps that a session has inherited, as `to_rows` makes them; None if there are none.

    A file that is damaged is left out, which is an event; what follows does not follow from what precedes it.
    """
    config = session.config.learner
    if not (config.replays_others or session.is_offline):
        return None
    most = inheritable(session.spec, config, session.is_offline)
    return _read_folder(session, session.inherited, most, config.batch_length, on_event)


def read_held_out_experience(session: Session, on_event: Callable[..., None]) -> dict[str, np.ndarray] | None:
    """The steps by which a session that learns offline is judged; else see `read_inherited_experience`."""
    most = inheritable(session.spec, session.config.learner, alone=True)
    return _read_folder(session, session.held_out, most, 1, on_event)


def read_logged_by_others(session: Session, most: int) -> dict[str, np.ndarray] | None:
    """The last `most` steps that a session has of others, also what is held out of logs; None if there are none.

    Files that are damaged are left out.
    """
    blocks: list[dict[str, np.ndarray]] = []
    paths = [
        path for folder in (session.inherited, session.held_out) for path in numbered_files(folder, _BLOCK).values()
    ]
    gap = False
    for path in reversed(paths):
        try:
            rows = _read_block(path, session.spec, BLOCK_STEPS)
        except (OSError, ValueError, LookupError):
            gap = True
            continue
        if blocks:
            blocks[-1]["is_first"][0] |= gap
        blocks.append({name: values[-most:] for name, values in rows.items()})
        most, gap = most - len(rows["reward"]), False
        if most <= 0:
            break
    if not blocks:
        return None
    blocks[-1]["is_first"][0] = True
    return {name: np.concatenate([block[name] for block in reversed(blocks)]) for name in blocks[0]}


def has_steps_of_others(session: Session) -> bool:
    """Whether there are files of such steps."""
    return bool(numbered_files(session.inherited, _BLOCK))


def _read_folder(
    session: Session, folder: Path, most: int, least: int, on_event: Callable[..., None]
) -> dict[str, np.ndarray] | None:
    """All blocks in a folder; None for fewer than `least` steps, which is an event."""
    blocks: list[dict[str, np.ndarray]] = []
    count, gap = 0, False
    for path in numbered_files(folder, _BLOCK).values():
        try:
            rows = _read_block(path, session.spec, most - count)
        except (OSError, ValueError, LookupError) as error:
            on_event("inherited_experience_damaged", path=str(path), error=str(error))
            gap = True
            continue
        rows["is_first"][0] |= gap
        blocks.append(rows)
        count, gap = count + len(rows["reward"]), False
    if count < least:
        on_event("inherited_experience_missing", steps=count)
        return None
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _read_block(path: Path, spec: RobotSpec, most: int) -> dict[str, np.ndarray]:
    """Raises OSError or ValueError for what is not such a file, and LookupError for one that is incomplete."""
    rows, header = read_tensors(path, BLOCK_BYTES)
    fields = decode_metadata(header)
    if (fields["format_version"], fields["spec_hash"]) != (FORMAT_VERSION, spec.hash):
        raise ValueError("it is of another format or robot")
    layout, count = row_layout(spec), len(rows["reward"])
    if "shown" not in rows:  # as in files of before 2026-11-27
        del layout["shown"]
    found = {name: (values.shape, str(values.dtype)) for name, values in rows.items()}
    if not 0 < count <= most or found != {name: ((count, *shape), dtype) for name, (shape, dtype) in layout.items()}:
        raise ValueError("its arrays are not those of this robot's steps")
    if not all(np.isfinite(values).all() for values in rows.values() if values.dtype.kind == "f"):
        raise ValueError("it holds numbers that are not finite")
    if fields["sha256"] != _digest(rows):
        raise ValueError("its checksum does not fit its content")
    return {"shown": np.zeros(count, np.bool_)} | rows


def _digest(rows: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name and bytes of all fields, in order of name."""
    digest = hashlib.sha256()
    for name, values in sorted(rows.items()):
        digest.update(name.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
