"""Makes a session out of what an operator chose."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from daydreamer.config import SessionConfig, parse_overrides, resolve
from daydreamer.errors import UserError
from daydreamer.robots import find_preset, find_robot
from daydreamer.session.directory import Session


def configure(
    *, robot: str, minutes: float, seed: int, preset: str = "default", overrides: Iterable[str] = ()
) -> SessionConfig:
    """The configuration of a new session: defaults, then the preset, then arguments, then `section.key=value`.

    Raises:
      UserError: unknown robot, preset or key, or an unusable value.
    """
    if not minutes > 0:
        raise UserError(f"A session of {minutes:g} minutes would do nothing; choose --minutes above 0.")
    arguments = {"robot": robot, "preset": preset, "seed": seed, "minutes": minutes}
    return resolve(find_preset(robot, preset), arguments, parse_overrides(overrides))


def new_session(directory: Path | None, config: SessionConfig) -> Session:
    """A new session in `directory`; without one, in `sessions/` of the working directory, named by the local time.

    Raises:
      UserError: see `Session.create`.
    """
    if directory is None:
        directory = Path("sessions") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    task = find_robot(config.robot).make_task(config)
    return Session.create(directory, config, task.spec, task.presentation)
