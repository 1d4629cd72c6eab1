"""The learner of one session: experience in, policies out. No ROS, no clock of its own, no threads."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping

import jax
import msgspec
import numpy as np

from daydreamer.accelerators import found_gpus
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.agent import Agent, TrainState
from daydreamer.learner.checkpoint import INHERITED_STEP, Checkpointer
from daydreamer.learner.devices import choose_devices
from daydreamer.learner.dream import OpenLoopPredictor
from daydreamer.learner.inherited import read_inherited_experience
from daydreamer.learner.sound import is_finite, is_followed
from daydreamer.policy.policy import Policy, flatten_parameters
from daydreamer.policy.snapshot import (
    NonFiniteParameters,
    SnapshotMetadata,
    next_snapshot_version,
    prune_snapshots,
    write_snapshot,
)
from daydreamer.replay import APPEND_SIZES, Replay, ReplayState, affordable
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.seal import Progress
from daydreamer.session.status import LearnerStatus, ProcessState
from daydreamer.telemetry.accounts import take_ledger
from daydreamer.telemetry.dreams import Dream, DreamWriter
from daydreamer.timing import LatencyStatistics, LatencySummary

KEPT_SNAPSHOTS = 10
RESTART_SEED = 0x9E3779B9
"""Keeps the learner's randomness apart from the twin's and the actor's."""


class Learner:
    """World model, behaviour and replay of a session.

    Goes on from the newest checkpoint; the replay is read back from the experience log, which is the truth.

    Attributes:
      agent: the networks and their gradient step.
      replay: what has been experienced.
      metrics: of the last gradient step, on the device.
    """

    def __init__(self, session: Session, on_event: Callable[..., None] = lambda kind, **fields: None):
        """Restores; compiles when it is first asked to, see `compile`.

        Args:
          on_event: called as `on_event(kind, **fields)` on rare events.

        Raises:
          SpecMismatch: log or checkpoint belong to another robot.
          UserError: sizes in the configuration do not fit each other.
        """
        config = session.config
        self.config = config.learner
        self._plans = config.actor.plan.samples > 0
        self._session = session
        self._on_event = on_event
        try:
            devices = choose_devices(config.learner)
            self.agent = Agent(session.spec, config.model, config.learner, devices, make_task(config).hindsight)
            self.replay = self._make_replay()
        except ValueError as error:
            raise UserError(f"The session cannot be trained: {error}. Change it with --set.") from error
        self.metrics: dict[str, jax.Array] = {}
        self._tail = ExperienceTail(session.experience, session.spec)
        self._checkpointer = Checkpointer(session.checkpoints, on_event)
        self._predictor = OpenLoopPredictor(self.agent.world_model, config.learner)
        self._dreams = DreamWriter(session.dreams)
        self._append_to_replay = LatencyStatistics()
        self._device = str(devices)
        self._idle_gpus = found_gpus() if jax.default_backend() == "cpu" else 0
        self._reported_problems = 0
        self._received = 0
        self._refused_steps = 0
        self._failing: set[str] = set()
        self._durable: int | None = None
        self._initialize = jax.jit(self.agent.initialize, static_argnums=0, out_shardings=devices.whole)
        self._state = self._initialize(config.seed ^ RESTART_SEED)
        self._restore()
        self._append_to_replay = LatencyStatistics()  # of what is logged from now on
        self._reported_skipped = int(self._state.skipped)
        self._policy_version = next_snapshot_version(session.policy) - 1
        self._attempted = int(self._state.updates) + int(self._state.skipped)
        self._fall_backs = 0
        self._fell_back_to: int | None = None
        self._update: Callable[[TrainState, ReplayState], tuple[TrainState, dict[str, jax.Array]]] | None = None

    def _make_replay(self) -> Replay:
        """An empty ring, beside what the session has inherited; together they take what the settings allow."""
        spec, config = self._session.spec, self.config
        steps = affordable(spec, config)
        if steps < config.replay_capacity:
            self._on_event("replay_bounded", steps=steps, bytes=config.replay_bytes)
        inherited = read_inherited_experience(self._session, self._on_event)
        if self._session.is_offline:
            if inherited is None:
                raise UserError(
                    f"{self._session.inherited} has no steps to learn from any more; learn from the logs again, into "
                    "another directory."
                )
            steps = APPEND_SIZES[-1]
        elif inherited is not None:
            steps -= len(inherited["reward"])
        replay = Replay(spec, steps, self.agent.devices.whole, inherited)
        if self._session.is_offline:
            replay.draw_inherited(1.0)
        return replay

    @property
    def updates(self) -> int:
        """Gradient steps attempted over the whole session, skipped ones included."""
        return self._attempted

    @property
    def env_steps(self) -> int:
        """Steps received from the log over the whole session, those that nothing can be learned from included."""
        return self._received

    @property
    def inherited_share(self) -> float:
        """Of the replayed sequences that is drawn now from the experience of others."""
        if self.replay.state.inherited is None:
            return 0.0
        if self._session.is_offline:
            return 1.0
        if self.config.demonstration_share:
            return self.config.demonstration_share
        fade_steps = self._session.spec.steps(self.config.inherited_fade_s)
        return self.config.inherited_share * max(0.0, 1.0 - self.env_steps / max(1, fade_steps))

    @property
    def has_enough(self) -> bool:
        """Whether there is a sequence to learn from, without the steps that nothing can be learned from."""
        return self.replay.total >= self.config.batch_length

    @property
    def policy_version(self) -> int:
        """Last published; 0 before the first."""
        return self._policy_version

    def updates_allowed(self, env_steps: int) -> int:
        """Gradient steps, in whole dispatches, that the train ratio leaves after `env_steps` steps of the session."""
        if env_steps < max(self._session.spec.steps(self.config.minimum_s), self.config.batch_length):
            return 0
        ceiling = int(env_steps * self.config.train_ratio / self.agent.replayed_per_update)
        per_dispatch = self.config.updates_per_dispatch
        return max(0, ceiling - self._attempted) // per_dispatch * per_dispatch

    def ingest(self) -> int:
        """Takes over what has been logged since the last call, in the order it was logged; returns how much."""
        count = 0
        while steps := self._tail.read(APPEND_SIZES[-1]):
            self.replay.append(self._without_damage(steps))
            count += len(steps)
            self._received += len(steps)
            now_s = time.time()
            for step in steps[-APPEND_SIZES[0] :]:
                # Taken from two readings of a clock that may be set back in between.
                self._append_to_replay.add(max(0.0, now_s - step.wall_ns * 1e-9))
        if count and self.replay.state.inherited is not None:
            self.replay.draw_inherited(self.inherited_share)
        for problem in self._tail.problems[self._reported_problems :]:
            self._on_event("log_problem", problem=problem.kind, actor_life=problem.actor_life, text=problem.text)
        self._reported_problems = len(self._tail.problems)
        return count

    def compile(self) -> None:
        """Compiles the gradient step, which takes tens of seconds the first time; `update` does so if it has to."""
        if self._update is None:
            self._update = self.agent.update.lower(self._state, self.replay.state).compile()

    def update(self) -> None:
        """The gradient steps of one dispatch; waits for those before, so that the caller keeps pace with the device.

        After `fall_back_updates` skipped ones in a row the learner goes back to its last good checkpoint.
        """
        self.compile()
        assert self._update is not None, "compile() has made it"
        if self.metrics:
            jax.block_until_ready(self.metrics)
        self._state, self.metrics = self._update(self._state, self.replay.state)
        before, self._attempted = self._attempted, self._attempted + self.config.updates_per_dispatch
        # Asking the device each time would make it wait for us.
        patience = self.config.fall_back_updates << self._fall_backs
        if before // patience < self._attempted // patience and int(self._state.skipped_in_a_row) >= patience:
            self._fall_back(f"the last {patience} gradient steps had to be skipped")

    def metric_values(self) -> dict[str, float]:
        """The metrics of the last gradient step by TensorBoard tag; reports gradient steps that had to be skipped."""
        skipped = int(self._state.skipped)
        if skipped > self._reported_skipped:
            self._on_event("update_skipped", count=skipped - self._reported_skipped, gradient_step=self._attempted)
            self._reported_skipped = skipped
        values = {f"learner/{name}": float(value) for name, value in jax.device_get(self.metrics).items()}
        if self.replay.state.inherited is not None:
            values["learner/inherited_share"] = self.inherited_share
        return values

    def policy(self, version: int) -> Policy:
        """The current policy, without a detour over the disk.

        The parameters are copied, because the next gradient step overwrites them in place.
        """
        parameters = jax.tree.map(np.array, self.agent.policy_parameters(self._state, self._plans))
        return Policy(
            parameters, self._session.spec, self._session.config.model, version, seed=self._session.config.seed
        )

    def publish(self, version: int | None = None) -> int | None:
        """Writes the current policy as a snapshot; returns its version.

        None if that failed, which is an event and no reason to end: the robot goes on with the policy it has.

        Args:
          version: under which steps of this policy are logged; None takes the next one.
        """
        version = next_snapshot_version(self._session.policy) if version is None else version
        parameters = jax.device_get(self.agent.policy_parameters(self._state, self._plans))
        metadata = SnapshotMetadata(
            version=version,
            gradient_step=self._attempted,
            env_steps=self.env_steps,
            robot_spec=self._session.spec,
            model=msgspec.to_builtins(self._session.config.model),
        )
        try:
            write_snapshot(self._session.policy, flatten_parameters(parameters), metadata)
            self._policy_version = version
            keep_every_steps = self._session.spec.steps(self.config.keep_policy_s)
            prune_snapshots(self._session.policy, KEPT_SNAPSHOTS, keep_every_steps)
        except NonFiniteParameters as error:
            self._fall_back(str(error))
            return None
        except UserError as error:
            self._report_failure("publish", error)
            return None
        self._report_success("publish")
        return version

    def dream(self) -> Dream | None:
        """Records what the model predicts of the newest experience, beside what happened.

        None while there is too little of it, or nothing has been learned; the first call compiles all the same. A file
        that cannot be written is an event and no reason to end.
        """
        dream = self._predictor.predict(self._state.parameters, self.replay, self._attempted)
        if dream is None or not self._attempted:
            return None
        try:
            self._dreams.write(dream)
        except UserError as error:
            self._report_failure("dream", error)
        else:
            self._report_success("dream")
        return dream

    def dream_of(self, rows: Mapping[str, np.ndarray], starts: np.ndarray) -> Dream:
        """What the model predicts of other experience than it learns from, see `OpenLoopPredictor.predict_from`."""
        dream = self._predictor.predict_from(self._state.parameters, rows, starts)
        return dataclasses.replace(dream, gradient_step=self._attempted)

    def go_back(self) -> None:
        """Gives up what was attempted since the newest checkpoint, if there is one."""
        if self._checkpointer.steps:
            restored = self._checkpointer.restore(self._state, self._session.spec.hash)
            assert restored is not None, "this learner has just written it"
            self._state = jax.device_put(restored[0], self.agent.devices.whole)
            self._attempted = int(self._state.updates) + int(self._state.skipped)
            self._reported_skipped = int(self._state.skipped)

    def checkpoint(self) -> bool:
        """Saves everything needed to go on, written in the background; whether that has begun.

        A failure, also of the one before, is an event and tried again at the next call. While gradient steps are
        being skipped nothing is saved: only a state that still learns is worth going back to.
        """
        if int(self._state.skipped_in_a_row):
            return False
        cursors = {str(life): cursor for life, cursor in self._tail.cursors.items()}
        progress = Progress(
            spec_hash=self._session.spec.hash,
            env_steps=self.env_steps,
            cursors=cursors,
            policy_version=self._policy_version,
            ledger=take_ledger(self._session),
        )
        try:
            durable = self._checkpointer.save(self._state, progress)
        except UserError as error:
            self._report_failure("checkpoint", error)
            return False
        if durable != self._durable:
            self._durable = durable
            self._report_success("checkpoint")
        if int(self._state.updates) != self._fell_back_to:
            self._fall_backs, self._fell_back_to = 0, None
        return True

    def status(self, state: ProcessState, updates_per_s: float | None = None) -> LearnerStatus:
        """For the status file."""
        replayed = self._attempted * self.agent.replayed_per_update
        return LearnerStatus(
            state=state,
            gradient_steps=self._attempted,
            imagined_steps=self._attempted * self.agent.imagined_per_update,
            train_ratio=replayed / self.env_steps if self.env_steps else None,
            replay_steps=len(self.replay),
            append_to_replay_ms=LatencySummary(**self._append_to_replay.summary()),
            updates_per_s=updates_per_s,
            last_publish_version=self._policy_version,
            device=self._device,
            idle_gpus=self._idle_gpus,
        )

    def close(self) -> None:
        """Waits for the last checkpoint to be on disk."""
        try:
            self._checkpointer.close()
        except UserError as error:
            self._report_failure("checkpoint", error)

    def _restore(self) -> None:
        restored = self._checkpointer.restore(self._state, self._session.spec.hash)
        received = self.ingest()
        if restored is None:
            if self._session.record.parent is not None:
                self._on_event("inheritance_missing", directory=str(self._session.checkpoints))
            return
        state, progress = restored
        self._state = jax.device_put(state, self.agent.devices.whole)
        self._on_event("restored", gradient_step=int(self._state.updates), env_steps=received)
        if received < progress.env_steps:
            self._on_event("log_shorter_than_checkpoint", env_steps=received, checkpoint_env_steps=progress.env_steps)

    def _fall_back(self, reason: str) -> None:
        """Goes on from the last good checkpoint, or from the beginning if there is none, with fresh randomness.

        A second time without a checkpoint in between it goes one further back, but never behind what the session began
        with, and waits twice as long before the next.
        """
        if self._fell_back_to != INHERITED_STEP and self._fell_back_to in self._checkpointer.steps:
            self._checkpointer.set_aside(self._fell_back_to)
        state = self._initialize(self._session.config.seed ^ RESTART_SEED)
        restored = self._checkpointer.restore(state, self._session.spec.hash)
        if restored is not None:
            state, _ = restored
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), self._attempted)
        self._fell_back_to = int(state.updates)
        # What is given up has been attempted all the same: the train ratio must not grant it again.
        skipped = jax.numpy.int32(self._attempted - self._fell_back_to)
        state = state._replace(key=jax.random.key_data(key), skipped=skipped, skipped_in_a_row=jax.numpy.int32(0))
        self._state = jax.device_put(state, self.agent.devices.whole)
        self._reported_skipped = int(skipped)
        self._fall_backs += 1
        self._on_event("fell_back", reason=reason, to_gradient_step=self._fell_back_to, gradient_step=self._attempted)

    def _without_damage(self, steps: list[Step]) -> list[Step]:
        """`steps` less those that nothing can be learned from: joints did not follow, or a number is not finite.

        One of the latter would poison every batch that it is in.
        """
        steps = [step for step in steps if is_followed(step)]
        sound = [step for step in steps if is_finite(step)]
        if refused := len(steps) - len(sound):
            before, self._refused_steps = self._refused_steps, self._refused_steps + refused
            # Of a broken sensor each step is one; the operator hears of the 1st, 2nd, 4th, 8th ...
            if before.bit_length() != self._refused_steps.bit_length():
                first = next(step for step in steps if not is_finite(step))
                identity = {"actor_life": first.actor_life, "sequence": first.sequence}
                self._on_event("steps_not_finite", refused=self._refused_steps, **identity)
        return sound

    def _report_failure(self, what: str, error: UserError) -> None:
        """An event for the first of a row of failures."""
        if what not in self._failing:
            self._failing.add(what)
            self._on_event(f"{what}_failed", error=str(error))

    def _report_success(self, what: str) -> None:
        if what in self._failing:
            self._failing.remove(what)
            self._on_event(f"{what}_works_again")
