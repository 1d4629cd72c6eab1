"""A session that begins with what another one has learned: its networks, and, unless that is declined, its experience.

All of it is copied when the session is made, which needs nothing of the other one afterwards. The networks lie there as
the checkpoint of gradient step 0, which is kept for good, and the policy as the first of its snapshots: whoever goes on
from a checkpoint or acts by the newest snapshot does as ever.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, cast

import jax
import msgspec
import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.agent import Agent, TrainState
from daydreamer.learner.checkpoint import Checkpointer
from daydreamer.learner.inherited import InheritedWriter, has_steps_of_others, read_logged_by_others
from daydreamer.learner.learned import read_learned
from daydreamer.learner.sound import is_sound
from daydreamer.policy.policy import flatten_parameters
from daydreamer.policy.snapshot import NonFiniteParameters, SnapshotMetadata, write_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog, read_events
from daydreamer.session.known_motions import hand_down
from daydreamer.session.parentage import Parent, Parentage
from daydreamer.session.progress import logged_steps
from daydreamer.session.seal import Progress
from daydreamer.telemetry.columns import newest_steps, read_columns

RECENT_S = 120.0
"""Robot time over which it is judged what a policy earns: long enough for a fall and a rescue."""


class Inheritance:
    """What a session that is to be made takes from another one.

    Attributes:
      parent: the other one.
    """

    def __init__(self, session: Session, state: TrainState, parentage: Parentage):
        """Holds `state`, of `session`, in arrays of numpy; see `read_inheritance`."""
        self.parent = Parent(
            parentage, session.spec, session.config, _has_achieved_goal(session), has_steps_of_others(session)
        )
        self._session = session
        self._state = state

    def endow(self, session: Session) -> None:
        """Puts it into the directory of a session that is being made.

        Raises:
          UserError: the disk failed, there is too little experience, or the policy cannot be one.
        """
        config = session.config
        try:
            agent = Agent(session.spec, config.model, config.learner)
        except ValueError as error:
            raise UserError(f"The session cannot be trained: {error}. Change it with --set.") from error
        if config.learner.members != self.parent.config.learner.members:
            self._state = _with_members_of(agent, config.seed, self._state)
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
        hand_down(self._session, session)
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
    lived_s = (progress.env_steps + _steps_of_others(session)) * session.spec.control_period_s
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


def _steps_of_others(session: Session) -> int:
    """That it learned from offline, in place of its own."""
    return sum(log.steps for log in session.record.logs)


def _has_achieved_goal(session: Session) -> bool:
    """Whether its robot has done at some time what the task is for, as far as the session tells."""
    reached = {event["name"] for event in read_events(session.events) if event["kind"] == "milestone"}
    goal = session.presentation.goal
    return goal is not None and goal.name in reached


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


def _with_members_of(agent: Agent, seed: int, state: TrainState) -> TrainState:
    """What was learned, for an agent with another number of members: these begin at nothing, or are left behind."""
    learned = dict(jax.tree.leaves_with_path(state))

    def choose(path: tuple[Any, ...], fresh: jax.Array) -> np.ndarray:
        found = learned.get(path)
        return np.asarray(fresh if found is None or found.shape != fresh.shape else found)

    return jax.tree.map_with_path(choose, jax.jit(agent.initialize, static_argnums=0)(seed))


def _copy_experience(parent: Session, session: Session) -> int:
    """Writes the newest steps of one session that something can be learned from into another; how many.

    Raises:
      UserError: they are too few for a sequence, cannot be read, or the disk failed.
    """
    spec, writer = session.spec, InheritedWriter(session)
    skipped, cursors = newest_steps(parent, writer.most)
    count, own = 0, logged_steps(parent) - skipped
    # Of others it has, too: the logs that it learned from offline, or the experience of the one that it began with.
    if (room := writer.most - own) > 0 and (rows := read_logged_by_others(parent, room)) is not None:
        count = writer.put(rows)
    count += writer.copy(ExperienceTail(parent.experience, spec, cursors), is_sound)
    if count < session.config.learner.batch_length:
        raise UserError(
            f"{parent.path} has {count} steps of experience to learn from, fewer than a sequence of "
            f"{session.config.learner.batch_length}; begin without: --from-experience 0, under ros2 launch "
            "from_experience:=0."
        )
    return count
