"""A robot whose time passes only when it is told to: what a control loop needs of a twin without a clock."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from daydreamer.actor.control_loop import ControlLoop, StepWriter
from daydreamer.actor.telemetry import safety_status
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task
from daydreamer.experience.step import Step
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.recording import begin_log
from daydreamer.session.status import ActorStatus, ProcessState
from daydreamer.telemetry.quantities import recent_figures


class Truth(Protocol):
    """What only a simulator knows."""

    @property
    def quantities(self) -> dict[str, float]:
        """By the names that `daydreamer.presentation` has for what is measured."""


class SimulatedRobot(Protocol):
    """What lock-step needs of a twin; time passes only in `advance`."""

    @property
    def time_s(self) -> float: ...

    def measure(self) -> Measurement: ...

    def command(self, setpoint: np.ndarray | None) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def truth(self) -> Truth: ...


def begin_life(
    stack: contextlib.ExitStack,
    session: Session,
    robot: SimulatedRobot,
    task: Task,
    on_step: Callable[[Step], None],
    through: Callable[[StepWriter], StepWriter] = lambda writer: writer,
    events_through: Callable[[Callable[..., None]], Callable[..., None]] = lambda record: record,
) -> ControlLoop:
    """The loop of one more life of the actor, whose log is open as long as `stack` is.

    Args:
      on_step: see `ControlLoop`.
      through, events_through: make what comes between the loop and the log, and between it and what records its events.
    """
    writer = stack.enter_context(begin_log(session))
    return ControlLoop(
        task,
        session.config.actor,
        through(writer),
        actor_life=writer.actor_life,
        seed=session.config.seed,
        demonstrates=session.teacher is not None,
        clock=lambda: robot.time_s,
        on_event=events_through(functools.partial(EventLog(session.events).record, source="actor")),
        on_step=on_step,
    )


def lockstep_status(
    session: Session, loop: ControlLoop, state: ProcessState, milestones_s: Mapping[str, float], **planning: Any
) -> ActorStatus:
    """What such a life reports, without a clock; `planning` is what `planning_status` says."""
    recent = loop.statistics.recent()
    facts: dict[str, Any] = {**safety_status(loop), **planning}
    return ActorStatus(
        state=state,
        env_steps=loop.statistics.env_steps,
        episodes=loop.statistics.episodes,
        policy_version=loop.policy.version if loop.policy else 0,
        **facts,
        reward_recent=recent.get("reward"),
        figures_recent=recent_figures(session.presentation, recent),
        milestones_s=dict(milestones_s),
    )


def live_a_step(loop: ControlLoop, robot: SimulatedRobot) -> None:
    """One control period; what the robot does to begin an episode comes in addition."""
    ticks = 0
    while ticks < loop.ticks_per_step:
        restart_ticks = loop.restart_ticks
        command = loop.step(robot.measure(), robot.time_s)
        robot.command(None if command.relaxes else command.setpoint)
        robot.advance(loop.tick_period_s)
        ticks += loop.restart_ticks == restart_ticks
