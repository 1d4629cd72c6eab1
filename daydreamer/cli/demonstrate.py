"""`daydreamer demonstrate`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.shown import ShownEpisodes
from daydreamer.demonstration import DemonstrationSession
from daydreamer.robots.registry import find_robot, make_task
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
    told = ShownEpisodes(episodes, as_json)
    with contextlib.closing(entry.make_twin(config.twin, config.seed)) as twin, session.lock():
        if twin.drawn:
            EventLog(session.events).record("robot_drawn", "twin", **dataclasses.asdict(twin.drawn))
        robot_task = make_task(config)
        teacher = make_teacher(robot_task, twin, config.seed)
        with interrupts(INTERRUPTED) as stop:
            DemonstrationSession(session, twin, robot_task, teacher).run(episodes, told.add, stop)
    told.conclude(session)
    return INTERRUPTED_STATUS if stop() else 0
