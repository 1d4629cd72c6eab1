"""On-robot learning runtime: a robot learns a world model and trains its policy inside it, within an hour."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daydreamer.export.notebook import LoadedSession

__version__ = "0.1.0"
"""Said here and in package.xml, which a test compares; pip, sessions and the documentation ask."""


def load(directory: Path | str) -> LoadedSession:
    """The session in a directory, to be looked at with NumPy and pandas; see `daydreamer.export.notebook`.

        session = daydreamer.load("sessions/monday")
        session.steps.plot("robot_s", "reward")

    Raises:
      UserError: there is none.
    """
    from daydreamer.export.notebook import LoadedSession
    from daydreamer.session.directory import Session

    return LoadedSession(Session.open(directory))
