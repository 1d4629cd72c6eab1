"""Actor, twin and learner of a session in one process, in lock-step, as fast as the machine allows."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.simulated import SimulatedRobot, begin_life, live_a_step, lockstep_status
from daydreamer.actor.standby import StandbyTeacher
from daydreamer.actor.telemetry import planning_status
from daydreamer.contract.task import Task, Teacher
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.learner.learner import Learner
from daydreamer.periodic import Schedule
from daydreamer.policy.planning import make_planner
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.known_motions import KnownMotions
from daydreamer.session.status import StatusWriter
from daydreamer.telemetry.interventions import TEACHER_RATE_TAG, TEACHER_SHARE_TAG, Interventions
from daydreamer.telemetry.metrics import MetricsWriter, truth_tag
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones

REPORT_STEPS = 200
"""Environment steps between two rows of metrics; ten seconds at 20 Hz."""


class LockstepSession:
    """Trains exactly as often as the train ratio says, whatever the machine; repeatable for a seed on a CPU.

    Goes through the same log and replay as a live session. What only the simulator knows is measured for
    evaluation and shown to nobody who learns.
    """

    def __init__(
        self,
        session: Session,
        robot: SimulatedRobot,
        task: Task,
        make_teacher: Callable[[Task, Any, int], Teacher] | None = None,
    ):
        """Nothing has happened yet.

        Args:
          make_teacher: who stands by, of the task, its twin and a seed, where `actor.teacher_after_s` says when.

        Raises:
          UserError: as `Learner` and `Planner` do, or a teacher is to stand by and there is none.
        """
        if session.config.actor.teacher_after_s is not None and make_teacher is None:
            raise UserError("Nobody stands by here as a teacher; leave out actor.teacher_after_s.")
        self._make_teacher = make_teacher
        self._teacher: StandbyTeacher | None = None
        self._interventions = Interventions()
        self._session = session
        self._robot = robot
        self._task = task
        self._learner_config = session.config.learner
        self._events = EventLog(session.events)
        self._milestones = MilestoneRecorder(
            Milestones(session.presentation.milestones, session.spec.control_period_s),
            functools.partial(self._events.record, source="twin"),
        )
        as_actor = functools.partial(self._events.record, source="actor")
        self._known_motions = KnownMotions(session, as_actor)
        self._planner = make_planner(session.spec, session.config, as_actor)

    def run(
        self, steps: int, on_report: Callable[[dict[str, float]], None], stop: Callable[[], bool] = lambda: False
    ) -> None:
        """`steps` environment steps; `on_report` receives figures every `REPORT_STEPS`.

        Among them is 'milestone/<name>_s' for each milestone reached, judged by the simulator's truth. Once `stop`,
        asked between two steps of either kind, says so, there are no more of them, and all that was learned is kept.
        """
        session, robot = self._session, self._robot
        with contextlib.ExitStack() as stack:
            for role in ("actor", "learner", "twin"):
                stack.enter_context(session.lock(role))
            metrics = stack.enter_context(contextlib.closing(MetricsWriter(session.metrics / "lockstep")))
            loop = begin_life(
                stack,
                session,
                robot,
                self._task,
                on_step=self._on_step,
            )
            self._teacher = self._stand_by(loop)
            learner = stack.enter_context(
                contextlib.closing(Learner(session, functools.partial(self._events.record, source="learner")))
            )
            loop.recall(self._known_motions.motions)
            if (inherited := latest_snapshot(session.policy)) is not None:
                self._act_by(loop, Policy.load(inherited, session.spec, session.config.seed))
            window = _Window()
            checkpoint = Schedule(self._learner_config.checkpoint_period_s)
            keep_steps = session.spec.steps(self._learner_config.keep_policy_s)
            if self._planner:
                stack.enter_context(contextlib.closing(self._planner))
            stack.callback(self._finish, loop, learner, metrics)
            for _ in range(steps):
                if stop():
                    break
                live_a_step(loop, robot)
                window.add(robot.truth().quantities)
                self._train(loop, learner, stop)
                if keep_steps and loop.statistics.env_steps % keep_steps == 0:
                    self._publish(learner)
                if loop.statistics.env_steps % REPORT_STEPS == 0:
                    on_report(self._report(loop, learner, window, metrics))
                if checkpoint.due() and learner.updates:
                    learner.checkpoint()

    def _stand_by(self, loop: ControlLoop) -> StandbyTeacher | None:
        config = self._session.config
        if config.actor.teacher_after_s is None or (make_teacher := self._make_teacher) is None:
            return None
        return StandbyTeacher(
            loop,
            config.actor,
            self._session.spec,
            lambda seed: make_teacher(self._task, self._robot, seed),
            config.seed,
            functools.partial(self._events.record, source="twin"),
        )

    def _on_step(self, step: Step) -> None:
        if self._teacher is not None:
            self._teacher.add(step)
            self._interventions.add(step.is_first, step.is_last, step.intervention)
        self._milestones.add(step, self._robot.truth().quantities)

    def _finish(self, loop: ControlLoop, learner: Learner, metrics: MetricsWriter) -> None:
        """Also when the run is cut short: what was learned is kept."""
        metrics.close()  # the checkpoint says how much of them there is
        learner.ingest()
        if learner.updates:
            learner.metric_values()  # reports what had to be skipped since
            self._publish(learner)
            learner.checkpoint()
        self._write_status(loop, learner, "stopped")

    def _train(self, loop: ControlLoop, learner: Learner, stop: Callable[[], bool]) -> None:
        allowed = learner.updates_allowed(loop.statistics.env_steps)
        if not allowed:
            return
        learner.ingest()
        publish_updates = self._learner_config.lockstep_publish_updates
        end = learner.updates + allowed
        while learner.updates < end and not stop():
            before = learner.updates
            learner.update()
            if before // publish_updates < learner.updates // publish_updates:
                self._act_by(loop, learner.policy(version=learner.updates))

    def _publish(self, learner: Learner) -> None:
        """Keeps the policy of now under the number that its steps have in the log, if it is another one."""
        if learner.policy_version < learner.updates:
            learner.publish(version=learner.updates)

    def _act_by(self, loop: ControlLoop, policy: Policy) -> None:
        loop.set_policy(self._planner.equip(policy) if self._planner else policy)

    def _report(self, loop: ControlLoop, learner: Learner, window: _Window, metrics: MetricsWriter) -> dict[str, float]:
        step = loop.statistics.env_steps
        figures = {f"actor/{name}": value for name, value in loop.statistics.recent().items()} | window.means()
        if learner.updates:
            figures |= learner.metric_values() | self._dream(learner)
        figures |= {"learner/gradient_steps": learner.updates} | self._teacher_figures()
        for name, value in figures.items():
            metrics.add_scalar(name, value, step)
        self._write_status(loop, learner, "running")
        figures |= {f"milestone/{name}_s": seconds for name, seconds in self._milestones.reached_s.items()}
        return figures | {"env_steps": step}

    def _teacher_figures(self) -> dict[str, float]:
        """How much of what there was since the last report the teacher has chosen, if one stands by."""
        if self._teacher is None:
            return {}
        counted, self._interventions = self._interventions, self._interventions.anew()
        per_minute = counted.per_minute(self._session.spec.control_period_s)
        return {TEACHER_SHARE_TAG: counted.share, TEACHER_RATE_TAG: per_minute}

    def _dream(self, learner: Learner) -> dict[str, float]:
        dream = learner.dream() if self._learner_config.dream_period_s else None
        return {} if dream is None else dream.scalars()

    def _write_status(self, loop: ControlLoop, learner: Learner, state: str) -> None:
        planning = planning_status(self._planner)
        actor = lockstep_status(self._session, loop, state, self._milestones.reached_s, **planning)
        StatusWriter(self._session, "actor").write(actor)
        StatusWriter(self._session, "learner").write(learner.status(state))
        self._known_motions.keep(loop.known_motions)


class _Window:
    """Means of the simulator's truth since the last report."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def add(self, truth: dict[str, float]) -> None:
        self._rows.append(truth)

    def means(self) -> dict[str, float]:
        """By tag."""
        means = np.mean([list(row.values()) for row in self._rows], 0).tolist()
        tags = map(truth_tag, self._rows[0])
        self._rows.clear()
        return dict(zip(tags, means, strict=True))
