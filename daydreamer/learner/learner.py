"""The learner of one session: experience in, policies out. No ROS, no clock of its own, no threads."""

from __future__ import annotations

import time
from collections.abc import Callable

import jax
import msgspec
import numpy as np

from daydreamer.actor.policy import Policy, flatten_parameters
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import Checkpointer, Progress
from daydreamer.learner.dream import OpenLoopPredictor
from daydreamer.replay import APPEND_SIZES, Replay
from daydreamer.session.directory import Session
from daydreamer.session.status import LearnerStatus
from daydreamer.snapshot import SnapshotMetadata, next_snapshot_version, prune_snapshots, write_snapshot
from daydreamer.telemetry.dreams import Dream
from daydreamer.telemetry.timing import LatencyStatistics

KEPT_SNAPSHOTS = 10
_RESTART_SEED = 0x9E3779B9  # keeps the learner's randomness apart from the twin's and the actor's


class Learner:
    """World model, behaviour and replay of a session.

    Goes on from the newest checkpoint; the replay is read back from the experience log, which is the truth.

    Attributes:
      agent: the networks and their gradient step.
      replay: what has been experienced.
      metrics: of the last gradient step, on the device.
    """

    def __init__(self, session: Session, on_event: Callable[..., None] = lambda kind, **fields: None):
        """Restores and compiles; takes tens of seconds the first time.

        Args:
          on_event: called as `on_event(kind, **fields)` on rare events.

        Raises:
          SpecMismatch: log or checkpoint belong to another robot.
          UserError: sizes in the configuration do not fit each other.
        """
        config = session.config
        self.config = config.learner
        self._session = session
        self._on_event = on_event
        try:
            self.agent = Agent(session.spec, config.model, config.learner)
            self.replay = Replay(session.spec, config.learner.replay_capacity)
        except ValueError as error:
            raise UserError(f"The session cannot be trained: {error}. Change it with --set.") from error
        self.metrics: dict[str, jax.Array] = {}
        self._tail = ExperienceTail(session.experience, session.spec)
        self._checkpointer = Checkpointer(session.checkpoints)
        self._predictor = OpenLoopPredictor(self.agent.world_model, config.learner)
        self._append_to_replay = LatencyStatistics()
        self._reported_problems = 0
        self._reported_skipped = 0
        self._state = jax.jit(self.agent.initialize, static_argnums=0)(config.seed ^ _RESTART_SEED)
        self._restore()
        self._policy_version = next_snapshot_version(session.policy) - 1
        self._attempted = int(self._state.updates) + int(self._state.skipped)
        self._update = self.agent.update.lower(self._state, self.replay.state).compile()

    @property
    def updates(self) -> int:
        """Gradient steps attempted over the whole session, skipped ones included."""
        return self._attempted

    @property
    def env_steps(self) -> int:
        """Steps received from the log over the whole session."""
        return self.replay.total

    @property
    def policy_version(self) -> int:
        """Last published; 0 before the first."""
        return self._policy_version

    def updates_allowed(self, env_steps: int) -> int:
        """How many gradient steps the train ratio leaves after `env_steps` steps of the session."""
        if env_steps < max(self.config.minimum_steps, self.config.batch_length):
            return 0
        ceiling = int(env_steps * self.config.train_ratio / self.agent.replayed_per_update)
        return max(0, ceiling - self._attempted)

    def ingest(self) -> int:
        """Takes over what has been logged since the last call, in the order it was logged; returns how much."""
        count = 0
        while steps := self._tail.read(APPEND_SIZES[-1]):
            self.replay.append(steps)
            count += len(steps)
            now_s = time.time()
            for step in steps[-APPEND_SIZES[0] :]:
                self._append_to_replay.add(now_s - step.wall_ns * 1e-9)
        for problem in self._tail.problems[self._reported_problems :]:
            self._on_event("log_problem", problem=problem.kind, actor_life=problem.actor_life, text=problem.text)
        self._reported_problems = len(self._tail.problems)
        return count

    def update(self) -> None:
        """One gradient step; waits for the one before, so that the caller keeps pace with the device."""
        if self.metrics:
            jax.block_until_ready(self.metrics)
        self._state, self.metrics = self._update(self._state, self.replay.state)
        self._attempted += 1

    def metric_values(self) -> dict[str, float]:
        """The metrics of the last gradient step by TensorBoard tag; reports gradient steps that had to be skipped."""
        skipped = int(self._state.skipped)
        if skipped > self._reported_skipped:
            self._on_event("update_skipped", count=skipped - self._reported_skipped, gradient_step=self._attempted)
            self._reported_skipped = skipped
        return {f"learner/{name}": float(value) for name, value in jax.device_get(self.metrics).items()}

    def policy(self, version: int) -> Policy:
        """The current policy, without a detour over the disk.

        The parameters are copied, because the next gradient step overwrites them in place.
        """
        parameters = jax.tree.map(np.array, self.agent.policy_parameters(self._state))
        return Policy(
            parameters, self._session.spec, self._session.config.model, version, seed=self._session.config.seed
        )

    def publish(self) -> int:
        """Writes the current policy as the next snapshot; returns its version."""
        version = self._policy_version + 1
        parameters = jax.device_get(self.agent.policy_parameters(self._state))
        metadata = SnapshotMetadata(
            version=version,
            gradient_step=self._attempted,
            env_steps=self.env_steps,
            robot_spec=self._session.spec,
            model=msgspec.to_builtins(self._session.config.model),
        )
        write_snapshot(self._session.policy, flatten_parameters(parameters), metadata)
        self._policy_version = version
        prune_snapshots(self._session.policy, KEPT_SNAPSHOTS)
        return version

    def dream(self) -> Dream | None:
        """What the model predicts of the newest experience, beside what happened; None while there is too little."""
        return self._predictor.predict(self._state.parameters, self.replay, self._attempted)

    def checkpoint(self) -> None:
        """Saves everything needed to go on; written in the background."""
        cursors = {str(life): cursor for life, cursor in self._tail.cursors.items()}
        progress = Progress(
            spec_hash=self._session.spec.hash,
            env_steps=self.env_steps,
            cursors=cursors,
            policy_version=self._policy_version,
        )
        self._checkpointer.save(self._state, progress)

    def status(self, state: str, updates_per_s: float | None = None) -> LearnerStatus:
        """For the status file."""
        replayed = self._attempted * self.agent.replayed_per_update
        return LearnerStatus(
            state=state,
            gradient_steps=self._attempted,
            imagined_steps=self._attempted * self.agent.imagined_per_update,
            train_ratio=replayed / self.env_steps if self.env_steps else None,
            replay_steps=len(self.replay),
            append_to_replay_ms=self._append_to_replay.summary(),
            updates_per_s=updates_per_s,
            last_publish_version=self._policy_version,
        )

    def close(self) -> None:
        """Waits for the last checkpoint to be on disk."""
        self._checkpointer.close()

    def _restore(self) -> None:
        restored = self._checkpointer.restore(self._state, self._session.spec.hash)
        received = self.ingest()
        if restored is None:
            return
        self._state, progress = restored
        self._on_event("restored", gradient_step=int(self._state.updates), env_steps=received)
        if received < progress.env_steps:
            self._on_event("log_shorter_than_checkpoint", env_steps=received, checkpoint_env_steps=progress.env_steps)
