"""A scripted teacher that stands by while a policy learns, and intervenes where that is stuck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.stuck import Stuck
from daydreamer.config import ActorConfig
from daydreamer.contract.task import Teacher
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.interventions import TEACHER


class StandbyTeacher:
    """Chooses in the policy's place while that is stuck, as an operator who intervenes."""

    def __init__(
        self,
        loop: ControlLoop,
        config: ActorConfig,
        spec: RobotSpec,
        make_teacher: Callable[[int], Teacher],
        seed: int,
        on_event: Callable[..., None],
    ) -> None:
        """The policy acts until it is stuck.

        Args:
          config: with `teacher_after_s`, see there.
          make_teacher: makes one of a seed, for each intervention anew: it knows nothing of the one before.
          seed: of these seeds.
          on_event: called as `on_event("intervention", by=..., begins=...)`, as where an operator intervenes.
        """
        assert config.teacher_after_s is not None, "nobody stands by"
        self._loop = loop
        self._stuck = Stuck(max(1, spec.steps(config.teacher_after_s)))
        self._most_steps = None if config.teacher_s is None else max(1, spec.steps(config.teacher_s))
        self._make_teacher = make_teacher
        self._random = np.random.default_rng(seed)
        self._on_event = on_event
        self._shown_steps = 0

    def add(self, step: Step) -> None:
        """Takes the step that has just been logged into account; what comes of it is for the next one."""
        if step.is_first:
            self._stuck.begin()
        if self._loop.intervening:
            self._shown_steps += 1
            # Of an episode that was broken off there was no last step.
            if step.is_first or step.is_last or self._shown_steps == self._most_steps:
                self._end()
        elif self._stuck.add(step) and not step.is_last:
            self._begin()

    def _begin(self) -> None:
        teacher = self._make_teacher(int(self._random.integers(1 << 31)))
        self._shown_steps = 0
        self._loop.intervene(lambda state: teacher.action())
        self._on_event("intervention", by=TEACHER, begins=True)

    def _end(self) -> None:
        self._loop.intervene(None)
        self._stuck.begin()
        self._on_event("intervention", by=TEACHER, begins=False)


def require_use(config: ActorConfig, spec: RobotSpec) -> None:
    """Makes sure that the teacher of these settings would ever intervene.

    Raises:
      UserError: names the setting.
    """
    after_s, episode_s = config.teacher_after_s, spec.episode_steps * spec.control_period_s
    if after_s is None and config.teacher_s is not None:
        raise UserError("actor.teacher_s says how long a teacher acts; say with actor.teacher_after_s when it begins.")
    if after_s is not None and after_s >= episode_s:
        raise UserError(
            f"A teacher that intervenes after {after_s:g} s never does in episodes of {episode_s:g} s; choose "
            "actor.teacher_after_s below that."
        )
