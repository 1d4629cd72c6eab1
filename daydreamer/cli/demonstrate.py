"""`daydreamer demonstrate`."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from daydreamer.cli.dashboard import usable_dashboard
from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.hand_screen import HandScreen, Page
from daydreamer.cli.hands import open_hand
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.live import LiveLine, live_page
from daydreamer.cli.terminal import Terminal
from daydreamer.config import SessionConfig
from daydreamer.demonstration.by_hand import OperatedSession
from daydreamer.demonstration.scripted import DemonstrationSession
from daydreamer.demonstration.shown import Shown
from daydreamer.errors import UserError
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session, ShownBy
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure, new_session
from daydreamer.viewer.titles import BY_HAND

SCRIPTED: ShownBy = "scripted"
INTERRUPTED = "Stopping after this step, and keeping what was shown; once more ends at once."


@dataclasses.dataclass(frozen=True)
class Lesson:
    """What is to be shown.

    Attributes:
      robot, task: names; the task may be None, for the robot's usual one.
      out: directory of the new session.
      episodes: that are shown.
      seed: of twin and teacher.
      twin_file: that `fit` wrote, or None.
      overrides: of the configuration.
      as_json: for programs.
    """

    robot: str
    task: str | None
    out: Path
    episodes: int
    seed: int
    twin_file: Path | None
    overrides: Sequence[str]
    as_json: bool

    def configure(self) -> SessionConfig:
        """The configuration of its session.

        Raises:
          UserError: unknown robot or task, no twin, or an unusable file of one.
        """
        settings: dict[str, Any] = {"robot": self.robot, "task": self.task, "seed": self.seed}
        settings |= {"twin": fitted_twin(self.twin_file), "overrides": self.overrides}
        spec = make_task(configure(minutes=1.0, **settings)).spec
        return configure(minutes=self.episodes * spec.episode_steps * spec.control_period_s / 60, **settings)


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
    make_teacher = find_robot(lesson.robot).teacher(lesson.task)
    config = lesson.configure()
    session = new_session(lesson.out, config, teacher=SCRIPTED)
    console, begin_s, count = Terminal(stderr=lesson.as_json), time.monotonic(), 0

    def report(shown: Shown) -> None:
        nonlocal count
        count += 1
        console.print(
            f"episode {count:3d} of {lesson.episodes}  return {shown.total:8.2f}  {shown.steps} steps  "
            f"{time.monotonic() - begin_s:.0f} s",
            soft_wrap=True,
        )

    with _twin_of(session) as twin:
        robot_task = make_task(config)
        teacher = make_teacher(robot_task, twin, config.seed)
        with interrupts(INTERRUPTED) as stop:
            done = DemonstrationSession(session, twin, robot_task, teacher).run(lesson.episodes, report, stop)
    _conclude(console, session, done, lesson.as_json)
    return INTERRUPTED_STATUS if stop() else 0


def demonstrate_by_hand(lesson: Lesson, by: str, layout: str, onlooking: Onlooking) -> int:
    """Records the episodes of an operator as a new session; the exit status is 130 if it was interrupted.

    Args:
      by, layout: see `open_hand`.

    Raises:
      UserError: see there and `Lesson.configure`, or `out` cannot become a session.
    """
    teacher, config = _named(by), lesson.configure()
    robot_task, console = make_task(config), Terminal(stderr=lesson.as_json)
    line, spec = LiveLine(console), robot_task.spec
    with contextlib.ExitStack() as stack:
        hand = stack.enter_context(open_hand(teacher, layout, robot_task, config, line.say))
        session = new_session(lesson.out, config, teacher=teacher)
        twin = stack.enter_context(_twin_of(session))
        page = _open_page(stack, session, line.say, onlooking)
        stack.enter_context(line)
        stop = stack.enter_context(interrupts(INTERRUPTED))
        screen = HandScreen(line, page, lesson.episodes, spec.episode_steps, spec.control_period_s)
        operated = OperatedSession(session, twin, robot_task, hand, screen)
        operated.run(lesson.episodes, stop)
    _conclude(console, session, operated.kept, lesson.as_json, operated.discarded)
    return INTERRUPTED_STATUS if stop() else 0


def _named(by: str) -> ShownBy:
    for each in get_args(ShownBy):
        if each == by:
            return each
    raise UserError(f"Nobody shows anything by '{by}'; choose --by {', '.join(get_args(ShownBy))}.")


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


def _conclude(
    console: Terminal, session: Session, done: Sequence[Shown], as_json: bool, discarded: int | None = None
) -> None:
    """Tells what was shown; `discarded` episodes were not kept, None where none can be."""
    returns = [shown.total for shown in done]
    if as_json:
        told = {"session": str(session.path), "returns": returns, "steps": [shown.steps for shown in done]}
        print(json.dumps(told if discarded is None else told | {"discarded": discarded}, indent=2))
        return
    if not returns:
        console.print(f"No episode was shown to its end. Session: {session.path}", soft_wrap=True)
        return
    config = session.config
    console.print(
        f"{len(returns)} episodes: return {statistics.fmean(returns):.2f} on average, from {min(returns):.2f} to "
        f"{max(returns):.2f}. Session: {session.path}\n"
        f"Learn from them: daydreamer learn {config.robot} {config.task} --demonstrations {session.path}",
        soft_wrap=True,
    )
