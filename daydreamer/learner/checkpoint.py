"""Checkpoints of the learner: parameters, optimizer, randomness, counters and how far the log had been read.

Each is complete or absent, carries a checksum over all it holds, and is deleted only when a newer one is safely on
disk. One that is damaged is set aside under another name, and the one before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import jax
import msgspec
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts
import zstandard

from daydreamer.behavior.state import ContinuedState, without_dreams
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.learner.agent import TrainState
from daydreamer.session.seal import CorruptCheckpoint, Progress, Seal, read_seal
from daydreamer.storage.atomic import fsync_tree
from daydreamer.storage.files import file_size, find_foreign
from daydreamer.texts import decode_json

KEPT = 3
INHERITED_STEP = 0
"""Gradient step of what a session began with, if it did: kept for good, because no experience brings it back."""
SET_ASIDE_SUFFIX = ".damaged"
UNFINISHED_SUFFIX = ".orbax-checkpoint-tmp"
REMOVAL_TIMEOUT_S = 1.0


class Checkpointer:
    """Keeps the newest few checkpoints in a directory, and `INHERITED_STEP`. Saving goes on in the background."""

    def __init__(self, directory: Path, on_event: Callable[..., None] = lambda kind, **fields: None):
        """`on_event` is called as `on_event(kind, **fields)` for every checkpoint that has to be passed over."""
        self._directory = directory.absolute()
        self._on_event = on_event
        self._manager = self._open()

    @property
    def steps(self) -> list[int]:
        """Gradient steps of the checkpoints there are, oldest first."""
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, progress: Progress) -> int | None:
        """Copies the state to the host now, writes it in the background.

        Saving twice at the same gradient step does nothing.

        Returns:
          The newest step that is safely on disk; this one will be by the next call.

        Raises:
          UserError: this checkpoint or the one before could not be written; those before that are intact, and the
            next call tries again.
        """
        try:
            durable = self._settle()
            step = int(state.updates)
            if step in self._manager.all_steps():
                return durable
            # A copy: the next gradient step overwrites the buffers in place.
            arrays = jax.tree.map(np.array, _lasting(state))
            seal = Seal(progress=progress, layout=layout_digest(arrays), content=content_digest(arrays)).closed()
            items = ocp.args.Composite(
                state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(msgspec.to_builtins(seal))
            )
            self._manager.save(step, args=items, force=True)
            return durable
        except Exception as error:  # Orbax passes on whatever its storage raises
            self._give_up(error)

    def restore(self, template: TrainState, spec_hash: str) -> tuple[TrainState, Progress] | None:
        """The newest checkpoint that is undamaged; None if there is none. Damaged ones are set aside.

        Raises:
          SpecMismatch: it belongs to another robot.
          UserError: it belongs to networks of other sizes.
        """
        self._finish_saving()  # what is still being written would look damaged
        for step in reversed(self.steps):
            path = self._directory / str(step)
            try:
                state, progress = read_checkpoint(path, template, spec_hash)
            except CorruptCheckpoint as error:
                self._on_event("checkpoint_damaged", error=str(error))
                self.set_aside(step)
            else:
                state = jax.tree.map(jax.numpy.array, state)
                if isinstance(template.behavior, ContinuedState):
                    state = state._replace(behavior=template.behavior.with_learned(state.behavior))
                return state, progress
        return None

    def set_aside(self, step: int) -> None:
        """Takes a checkpoint out of use without deleting it."""
        self._finish_saving()
        path = self._directory / str(step)
        aside = path.with_name(path.name + SET_ASIDE_SUFFIX)
        number = 1
        while aside.exists():
            number += 1
            aside = path.with_name(f"{path.name}{SET_ASIDE_SUFFIX}{number}")
        self._manager.close()
        path.rename(aside)
        self._manager = self._open()

    def close(self) -> None:
        """Waits until everything is on disk.

        Raises:
          UserError: the last checkpoint could not be written.
        """
        try:
            self._settle()
        except Exception as error:
            self._give_up(error)
        finally:
            self._manager.close()

    def _open(self) -> ocp.CheckpointManager:
        self._remove_unfinished()
        # Orbax would delete old checkpoints before the new one has reached the disk; `_settle` does it after.
        options = ocp.CheckpointManagerOptions(max_to_keep=None, create=True)
        return ocp.CheckpointManager(self._directory, options=options)

    def _settle(self) -> int | None:
        """Waits for the save in progress, makes it durable, and only then deletes what it replaces; its step."""
        self._manager.wait_until_finished()
        steps = self.steps
        if steps:
            fsync_tree(self._directory / str(steps[-1]))
        for step in steps[:-KEPT]:
            if step != INHERITED_STEP:
                self._manager.delete(step)
        return steps[-1] if steps else None

    def _finish_saving(self) -> None:
        """Waits for the save in progress, whether it succeeds or not."""
        try:
            self._settle()
        except Exception as error:
            with contextlib.suppress(UserError):
                self._give_up(error)

    def _give_up(self, error: Exception) -> NoReturn:
        cause = _first_line(error)
        # What a failed save leaves, in memory and on disk, goes with its manager.
        try:
            self._manager.close()
        except Exception as again:
            logging.info("closing the checkpoints: %r", again)
        self._manager = self._open()
        raise UserError(
            f"The checkpoint cannot be written to {self._directory} ({cause}); free some space or check the disk."
        ) from error

    def _remove_unfinished(self) -> None:
        """What a save has left that failed or was cut off.

        Orbax would try once, and spoil the next save where threads of the failed one still add files.
        """
        end_s = time.monotonic() + REMOVAL_TIMEOUT_S
        while unfinished := list(self._directory.glob(f"*{UNFINISHED_SUFFIX}*")):
            for path in unfinished:
                shutil.rmtree(path, ignore_errors=True)
            if time.monotonic() > end_s:  # such a disk cannot be saved to either; the next save says so
                break
            time.sleep(0.05)


def read_checkpoint(path: Path, template: Any, spec_hash: str) -> tuple[TrainState, Progress]:
    """A checkpoint with its arrays in numpy, and no dreams that go on, if all its checksums fit. Changes nothing.

    Args:
      template: a train state, or its shapes and types as `jax.eval_shape` gives them.
      spec_hash: of the robot.

    Raises:
      CorruptCheckpoint: it is not what was written.
      SpecMismatch: it belongs to another robot.
      UserError: it belongs to networks of other sizes.
    """
    template = _lasting(template)
    seal = read_seal(path)
    if seal.progress.spec_hash != spec_hash:
        raise SpecMismatch(
            f"{path} is of robot specification {seal.progress.spec_hash}, this session's is {spec_hash}. Delete "
            f"{path.parent} to train anew from the session's experience."
        )
    if seal.layout != layout_digest(template):
        raise UserError(
            f"{path} does not fit this session's networks. Restore the configuration in session.yaml, or delete "
            f"{path.parent} to train anew from the session's experience."
        )
    try:
        _check_storage(path, template)
        abstract = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), template)
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore(path / "state", abstract)
    except Exception as error:  # Orbax passes on whatever its storage raises
        raise CorruptCheckpoint(path, f"its arrays cannot be read ({_first_line(error)})") from error
    if content_digest(state) != seal.content:
        raise CorruptCheckpoint(path, "the checksum of its arrays does not fit")
    return state, seal.progress


def _lasting(state: TrainState) -> TrainState:
    """What a checkpoint has of a state, or of its shapes."""
    return state._replace(behavior=without_dreams(state.behavior))


def layout_digest(tree: Any) -> str:
    """SHA-256 of name, type and shape of all leaves, which need no values."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    layout = [[jax.tree_util.keystr(name), str(leaf.dtype), list(leaf.shape)] for name, leaf in leaves]
    return hashlib.sha256(json.dumps(layout).encode()).hexdigest()


def content_digest(tree: Any) -> str:
    """SHA-256 of the bytes of all leaves, in the order of the tree."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        digest.update(np.ascontiguousarray(leaf).data)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else repr(error)


MOST_FILES = 10_000
SLACK_BYTES = 64 << 20
LARGEST_RATIO = 50
"""Of arrays to their compressed files; those of networks hardly shrink."""


def _check_storage(path: Path, template: Any) -> None:
    """Looks at what Orbax would read before it does: its storage allocates whatever a file claims, and follows links.

    Raises:
      ValueError: it is not what was saved, or comes to more memory than the networks take.
      OSError: it cannot be read.
    """
    for foreign, what in find_foreign(path):
        raise ValueError(f"{foreign} is {what}")
    names = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    if len(names) > MOST_FILES:
        raise ValueError(f"it has {len(names)} files")
    on_disk = sum(file_size(name) or 0 for name in names)
    wanted = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(template))
    if on_disk > 4 * wanted + SLACK_BYTES or wanted > LARGEST_RATIO * on_disk + SLACK_BYTES:
        raise ValueError(f"its files have {on_disk} bytes, the networks {wanted}")
    store = ts.KvStore.open({"driver": "ocdbt", "base": f"file://{path / 'state'}/"}).result()
    keys = store.list().result()
    arrays = {key.removesuffix(b".zarray"): _claimed(store, key) for key in keys if key.endswith(b"/.zarray")}
    if sum(arrays.values()) > wanted + SLACK_BYTES:
        raise ValueError(f"its arrays claim {sum(arrays.values())} bytes, the networks have {wanted}")
    for key in keys:
        if not key.endswith(b"/.zarray"):
            # A chunk is at most the array.
            _check_chunk(store.read(key).result().value, arrays.get(key[: key.rfind(b"/") + 1], 0))


class _Array(msgspec.Struct):
    """What Zarr, version 2, says of an array, as far as it matters here."""

    shape: list[int]
    chunks: list[int]
    dtype: str


def _claimed(store: ts.KvStore, key: bytes) -> int:
    """Bytes of an array. Raises ValueError for chunks that are larger than the array."""
    claim = decode_json(store.read(key).result().value, _Array)
    sound = len(claim.chunks) == len(claim.shape)
    if not (sound and all(0 < chunk <= max(1, of) for chunk, of in zip(claim.chunks, claim.shape, strict=True))):
        raise ValueError(f"an array of shape {claim.shape} claims chunks of {claim.chunks}")
    return math.prod(claim.shape) * np.dtype(claim.dtype).itemsize


def _check_chunk(value: bytes, limit: int) -> None:
    """Raises ValueError for a compressed chunk of more than `limit` bytes."""
    try:
        size = zstandard.frame_content_size(value)
        if size < 0:  # it does not say
            size = len(zstandard.ZstdDecompressor().stream_reader(value).read(limit + 1))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    if size > limit:
        raise ValueError(f"a chunk has {size} bytes where {limit} are expected")
