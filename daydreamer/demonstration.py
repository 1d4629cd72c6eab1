"""A teacher shows a task in a robot's twin, in lock-step and in one process; nobody learns."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable

from daydreamer.actor.simulated import SimulatedRobot, begin_life, live_a_step, lockstep_status
from daydreamer.contract.task import Task, Teacher
from daydreamer.experience.step import Step
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import StatusWriter
from daydreamer.telemetry.metrics import MetricsWriter
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones


@dataclasses.dataclass
class Shown:
    """An episode of a teacher.

    Attributes:
      steps: that were logged.
      total: sum of their rewards.
      whole: it came to its end.
    """

    steps: int = 0
    total: float = 0.0
    whole: bool = False

    def add(self, step: Step) -> None:
        self.steps += 1
        self.total += step.reward
        self.whole = step.is_last


class DemonstrationSession:
    """Logs what a teacher chooses as an operator's interventions, so that whoever reads sessions knows what it is."""

    def __init__(self, session: Session, robot: SimulatedRobot, task: Task, teacher: Teacher):
        self._session = session
        self._robot = robot
        self._task = task
        self._teacher = teacher
        self._milestones = MilestoneRecorder(
            Milestones(session.presentation.milestones, session.spec.control_period_s),
            functools.partial(EventLog(session.events).record, source="twin"),
        )

    def run(
        self, episodes: int, on_episode: Callable[[Shown], None], stop: Callable[[], bool] = lambda: False
    ) -> list[Shown]:
        """So many episodes, each of which is reported; once `stop` says so there are no more steps."""
        session, shown = self._session, Shown()
        done: list[Shown] = []

        def add(step: Step) -> None:
            shown.add(step)
            self._milestones.add(step, self._robot.truth().quantities)

        with contextlib.ExitStack() as stack:
            for role in ("actor", "twin"):
                stack.enter_context(session.lock(role))
            metrics = stack.enter_context(contextlib.closing(MetricsWriter(session.metrics / "lockstep")))
            loop = begin_life(stack, session, self._robot, self._task, add)
            loop.intervene(self._teacher.action)
            writer = StatusWriter(session, "actor")
            while len(done) < episodes and not stop():
                live_a_step(loop, self._robot)
                if not shown.whole:
                    continue
                done.append(shown)
                on_episode(shown)
                shown = Shown()
                for name, value in loop.statistics.recent().items():
                    metrics.add_scalar(f"actor/{name}", value, loop.statistics.env_steps)
                writer.write(lockstep_status(session, loop, "running", self._milestones.reached_s))
            writer.write(lockstep_status(session, loop, "stopped", self._milestones.reached_s))
        return done
