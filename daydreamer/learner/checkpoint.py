"""Checkpoints of the learner: parameters, optimizer, randomness, counters and how far the log had been read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import jax
import msgspec
import orbax.checkpoint as ocp

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.learner.agent import TrainState

KEPT = 3


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


class Checkpointer:
    """Keeps the newest few checkpoints in a directory. Saving goes on in the background."""

    def __init__(self, directory: Path):
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, create=True)
        self._directory = directory
        self._manager = ocp.CheckpointManager(directory.absolute(), options=options)

    def save(self, state: TrainState, progress: Progress) -> None:
        """Copies the state to the host now, writes it in the background; complete or absent.

        Saving twice at the same gradient step does nothing.
        """
        step = int(state.updates)
        if step == self._manager.latest_step():
            return
        metadata = msgspec.to_builtins(progress)
        self._manager.save(
            step, args=ocp.args.Composite(state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(metadata))
        )

    def restore(self, template: TrainState, spec_hash: str) -> tuple[TrainState, Progress] | None:
        """The newest checkpoint; None if there is none.

        Raises:
          SpecMismatch: it belongs to another robot, or to networks of other sizes.
        """
        step = self._manager.latest_step()
        if step is None:
            return None
        values = self._manager.restore(step, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))
        progress = msgspec.convert(values["progress"], Progress)
        if progress.spec_hash != spec_hash:
            raise SpecMismatch(
                f"The checkpoint in {self._directory} is of robot specification {progress.spec_hash}, this session's "
                f"is {spec_hash}. Delete the folder to train anew from the session's experience."
            )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))
        except (ValueError, KeyError) as error:
            cause = str(error).splitlines()[0]
            raise UserError(
                f"The checkpoint of step {step} in {self._directory} does not fit this session's networks ({cause}). "
                "Delete it to use the one before."
            ) from error
        return restored["state"], progress

    def close(self) -> None:
        """Waits until everything is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()
