"""`daydreamer demonstrate`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.terminal import Terminal
from daydreamer.demonstration import DemonstrationSession, Shown
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure, new_session

INTERRUPTED = "Stopping after this step, and keeping what was shown; once more ends at once."


def demonstrate(
    *,
    robot: str,
    task: str | None,
    out: Path,
    episodes: int,
    seed: int,
    twin_file: Path | None,
    overrides: Sequence[str],
    as_json: bool,
) -> int:
    """Records a teacher's episodes as a new session in `out`; the exit status is 130 if it was interrupted.

    Raises:
      UserError: unknown robot or task, no teacher or twin, an unusable file of one, or `out` cannot become a session.
    """
    entry = find_robot(robot)
    make_teacher = entry.teacher(task)
    chosen = functools.partial(
        configure, robot=robot, task=task, seed=seed, twin=fitted_twin(twin_file), overrides=overrides
    )
    spec = make_task(chosen(minutes=1.0)).spec
    config = chosen(minutes=episodes * spec.episode_steps * spec.control_period_s / 60)
    session = new_session(out, config, teacher="scripted")
    console, begin_s, count = Terminal(stderr=as_json), time.monotonic(), 0

    def report(shown: Shown) -> None:
        nonlocal count
        count += 1
        console.print(
            f"episode {count:3d} of {episodes}  return {shown.total:8.2f}  {shown.steps} steps  "
            f"{time.monotonic() - begin_s:.0f} s",
            soft_wrap=True,
        )

    with contextlib.closing(entry.make_twin(config.twin, config.seed)) as twin, session.lock():
        if twin.drawn:
            EventLog(session.events).record("robot_drawn", "twin", **dataclasses.asdict(twin.drawn))
        robot_task = make_task(config)
        teacher = make_teacher(robot_task, twin, config.seed)
        with interrupts(INTERRUPTED) as stop:
            done = DemonstrationSession(session, twin, robot_task, teacher).run(episodes, report, stop)
    _conclude(console, session, done, as_json)
    return INTERRUPTED_STATUS if stop() else 0


def _conclude(console: Terminal, session: Session, done: Sequence[Shown], as_json: bool) -> None:
    returns = [shown.total for shown in done]
    if as_json:
        steps = [shown.steps for shown in done]
        print(json.dumps({"session": str(session.path), "returns": returns, "steps": steps}, indent=2))
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
