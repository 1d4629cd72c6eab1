"""`daydreamer demonstrate`."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from daydreamer.cli.begin import Chosen
from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.hand_screen import HandScreen, Page
from daydreamer.cli.hands import NO_LEADER, By, hand_named, open_hand
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.keyboard import remember_terminal
from daydreamer.cli.live import LiveLine, live_page
from daydreamer.cli.shown import ShownEpisodes
from daydreamer.config import SessionConfig
from daydreamer.contract.leader import LeaderOptions
from daydreamer.demonstration.by_hand import OperatedSession
from daydreamer.demonstration.scripted import DemonstrationSession
from daydreamer.errors import UserError
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import new_session
from daydreamer.viewer.titles import BY_HAND

SCRIPTED: Literal["scripted"] = "scripted"
INTERRUPTED = "Stopping after this step, and keeping what was shown; once more ends at once."


OPTIONS_OF: Mapping[str, Sequence[str]] = {
    "layout": ("gamepad",),
    "leader_port": ("leader",),
    "calibration": ("leader",),
    **dict.fromkeys(("dashboard", "address", "port", "browser"), get_args(By)),
}
"""By what an option's episodes are shown; it means nothing to others."""


def refuse_stray(by: str, given: Mapping[str, Any]) -> None:
    """Makes sure that options mean something.

    Args:
      by: what is shown by.
      given: options with their values, by name.

    Raises:
      UserError: nobody shows anything by that, or some do not.
    """
    if by != SCRIPTED:
        hand_named(by)
    stray = {name: value for name, value in given.items() if by not in OPTIONS_OF.get(name, (by,))}
    if stray:
        whose = [
            f"{'--no-' if value is False else '--'}{name.replace('_', '-')} is for --by {' or '.join(OPTIONS_OF[name])}"
            for name, value in stray.items()
        ]
        raise UserError(f"{', '.join(whose)}, not for --by {by}; choose that, or leave out what is not for it.")


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What is to be shown.

    Attributes:
      chosen: of the session.
      out: directory of the new session.
      episodes: that are shown.
      as_json: for programs.
    """

    chosen: Chosen
    out: Path
    episodes: int
    as_json: bool

    def configure(self) -> SessionConfig:
        """The configuration of its session.

        Raises:
          UserError: unknown robot or task, no twin, or an unusable file of one.
        """
        spec = make_task(self.chosen.configure(1.0)).spec
        return self.chosen.configure(self.episodes * spec.episode_steps * spec.control_period_s / 60)


@dataclasses.dataclass(frozen=True)
class Onlooking:
    """How the browser is served, see `daydreamer dream`."""

    dashboard: bool
    address: str
    port: int | None
    open_browser: bool


def demonstrate(lesson: Lesson) -> int:
    """Records the episodes of a scripted teacher as a new session; the exit status is 130 if it was interrupted.

    Raises:
      UserError: nobody teaches it, see `Lesson.configure`, or `out` cannot become a session.
    """
    make_teacher = find_robot(lesson.chosen.robot).teacher(lesson.chosen.task)
    config = lesson.configure()
    session = new_session(lesson.out, config, teacher=SCRIPTED)
    told = ShownEpisodes(lesson.episodes, lesson.as_json)
    with _twin_of(session) as twin:
        robot_task = make_task(config)
        teacher = make_teacher(robot_task, twin, config.seed)
        with interrupts(INTERRUPTED) as stop:
            DemonstrationSession(session, twin, robot_task, teacher).run(lesson.episodes, told.add, stop)
    told.conclude(session)
    return INTERRUPTED_STATUS if stop() else 0


def demonstrate_by_hand(
    lesson: Lesson, by: str, layout: str, onlooking: Onlooking, leader: LeaderOptions = NO_LEADER
) -> int:
    """Records the episodes of an operator as a new session; the exit status is 130 if it was interrupted.

    Args:
      by, layout, leader: see `hand_named` and `open_hand`.

    Raises:
      UserError: see there, and `Lesson.configure`, `out` cannot become a session, or the hand was lost.
    """
    teacher, config = hand_named(by), lesson.configure()
    robot_task, told = make_task(config), ShownEpisodes(lesson.episodes, lesson.as_json)
    line = LiveLine(told.console)
    with contextlib.ExitStack() as stack:
        # Before the terminal is set up, which has to be given back whatever ends this.
        stop = stack.enter_context(interrupts(INTERRUPTED, remember_terminal()))
        hand = stack.enter_context(open_hand(teacher, layout, robot_task, config, line.say, leader))
        session = new_session(lesson.out, config, teacher=teacher)
        twin = stack.enter_context(_twin_of(session))
        page = _open_page(stack, session, line.say, onlooking)
        stack.enter_context(line)
        operated = OperatedSession(session, twin, robot_task, hand, HandScreen(line, page, told, robot_task.spec))
        operated.run(lesson.episodes, stop)
    told.conclude(session, discarded=operated.discarded)
    if operated.lost is not None:
        raise operated.lost
    return INTERRUPTED_STATUS if stop() else 0


def _open_page(
    stack: contextlib.ExitStack, session: Session, say: Callable[[str], None], onlooking: Onlooking
) -> Page | None:
    if not usable_dashboard(onlooking.dashboard, say):
        return None
    page = live_page(session, BY_HAND, say, onlooking.address, onlooking.port, onlooking.open_browser)
    return Page(*stack.enter_context(page), session.spec.control_period_s)


@contextlib.contextmanager
def _twin_of(session: Session) -> Iterator[Any]:
    """The twin of a session that is in use, inside the block."""
    config = session.config
    twin = find_robot(config.robot).make_twin(config.twin, config.seed)
    with contextlib.closing(twin), session.lock():
        if twin.drawn:
            EventLog(session.events).record("robot_drawn", "twin", **dataclasses.asdict(twin.drawn))
        yield twin
