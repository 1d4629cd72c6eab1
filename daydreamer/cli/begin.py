"""How a command makes a new session, out of nothing or with what comes of others: what they learned, or show."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.terminal import Terminal
from daydreamer.config import Body, SessionConfig
from daydreamer.errors import UserError
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session
from daydreamer.session.parentage import Parent

if TYPE_CHECKING:
    from daydreamer.learner.demonstrations import Demonstrations
    from daydreamer.learner.inheritance import Inheritance

DEMONSTRATION_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Chosen:
    """What an operator chooses of a new session, all but what it takes from others.

    Attributes:
      robot, task: names; the task may be None, for the robot's usual one.
      seed, preset: see `daydreamer.session.new.configure`.
      twin_file: that `fit` wrote, or None.
      overrides: settings as `section.key=value`.
    """

    robot: str
    task: str | None
    seed: int
    preset: str = "default"
    twin_file: Path | None = None
    overrides: Sequence[str] = ()

    def configure(
        self, minutes: float, body: Body = "twin", beginning: Beginning | None = None, settings: Sequence[str] = ()
    ) -> SessionConfig:
        """The configuration of its session.

        Args:
          minutes: of robot time.
          settings: of the command; those that are chosen go before them.

        Raises:
          UserError: see `daydreamer.session.new.configure` and `fitted_twin`.
        """
        beginning = beginning or Beginning(FromOthers())
        return configure(
            robot=self.robot,
            task=self.task,
            body=body,
            minutes=minutes,
            seed=self.seed,
            preset=self.preset,
            twin=fitted_twin(self.twin_file),
            overrides=[*settings, *beginning.overrides, *self.overrides],
            parent=beginning.parent,
            is_shown=beginning.is_shown,
        )


@dataclasses.dataclass(frozen=True)
class FromOthers:
    """What a new session is to take from others.

    Attributes:
      parent: directory of the one that it begins with; None: it begins with nothing.
      experience_share: see `LearnerConfig.inherited_share`.
      demonstrations: directories of those in which somebody has shown something.
      demonstration_share: of a batch; None for half of it, if there are any.
    """

    parent: Path | None = None
    experience_share: float | None = None
    demonstrations: Sequence[Path] = ()
    demonstration_share: float | None = None


class Beginning:
    """What a new session begins with.

    Attributes:
      overrides: settings that follow from it, as `section.key=value`.
    """

    def __init__(self, others: FromOthers):
        """Reads what they have learned, and what they show; writes nothing.

        Raises:
          UserError: it cannot be begun with, see `read_inheritance` and `read_demonstrations`, or a share of nothing.
        """
        self.overrides: Sequence[str] = ()
        self._inheritance: Inheritance | None = None
        self._demonstrations: Demonstrations | None = None
        if others.experience_share is not None:
            if others.parent is None:
                raise UserError(
                    f"A share of {others.experience_share:g} of whose experience? Name a session with --from, "
                    "under ros2 launch with from:=."
                )
            self.overrides = (f"learner.inherited_share={others.experience_share}",)
        if others.parent is not None:
            from daydreamer.learner.inheritance import read_inheritance  # with JAX, which others do without here

            self._inheritance = read_inheritance(others.parent)
        if others.demonstrations:
            from daydreamer.learner.demonstrations import read_demonstrations  # likewise

            self._demonstrations = read_demonstrations(others.demonstrations)
            share = DEMONSTRATION_SHARE if others.demonstration_share is None else others.demonstration_share
            self.overrides = (*self.overrides, f"learner.demonstration_share={share}")
        elif others.demonstration_share is not None:
            raise UserError(
                f"A share of {others.demonstration_share:g} of which demonstrations? Name sessions with "
                "--demonstrations."
            )

    @property
    def parent(self) -> Parent | None:
        """The session that it begins with."""
        return self._inheritance.parent if self._inheritance else None

    @property
    def is_shown(self) -> bool:
        """Whether there are demonstrations."""
        return self._demonstrations is not None

    def make(self, directory: Path | None, config: SessionConfig) -> Session:
        """The session, see `new_session`.

        Raises:
          UserError: see there, `Inheritance.endow`, and `Demonstrations.require_fit` and `endow`.
        """
        shown = self._demonstrations.demonstrated if self._demonstrations else ()
        if self._demonstrations:
            self._demonstrations.require_fit(make_task(config).spec, config)
        session = new_session(directory, config, self.parent, self._endow, demonstrations=shown)
        console = Terminal()
        if self.parent:
            console.print(f"Begins with {self.parent.parentage.sentence}.", soft_wrap=True)
        for each in shown:
            console.print(f"Learns from {each.sentence}.", soft_wrap=True)
        return session

    def _endow(self, session: Session) -> None:
        for each in (self._inheritance, self._demonstrations):
            if each is not None:
                each.endow(session)
