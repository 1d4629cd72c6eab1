"""Demonstrations that a session is to learn from: what an operator or a teacher chose in others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.inherited import InheritedWriter
from daydreamer.learner.sound import is_sound
from daydreamer.learner.sources import describe_source, open_sources, require_same_robot, total_reward, wanted_steps
from daydreamer.session.demonstrated import Demonstrated
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.spec import RobotSpec

_WHAT = "demonstrations"


class Demonstrations:
    """Sessions in which somebody has shown what another one is to learn.

    Attributes:
      demonstrated: what is known of each.
    """

    def __init__(self, sessions: Sequence[Session]):
        """Reads all that was logged; see `read_demonstrations`."""
        self._sessions = sessions
        self.demonstrated = tuple(map(_examine, sessions))

    def require_fit(self, spec: RobotSpec, config: SessionConfig) -> None:
        """Refuses what a session of these settings cannot learn from.

        Raises:
          SpecMismatch: one is of another robot or task.
          UserError: one is shorter than a sequence, or all of them are than a batch; or no share of it is drawn.
        """
        learner = config.learner
        if not learner.demonstration_share:
            raise UserError("A share of 0 of demonstrations teaches nothing; choose one above 0, or leave them out.")
        if learner.inherited_share:
            raise UserError(
                "Demonstrations and the experience of the session that it begins with are not replayed side by side: "
                "leave out --from-experience or --demonstrations."
            )
        require_same_robot(self._sessions, spec, _WHAT)
        for each in self.demonstrated:
            if each.steps < learner.batch_length:
                raise UserError(
                    f"In {each.path} {each.steps} steps were shown, fewer than a sequence of {learner.batch_length}; "
                    "those count whose action an operator or a teacher chose. Show more, or leave it out."
                )
        steps = sum(each.steps for each in self.demonstrated)
        if steps < learner.batch_size * learner.batch_length:
            raise UserError(
                f"In {', '.join(each.path for each in self.demonstrated)} {steps} steps were shown, fewer than a batch "
                f"of {learner.batch_size * learner.batch_length}. Show more."
            )

    def endow(self, session: Session) -> None:
        """Puts as many of the steps as have room into the directory of a session that is being made.

        Raises:
          UserError: there is no room for a sequence, the disk failed, or they cannot be read any more.
        """
        writer, events = InheritedWriter(session), EventLog(session.events)
        if writer.most < session.config.learner.batch_length:
            raise UserError(
                f"A replay of {session.config.learner.replay_capacity} steps has no room for demonstrations; raise "
                "learner.replay_capacity, or learner.replay_bytes."
            )
        for each, source in zip(self.demonstrated, self._sessions, strict=True):
            count = writer.copy(ExperienceTail(source.experience, source.spec), _is_shown)
            events.record("demonstrations", "learner", path=each.path, taken_steps=count, shown_steps=each.steps)


def read_demonstrations(directories: Sequence[Path]) -> Demonstrations:
    """What was shown in some sessions, whether they are at work or not.

    Raises:
      UserError: one of them is none, is named twice, or is damaged.
    """
    return Demonstrations(open_sources(directories, _WHAT))


def _examine(session: Session) -> Demonstrated:
    count, reward = 0, 0.0
    for steps in wanted_steps(session, _WHAT, _is_shown):
        count, reward = count + len(steps), reward + total_reward(steps)
    return Demonstrated(**describe_source(session, count, reward))


def _is_shown(step: Step) -> bool:
    return step.intervention and is_sound(step)
