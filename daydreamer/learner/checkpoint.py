"""Checkpoints of the learner: parameters, optimizer, randomness, counters and how far the log had been read.

Each is complete or absent, carries a checksum over all it holds, and is deleted only when a newer one is safely on
disk. One that is damaged is set aside under another name, and the one before it is used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
import msgspec
import numpy as np
import orbax.checkpoint as ocp

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.learner.agent import TrainState
from daydreamer.session.atomic import fsync_tree

KEPT = 3
SET_ASIDE_SUFFIX = ".damaged"
UNFINISHED_SUFFIX = ".orbax-checkpoint-tmp"
REMOVAL_TIMEOUT_S = 1.0


class CorruptCheckpoint(UserError):
    """A checkpoint is not what was written."""

    def __init__(self, path: Path, reason: str):
        self.path, self.reason = path, reason
        super().__init__(f"{path} is damaged: {reason}. The learner uses the one before it.")


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a checkpoint knows besides the train state.

    Attributes:
      spec_hash: of the robot.
      env_steps: received from the log.
      cursors: by actor life, byte offset and next sequence number in its log.
      policy_version: last published.
    """

    spec_hash: str
    env_steps: int
    cursors: Mapping[str, tuple[int, int]]
    policy_version: int


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

    def digest(self) -> str:
        values = msgspec.to_builtins(msgspec.structs.replace(self, sha256=""))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Checkpointer:
    """Keeps the newest few checkpoints in a directory. Saving goes on in the background."""

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
            arrays = jax.tree.map(np.array, state)
            seal = Seal(progress=progress, layout=layout_digest(arrays), content=content_digest(arrays))
            seal = msgspec.structs.replace(seal, sha256=seal.digest())
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
                return jax.tree.map(jax.numpy.array, state), progress
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
        cause = str(error).splitlines()[0] if str(error) else repr(error)
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
    """A checkpoint with its arrays in numpy, if all its checksums fit. Changes nothing.

    Args:
      template: a train state, or its shapes and types as `jax.eval_shape` gives them.
      spec_hash: of the robot.

    Raises:
      CorruptCheckpoint: it is not what was written.
      SpecMismatch: it belongs to another robot.
      UserError: it belongs to networks of other sizes.
    """
    try:
        seal = msgspec.json.decode((path / "progress" / "metadata").read_bytes(), type=Seal)
    except (OSError, msgspec.DecodeError) as error:
        raise CorruptCheckpoint(path, f"its record cannot be read ({error})") from error
    if seal.sha256 != seal.digest():
        raise CorruptCheckpoint(path, "the checksum of its record does not fit")
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
    abstract = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), template)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            state = checkpointer.restore(path / "state", abstract)
    except Exception as error:  # Orbax passes on whatever its storage raises
        raise CorruptCheckpoint(path, f"its arrays cannot be read ({str(error).splitlines()[0]})") from error
    if content_digest(state) != seal.content:
        raise CorruptCheckpoint(path, "the checksum of its arrays does not fit")
    return state, seal.progress


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


def checkpoint_paths(directory: Path) -> list[Path]:
    """Folders of the checkpoints in a directory, oldest first, without opening any."""
    if not directory.is_dir():
        return []
    return sorted((directory / name for name in os.listdir(directory) if name.isdecimal()), key=lambda p: int(p.name))
