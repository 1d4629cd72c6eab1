"""How a command makes a new session, out of nothing or with what comes of others: what they learned, or show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daydreamer.cli.terminal import Terminal
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.new import new_session
from daydreamer.session.parentage import Parent

if TYPE_CHECKING:
    from daydreamer.learner.demonstrations import Demonstrations
    from daydreamer.learner.inheritance import Inheritance

DEMONSTRATION_SHARE = 0.5


class Beginning:
    """What a new session begins with.

    Attributes:
      overrides: settings that follow from it, as `section.key=value`.
    """

    def __init__(
        self,
        parent: Path | None,
        experience_share: float | None,
        demonstrations: Sequence[Path] = (),
        demonstration_share: float | None = None,
    ):
        """Reads what the session in `parent` has learned, if one is named, and what others show; writes nothing.

        Args:
          demonstrations: sessions in which somebody has shown something.
          demonstration_share: of a batch; None for half of it, if there are any.

        Raises:
          UserError: it cannot be begun with, see `read_inheritance` and `read_demonstrations`, or a share of nothing.
        """
        self.overrides: Sequence[str] = ()
        self._inheritance: Inheritance | None = None
        self._demonstrations: Demonstrations | None = None
        if experience_share is not None:
            if parent is None:
                raise UserError(
                    f"A share of {experience_share:g} of whose experience? Name a session with --from, under ros2 "
                    "launch with from:=."
                )
            self.overrides = (f"learner.inherited_share={experience_share}",)
        if parent is not None:
            from daydreamer.learner.inheritance import read_inheritance  # with JAX, which others do without here

            self._inheritance = read_inheritance(parent)
        if demonstrations:
            from daydreamer.learner.demonstrations import read_demonstrations  # likewise

            self._demonstrations = read_demonstrations(demonstrations)
            share = DEMONSTRATION_SHARE if demonstration_share is None else demonstration_share
            self.overrides = (*self.overrides, f"learner.demonstration_share={share}")
        elif demonstration_share is not None:
            raise UserError(
                f"A share of {demonstration_share:g} of which demonstrations? Name sessions with --demonstrations."
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
