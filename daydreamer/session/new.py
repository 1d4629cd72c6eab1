"""Makes a session out of what an operator chose, or finds the robot of one that is there."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from pathlib import Path

from daydreamer import accelerators
from daydreamer.config import Body, SessionConfig, parse_overrides, resolve
from daydreamer.errors import UserError
from daydreamer.robots.registry import TaskEntry, find_robot, make_task, provider_of
from daydreamer.session.directory import Session
from daydreamer.session.parentage import Parent


def configure(
    *,
    robot: str,
    minutes: float,
    seed: int,
    task: str | None = None,
    body: Body = "twin",
    preset: str = "default",
    overrides: Iterable[str] = (),
    parent: Parent | None = None,
) -> SessionConfig:
    """The configuration of a new session: defaults, what suits this machine's GPU, preset, `section.key=value`.

    Args:
      task: None for the robot's usual one.
      parent: the session that it begins with, whose settings of the networks it takes over.

    Raises:
      UserError: unknown robot, task, preset or key, a body that the robot does not have, an unusable value, or
        networks that are not the parent's.
    """
    if not minutes > 0:
        raise UserError(f"A session of {minutes:g} minutes would do nothing; choose --minutes above 0.")
    entry = find_robot(robot)
    task = task or entry.usual_task
    entry.task(task)
    if body == "twin" and entry.twin is None:
        raise UserError(f"Robot '{robot}' has no twin to rehearse in; use --body hardware, or a robot that has one.")
    arguments = {"robot": robot, "task": task, "body": body, "preset": preset, "seed": seed, "minutes": minutes}
    settings = entry.preset(task, preset, body)
    usual = (accelerators.settings(settings), settings, arguments)
    taken_over = parent.settings(resolve(*usual)) if parent else {}
    config = resolve(*usual, taken_over, parse_overrides(overrides))
    if parent:
        parent.require_same_networks(config)
    elif config.learner.inherited_share:
        raise UserError("learner.inherited_share is of another session's experience; name that session with --from.")
    return config


def new_session(
    directory: Path | None,
    config: SessionConfig,
    parent: Parent | None = None,
    endow: Callable[[Session], None] = lambda session: None,
) -> Session:
    """A new session in `directory`; without one, in `sessions/` of the working directory, named by the local time.

    Args:
      parent: the session that it begins with.
      endow: see `Session.create`.

    Raises:
      SpecMismatch: the parent is of another robot or task.
      UserError: see `Session.create`.
    """
    if directory is None:
        directory = Path("sessions") / datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    task = make_task(config)
    if parent:
        parent.require_same_robot(task.spec)
    return Session.create(
        directory,
        config,
        task.spec,
        task.presentation,
        provider_of(config.robot),
        parent.parentage if parent else None,
        endow,
    )


def resumable_session(directory: Path) -> Session:
    """The session in `directory`, once it is certain that it can go on here.

    Raises:
      UserError: it cannot, see `Session.open` and `Session.require_resumable`, or its robot is not installed.
    """
    session = Session.open(directory)
    session.require_resumable()
    entry_of(session)
    return session


def entry_of(session: Session) -> TaskEntry:
    """What a session's robot does, as it is installed.

    Raises:
      UserError: it is not; says what to install.
    """
    return find_robot(session.config.robot, session.record.robot_package).task(session.config.task)
