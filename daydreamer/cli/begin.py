"""How a command makes a new session, out of nothing or with what another one has learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daydreamer.cli.terminal import Terminal
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.new import new_session
from daydreamer.session.parentage import Parent

if TYPE_CHECKING:
    from daydreamer.learner.inheritance import Inheritance


class Beginning:
    """What a new session begins with.

    Attributes:
      overrides: settings that follow from it, as `section.key=value`.
    """

    def __init__(self, parent: Path | None, experience_share: float | None):
        """Reads what the session in `parent` has learned, if one is named; writes nothing.

        Raises:
          UserError: it cannot be begun with, see `read_inheritance`, or a share of the experience of none.
        """
        self.overrides: Sequence[str] = ()
        self._inheritance: Inheritance | None = None
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

    @property
    def parent(self) -> Parent | None:
        """The session that it begins with."""
        return self._inheritance.parent if self._inheritance else None

    def make(self, directory: Path | None, config: SessionConfig) -> Session:
        """The session, see `new_session`.

        Raises:
          UserError: see there, and `Inheritance.endow`.
        """
        if self._inheritance is None:
            return new_session(directory, config)
        session = new_session(directory, config, self._inheritance.parent, self._inheritance.endow)
        Terminal().print(f"Begins with {self._inheritance.parent.parentage.sentence}.", soft_wrap=True)
        return session
