"""One tick of the robot's life: observe, choose, make safe, write down, command.

The same loop runs in real time under ROS and in lock-step under `daydreamer train`:

    loop = ControlLoop(task, config, writer, actor_life=1, seed=0)
    while True:  # every loop.tick_period_s
        command = loop.step(measurement, tick_s)
        robot.command(command)

A policy that chooses twice a second does not leave its robot alone in between: it is watched, and told again what to
do, at the robot's safety rate. So there may be several ticks to a control step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from daydreamer.actor.statistics import ActorStatistics
from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.contract.embodiment import Command
from daydreamer.contract.motions import KnownMotion, RemembersMotions
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, TaskState
from daydreamer.experience.step import Step
from daydreamer.random_actions import RandomActions
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor


class ActingPolicy(Protocol):
    """What the loop needs of a policy. A state made by one version is valid for the next."""

    version: int
    created_wall_s: float

    def initial_state(self) -> Any: ...

    def __call__(self, observation: dict[str, np.ndarray], state: Any, is_first: bool) -> tuple[np.ndarray, Any]: ...


class StepWriter(Protocol):
    """Where steps go; `append` returns once a crash of this process can no longer lose the step."""

    def append(self, step: Step) -> None: ...


class ControlLoop:
    """The actor without clock, topics or threads. `step` is called by one thread, `set_policy` by any.

    Only what the robot does while the safety supervisor lets it run is experience. Whatever ends that, as a gap in the
    measurements or a pause, ends the episode without a last step: the next logged step is the first of a new one. What
    a task does to begin an episode is no experience either, see `Task.restart`.

    Attributes:
      statistics: counters and recent means.
      supervisor: the safety supervisor, with its counts.
      ticks_per_step: calls of `step` for each control step, the first of which is logged.
      tick_period_s: between two calls.
      restart_ticks: ticks in which the robot was beginning an episode by itself.
    """

    def __init__(
        self,
        task: Task,
        config: ActorConfig,
        writer: StepWriter,
        *,
        actor_life: int,
        seed: int,
        safety: SafetyConfig | None = None,
        earlier_steps: int = 0,
        earlier_episodes: int = 0,
        demonstrates: bool = False,
        clock: Callable[[], float] = time.monotonic,
        on_event: Callable[..., None] = lambda kind, **fields: None,
        on_step: Callable[[Step], None] = lambda step: None,
    ):
        """A loop whose first step is the first of an episode.

        Args:
          task: what the robot does; owned by the loop from now on.
          writer: receives every step before the command is returned.
          actor_life: which life of the actor in this session, from 1.
          seed: of the random actions; lives differ.
          safety: the loop is stopped until `supervisor.activate`. None for lock-step: it runs from the first step, and
            what comes of processes and clocks is not watched.
          earlier_steps, earlier_episodes: of the session's earlier lives.
          demonstrates: no policy is to act: what an operator or a teacher comes to is the session's own.
          clock: steady time in s, the one that ticks and measurements are stamped with.
          on_event: called as `on_event(kind, **fields)` on rare events, from the thread of `step`.
          on_step: called with every step once it is logged, before its command is returned.
        """
        self.statistics = ActorStatistics(task.spec.control_rate_hz, earlier_steps, earlier_episodes)
        self.supervisor = SafetySupervisor(task, config, safety, on_event)
        if safety is None:
            self.supervisor.activate("lock-step")
        self._task = task
        self._spec = task.spec
        self._writer = writer
        self._actor_life = actor_life
        self.ticks_per_step = task.embodiment.ticks_per_step(task.spec.control_rate_hz)
        self.tick_period_s = task.spec.control_period_s / self.ticks_per_step
        generator = np.random.default_rng((seed, actor_life))
        self._behavior = task.make_behavior(config, generator) or RandomActions(task.spec, config, generator)
        self._restart_timeout_s = config.restart_timeout_s
        self._clock = clock
        self._on_event = on_event
        self._on_step = on_step
        self._sequence = 0
        self._policy: ActingPolicy | None = None
        self._runs = 0
        self._demonstrates = demonstrates
        self._operator_action: Callable[[TaskState], np.ndarray] | None = None
        self._sent: np.ndarray | None = None
        self._requested: np.ndarray | None = None
        self._episode_step = 0
        self._time_is_up = False
        self._ticks_since_step = 0
        self.restart_ticks = 0
        self._restarting = True
        self._restart_begin_s: float | None = None
        self._state: Any = None
        self._begin_episode()

    @property
    def known_motions(self) -> tuple[KnownMotion, ...]:
        """What the robot knows of getting out of trouble; any thread may ask."""
        return self._behavior.known_motions if isinstance(self._behavior, RemembersMotions) else ()

    def recall(self, motions: tuple[KnownMotion, ...]) -> None:
        """Begins with what an earlier life has known; before the first step."""
        if motions and isinstance(self._behavior, RemembersMotions):
            self._behavior.recall(motions)

    @property
    def policy(self) -> ActingPolicy | None:
        return self._policy

    def set_policy(self, policy: ActingPolicy, frozen: bool = False) -> None:
        """Takes effect at the next step, which goes on from the recurrent state of the old policy.

        Args:
          frozen: no newer one is to come, so that this one is never too old.
        """
        self._policy = policy
        # From here on by the steady clock; an older policy of an earlier life counts as new once.
        self.supervisor.watchdogs.heartbeats.policy_s = None if frozen else self._clock()

    def intervene(self, choose: Callable[[TaskState], np.ndarray] | None) -> None:
        """An operator chooses from the next step on, in the policy's place; None ends it.

        Args:
          choose: says which action it is `[action]`, asked at each step for what the task has just observed.
        """
        self._operator_action = choose

    def end_episode(self) -> None:
        """The step that is being chosen, or else the next one, is the last of its episode, as if its time were up."""
        self._time_is_up = True

    @property
    def intervening(self) -> bool:
        """Whether an operator chooses the actions."""
        return self._operator_action is not None

    @property
    def acting(self) -> bool:
        """Whether the next step is experience: the robot is not held, nor does it begin an episode by itself."""
        return self.supervisor.state is SafetyState.RUNNING and not self._restarting

    def step(self, measurement: Measurement, tick_s: float) -> Command | None:
        """The command of a tick, which answers `measurement`; if it is a step of experience, that has been logged.

        None when nothing is to be sent: the supervisor is stopped, or the loop stood still meanwhile.

        Args:
          measurement: newest state of the robot; may be the same as last time.
          tick_s: start of the tick on the clock; latency is counted from here.

        Raises:
          OSError, UserError: the step cannot be written; the robot has to be damped and the actor to end.
        """
        state = self.supervisor.begin_tick(tick_s, measurement)
        if self.supervisor.runs != self._runs:
            self._begin_run()
        if state is SafetyState.RUNNING:
            command = self._run(self.supervisor.measurement, tick_s)
        else:
            command = self.supervisor.command_without_policy()
        return self.supervisor.sendable(command, self._clock() - tick_s)

    def _run(self, measurement: Measurement, tick_s: float) -> Command:
        if self._restarting and self._ticks_since_step == 0:
            setpoint = self._restart(measurement, tick_s)
            if setpoint is not None:
                self.restart_ticks += 1
                return self.supervisor.command(setpoint)
        ticks, self._ticks_since_step = self._ticks_since_step, (self._ticks_since_step + 1) % self.ticks_per_step
        if ticks == 0:
            return self._act(measurement, tick_s)
        # What the policy has asked for goes on; the guard lets the robot come nearer to it.
        command = self.supervisor.command(self._requested)
        self._sent = command.setpoint
        return command

    def _restart(self, measurement: Measurement, tick_s: float) -> np.ndarray | None:
        """What the task wants of the robot before the episode may begin; None once it may."""
        if self._restart_begin_s is None:
            self._restart_begin_s = tick_s
        elapsed_s = tick_s - self._restart_begin_s
        late = elapsed_s > self._restart_timeout_s
        setpoint = None if late else self._task.restart(measurement, elapsed_s)
        if setpoint is not None:
            return setpoint
        if late:
            self._on_event("restart_timeout", elapsed_s=elapsed_s)
        if elapsed_s > 0.0:
            self._task.reset()  # the task has not seen what happened meanwhile
            self._sent = None
        self._restarting = False
        return None

    def _act(self, measurement: Measurement, tick_s: float) -> Command:
        is_first = self._episode_step == 0
        policy = self._policy  # read once: another thread may set a newer one at any time
        sent = self._task.embodiment.measured_setpoint(measurement) if self._sent is None else self._sent
        task_state = self._task.observe(measurement, sent)
        operator = self._operator_action  # likewise
        operator_action = None if operator is None else operator(task_state)
        if operator_action is not None and not self._demonstrates:
            self._taken_over = True
            self._task.taken_over()
        action, version = self._choose(policy, operator_action, task_state, is_first)
        finite = bool(np.all(np.isfinite(action)))
        nothing = np.full(len(self._task.embodiment.setpoint_names), np.nan)
        self._requested = self._task.setpoint(action, measurement, sent) if finite else nothing
        command = self.supervisor.command(self._requested)
        if not finite:
            # A recurrent state that went bad stays bad; and one NaN in the log would poison every batch drawn from it.
            self._state = None
            action = self._spec.action.zeros()
            self._on_event("action_not_finite", policy_version=version)
        time_is_up = self._time_is_up or self._episode_step == self._spec.episode_steps - 1
        is_last = time_is_up or task_state.ending is not None
        intervention = operator_action is not None
        step = self._write(measurement, task_state, action, command, is_first, is_last, version, intervention, tick_s)
        self._sent = command.setpoint
        self._episode_step += 1
        if is_last:
            if task_state.ending is not None:
                by = {"taken_over": True} if self._taken_over else {}
                self._on_event("episode_end", ending=task_state.ending, sequence=step.sequence, **by)
            self._begin_episode()
        return command

    def _choose(
        self,
        policy: ActingPolicy | None,
        operator_action: np.ndarray | None,
        task_state: TaskState,
        is_first: bool,
    ) -> tuple[np.ndarray, int]:
        chosen = self._behavior.choose(task_state.reward, self.statistics.env_steps, policy is not None)
        if operator_action is not None:
            chosen = operator_action
        if chosen is not None:
            self._state = None  # the policy would take its own action for the one that was carried out
            return chosen, 0
        starts = is_first or self._state is None
        state = policy.initial_state() if starts else self._state
        action, self._state = policy(task_state.observation, state, starts)
        return np.asarray(action), policy.version

    def _write(
        self,
        measurement: Measurement,
        task_state: TaskState,
        action: np.ndarray,
        command: Command,
        is_first: bool,
        is_last: bool,
        policy_version: int,
        intervention: bool,
        tick_s: float,
    ) -> Step:
        """Logs a step, and gives it back with the number that it has there: in a log that has rolled it begins at 0."""
        age_s = self._clock() - measurement.time_s
        doubt = self.supervisor.watchdogs.joints_in_doubt
        step = Step(
            actor_life=self._actor_life,
            sequence=self._sequence,
            monotonic_ns=round(measurement.time_s * 1e9),
            wall_ns=time.time_ns() - round(age_s * 1e9),
            observation=task_state.observation,
            action_requested=action,
            action_sent=command.setpoint,
            reward=task_state.reward,
            reward_terms=task_state.reward_terms,
            info=task_state.info,
            is_first=is_first,
            is_last=is_last,
            is_terminal=task_state.ending is not None,
            policy_version=policy_version,
            intervention=intervention,
            safety_flags=command.flags | (SAFETY_FLAGS["not_following"] if doubt else 0),
            latency_s=self._clock() - tick_s,
        )
        self._writer.append(step)
        self._sequence += 1
        self.statistics.add(step)
        self._on_step(step)
        return step

    def _begin_run(self) -> None:
        """Between two runs the robot was moved by something else, or not observed."""
        self._runs = self.supervisor.runs
        self._begin_episode()
        self._task.reset()
        self._sent = None
        self._ticks_since_step = 0

    def _begin_episode(self) -> None:
        self._episode_step = 0
        self._time_is_up = False
        self._taken_over = False
        self._state = None
        self._restarting, self._restart_begin_s = True, None
