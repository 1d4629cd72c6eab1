"""A teacher shows a task in a robot's twin, in lock-step and in one process; nobody learns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from daydreamer.actor.simulated import SimulatedRobot, begin_life, live_a_step
from daydreamer.contract.task import Task, Teacher
from daydreamer.demonstration.shown import Account, Shown
from daydreamer.experience.step import Step
from daydreamer.session.directory import Session


class DemonstrationSession:
    """Logs what a teacher chooses as an operator's interventions, so that whoever reads sessions knows what it is."""

    def __init__(self, session: Session, robot: SimulatedRobot, task: Task, teacher: Teacher):
        self._session = session
        self._robot = robot
        self._task = task
        self._teacher = teacher

    def run(
        self, episodes: int, on_episode: Callable[[Shown], None], stop: Callable[[], bool] = lambda: False
    ) -> list[Shown]:
        """So many episodes, each of which is reported; once `stop` says so there are no more steps."""
        shown = Shown()
        done: list[Shown] = []

        def add(step: Step) -> None:
            shown.add(step)
            account.add(step, self._robot.truth().quantities)

        with contextlib.ExitStack() as stack:
            account = Account(self._session, stack)
            loop = begin_life(stack, self._session, self._robot, self._task, add)
            loop.intervene(lambda state: self._teacher.action())
            while len(done) < episodes and not stop():
                live_a_step(loop, self._robot)
                if not shown.whole:
                    continue
                done.append(shown)
                on_episode(shown)
                shown = Shown()
                account.conclude_episode(loop)
            account.tell(loop, "stopped")
        return done
