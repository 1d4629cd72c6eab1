"""A session that begins with what another one has learned: its networks, and its experience if that is asked for.

All of it is copied when the session is made, which needs nothing of the other one afterwards. The networks lie there as
the checkpoint of gradient step 0, which is kept for good, and the policy as the first of its snapshots: whoever goes on
from a checkpoint or acts by the newest snapshot does as ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import jax
import msgspec
import numpy as np
import safetensors.numpy

from daydreamer.config import LearnerConfig
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.agent import Agent, TrainState
from daydreamer.learner.checkpoint import Checkpointer
from daydreamer.learner.learned import read_learned
from daydreamer.learner.sound import is_finite, is_followed
from daydreamer.policy.policy import flatten_parameters
from daydreamer.policy.snapshot import NonFiniteParameters, SnapshotMetadata, write_snapshot
from daydreamer.replay import Continuity, inheritable, row_layout, to_rows
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.parentage import Parent, Parentage
from daydreamer.session.seal import Progress
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import write_atomically
from daydreamer.storage.files import make_folder, numbered_files
from daydreamer.storage.tensors import decode_metadata, read_tensors
from daydreamer.telemetry.columns import newest_steps, read_columns

FORMAT_VERSION = 1
BLOCK_STEPS = 4096
"""Of a file: an hour of vectors has 18, and no file of pictures is larger than a snapshot may be."""
BLOCK_BYTES = 1 << 30
RECENT_S = 120.0
"""Robot time over which it is judged what a policy earns: long enough for a fall and a rescue."""
_BLOCK = re.compile(r"(\d{6,9})\.safetensors", re.ASCII)


class Inheritance:
    """What a session that is to be made takes from another one.

    Attributes:
      parent: the other one.
    """

    def __init__(self, session: Session, state: TrainState, parentage: Parentage):
        """Holds `state`, of `session`, in arrays of numpy; see `read_inheritance`."""
        self.parent = Parent(parentage, session.spec, session.config)
        self._session = session
        self._state = state

    def endow(self, session: Session) -> None:
        """Puts it into the directory of a session that is being made.

        Raises:
          UserError: the disk failed, there is too little experience, or the policy cannot be one.
        """
        config = session.config
        agent = Agent(session.spec, config.model, config.learner)
        parameters = agent.policy_parameters(self._state, plans=config.actor.plan.samples > 0)
        metadata = SnapshotMetadata(
            version=1,
            gradient_step=0,
            env_steps=0,
            robot_spec=session.spec,
            model=msgspec.to_builtins(config.model),
        )
        try:
            write_snapshot(session.policy, flatten_parameters(jax.device_get(parameters)), metadata)
        except NonFiniteParameters as error:
            raise UserError(f"{self._session.path} cannot be begun with: {error}.") from error
        progress = Progress(spec_hash=session.spec.hash, env_steps=0, cursors={}, policy_version=metadata.version)
        with contextlib.closing(Checkpointer(session.checkpoints)) as checkpointer:
            checkpointer.save(_begin_anew(self._state, config.seed), progress)
        count = _copy_experience(self._session, session) if config.learner.inherited_share else 0
        parentage = msgspec.to_builtins(self.parent.parentage)
        EventLog(session.events).record("inherited", "learner", experience_steps=count, **parentage)


def read_inheritance(directory: Path) -> Inheritance:
    """What the newest undamaged checkpoint of a session has learned, whether it is at work or not.

    Raises:
      SpecMismatch: its checkpoints belong to another robot.
      UserError: there is no such session, or no checkpoint in it that can be used.
    """
    learned = read_learned(directory)
    parentage = _parentage(learned.session, learned.state, learned.progress, learned.content)
    return Inheritance(learned.session, learned.state, parentage)


def _parentage(session: Session, state: TrainState, progress: Progress, content: str) -> Parentage:
    before = session.record.parent
    lived_s = progress.env_steps * session.spec.control_period_s
    return Parentage(
        path=str(session.path),
        digest=session.digest,
        checkpoint=content,
        robot=session.config.robot,
        body=session.config.body,
        seed=session.config.seed,
        gradient_step=int(state.updates),
        env_steps=progress.env_steps,
        lived_s=lived_s + (before.lived_s if before else 0.0),
        reward=_recent_reward(session),
    )


def _recent_reward(session: Session) -> float | None:
    """Median of the steps that the policy chose in the last `RECENT_S`; None if there are none that can be read."""
    try:
        steps = read_columns(session, session.spec.steps(RECENT_S), images=False)
    except UserError:
        return None
    rewards = steps.reward[(steps.policy_version > 0) & np.isfinite(steps.reward)]
    return float(np.clip(np.median(rewards), -1e6, 1e6)) if len(rewards) else None


def _begin_anew(state: TrainState, seed: int) -> TrainState:
    """The state with which the new session begins: what was learned, and the counts of a session that begins.

    The optimizer keeps its moments, which are of these networks, and with them the counts by which learning rates rise
    and the actor waits: that is over. The return statistics stay as well, because the critic's values are relative to
    them. The usual gradient norm is found anew: on another robot it may be another one.
    """
    counts = {name: np.int32(0) for name in ("updates", "skipped", "skipped_in_a_row")}
    values: dict[str, Any] = {"key": np.asarray(jax.random.key_data(jax.random.key(seed))), **counts}
    return state._replace(**values, usual_log_norm=cast(jax.Array, np.float32(0.0)))


def _copy_experience(parent: Session, session: Session) -> int:
    """Writes the newest steps of one session that something can be learned from into another; how many.

    Raises:
      UserError: they are too few for a sequence, cannot be read, or the disk failed.
    """
    most, spec = inheritable(session.spec, session.config.learner), session.spec
    tail = ExperienceTail(parent.experience, spec, newest_steps(parent, most)[1])
    continuity, count, number = Continuity(), 0, 0
    while count < most and (steps := tail.read(min(BLOCK_STEPS, most - count))):
        if sound := [step for step in steps if is_followed(step) and is_finite(step)]:
            rows = to_rows(sound, spec)
            continuity.mark(rows)
            number, count = number + 1, count + len(sound)
            _write_block(session.inherited / f"{number:06d}.safetensors", rows, spec)
    if count < session.config.learner.batch_length:
        raise UserError(
            f"{parent.path} has {count} steps of experience to learn from, fewer than a sequence of "
            f"{session.config.learner.batch_length}; leave out --from-experience."
        )
    return count


def _write_block(path: Path, rows: Mapping[str, np.ndarray], spec: RobotSpec) -> None:
    header = {"format_version": json.dumps(FORMAT_VERSION), "spec_hash": json.dumps(spec.hash)}
    header["sha256"] = json.dumps(_digest(rows))
    try:
        make_folder(path.parent)
        write_atomically(path, safetensors.numpy.save(dict(rows), metadata=header))
    except OSError as error:
        raise UserError(
            f"Experience cannot be written to {path} ({error.strerror}); free some space or check the disk."
        ) from error


def read_inherited_experience(session: Session, on_event: Callable[..., None]) -> dict[str, np.ndarray] | None:
    """The steps that a session has inherited, as `to_rows` makes them; None if there are none.

    A file that is damaged is left out, which is an event; what follows does not follow from what precedes it.
    """
    config = session.config.learner
    blocks: list[dict[str, np.ndarray]] = []
    count, gap = 0, False
    if config.inherited_share:
        for path in numbered_files(session.inherited, _BLOCK).values():
            try:
                rows = _read_block(path, session.spec, config, inheritable(session.spec, config) - count)
            except (OSError, ValueError, LookupError) as error:
                on_event("inherited_experience_damaged", path=str(path), error=str(error))
                gap = True
                continue
            rows["is_first"][0] |= gap
            blocks.append(rows)
            count, gap = count + len(rows["reward"]), False
    if count < config.batch_length:
        if config.inherited_share:
            on_event("inherited_experience_missing", steps=count)
        return None
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _read_block(path: Path, spec: RobotSpec, config: LearnerConfig, most: int) -> dict[str, np.ndarray]:
    """Raises OSError or ValueError for what is not such a file, and LookupError for one that is incomplete."""
    rows, header = read_tensors(path, BLOCK_BYTES)
    fields = decode_metadata(header)
    if (fields["format_version"], fields["spec_hash"]) != (FORMAT_VERSION, spec.hash):
        raise ValueError("it is of another format or robot")
    layout, count = row_layout(spec), len(rows["reward"])
    found = {name: (values.shape, str(values.dtype)) for name, values in rows.items()}
    if not 0 < count <= most or found != {name: ((count, *shape), dtype) for name, (shape, dtype) in layout.items()}:
        raise ValueError("its arrays are not those of this robot's steps")
    if fields["sha256"] != _digest(rows):
        raise ValueError("its checksum does not fit its content")
    return rows


def _digest(rows: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name and bytes of all fields, in order of name."""
    digest = hashlib.sha256()
    for name, values in sorted(rows.items()):
        digest.update(name.encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
