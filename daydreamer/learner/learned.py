"""What a session has learned so far, read from its newest checkpoint that is sound, whether it is at work or not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from daydreamer.errors import UserError
from daydreamer.learner.agent import Agent, TrainState, all_finite
from daydreamer.learner.checkpoint import read_checkpoint
from daydreamer.session.directory import Session
from daydreamer.session.seal import CorruptCheckpoint, Progress, checkpoint_paths, read_seal


@dataclasses.dataclass(frozen=True)
class Learned:
    """A checkpoint and the networks that it is of.

    Attributes:
      session: that it was found in.
      agent: its networks, as the session's settings describe them.
      state: in arrays of numpy, finite.
      progress: how far the session had come.
      content: SHA-256 of the arrays.
    """

    session: Session
    agent: Agent
    state: TrainState
    progress: Progress
    content: str

    @property
    def parameters(self) -> dict[str, Any]:
        """By network."""
        return self.state.parameters


def read_learned(directory: Path) -> Learned:
    """The newest undamaged checkpoint of the session in a directory.

    Raises:
      SpecMismatch: its checkpoints belong to another robot.
      UserError: there is no such session, or no checkpoint in it that can be used.
    """
    session = Session.open(directory)
    config = session.config
    try:
        agent = Agent(session.spec, config.model, config.learner)
        template = jax.eval_shape(lambda: agent.initialize(0))
        paths = checkpoint_paths(session.checkpoints)
    except (ValueError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise UserError(
            f"What {session.path} has learned cannot be read: its session.yaml describes no networks ({error})."
        ) from error
    except OSError as error:
        raise UserError(f"{session.checkpoints} cannot be read ({error.strerror}); check its permissions.") from error
    damaged = []
    for path in reversed(paths):
        try:
            state, progress = read_checkpoint(path, template, session.spec.hash)
            content = read_seal(path).content
        except CorruptCheckpoint as error:
            damaged.append(f"{path.name}: {error.reason}")
            continue
        if not all_finite(jax.tree.map(np.asarray, (state.parameters, state.slow_critic, state.optimizer))):
            damaged.append(f"{path.name}: it holds numbers that are not finite")
            continue
        return Learned(session, agent, state, progress, content)
    if damaged:
        raise UserError(f"{session.path} has no checkpoint that is whole ({'; '.join(damaged)}); take another session.")
    cure = f"Go on with it until it has one ('{session.resume_command()}'), or take"
    if session.plays:
        cure = f"It plays a policy of {session.plays.session}; take that session, or"
    elif session.is_offline:
        cure = "Learn from its logs again, into another directory, or take"
    raise UserError(
        f"{session.path} has no checkpoint: there is nothing yet that it has learned. {cure} another session."
    )
