"""`daydreamer train`: lock-step learning in one process."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from daydreamer.accelerators import share_gpu_memory
from daydreamer.actor.standby import require_use
from daydreamer.cli.begin import Beginning, Chosen, FromOthers
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.config import SessionConfig
from daydreamer.contract.task import Task, Teacher
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.presentation import Presentation
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog, read_events
from daydreamer.session.status import read_status
from daydreamer.telemetry.interventions import TEACHER_RATE_TAG, TEACHER_SHARE_TAG, Interventions
from daydreamer.telemetry.metrics import truth_tag

INTERRUPTED = "Stopping after this step, and keeping what was learned; once more ends at once."
FINAL_STEPS = 2000
"""Over which the closing mean reward is taken."""


def train(
    chosen: Chosen,
    others: FromOthers,
    *,
    steps: int,
    out: Path,
    train_ratio: float | None,
    teacher_after_s: float | None = None,
) -> int:
    """Runs a new lock-step session in `out`; the exit status is 130 if it was interrupted, 1 if nothing was learned.

    Args:
      teacher_after_s: see `ActorConfig`.

    Raises:
      UserError: unknown robot, task or preset, no twin, an unusable file of one, a parent that does not fit, a teacher
        who is not there or never intervenes, or `out` cannot become a session.
    """
    from daydreamer.lockstep import LockstepSession

    keep_compilations()
    share_gpu_memory()
    if steps < 1:
        raise UserError(f"--steps {steps} would do nothing; choose 1 or more.")
    ratio = [] if train_ratio is None else [f"learner.train_ratio={train_ratio}"]
    stands_by = [] if teacher_after_s is None else [f"actor.teacher_after_s={teacher_after_s}"]
    beginning = Beginning(others)
    configure = functools.partial(chosen.configure, beginning=beginning, settings=[*ratio, *stands_by])
    rate_hz = make_task(configure(1.0)).spec.control_rate_hz
    config = configure(steps / rate_hz / 60)
    robot_task = make_task(config)
    if config.twin.incidents or config.twin.random_incidents_per_minute:
        raise UserError("Incidents happen in real time; use 'daydreamer learn', or leave out twin.incidents here.")
    make_teacher = teacher_of(config, robot_task)
    session = beginning.make(out, config)
    console = Terminal()
    begin_s = time.monotonic()

    def report(figures: dict[str, float]) -> None:
        minutes = figures["env_steps"] / rate_hz / 60
        console.print(
            "  ".join(
                (
                    f"{minutes:6.1f} robot minutes  reward {figures['actor/reward']:6.2f}",
                    *_describe_truth(figures, session.presentation),
                    *_describe_teacher(figures, session.presentation),
                    f"{figures['learner/gradient_steps']:.0f} gradient steps  {time.monotonic() - begin_s:.0f} s",
                    *_describe_milestones(figures, session.presentation),
                )
            ),
            soft_wrap=True,
        )

    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, config.seed)) as twin, session.lock():
        if twin.drawn:
            EventLog(session.events).record("robot_drawn", "twin", **dataclasses.asdict(twin.drawn))
        with interrupts(INTERRUPTED) as stop:
            LockstepSession(session, twin, robot_task, make_teacher).run(steps, report, stop)
    interventions, last = Interventions(), collections.deque(maxlen=FINAL_STEPS)
    tail = ExperienceTail(session.experience, session.spec)
    while batch := tail.read(FINAL_STEPS):  # a long session has more steps than fit into memory at once
        for step in batch:
            interventions.add(step.is_first, step.is_last, step.intervention)
            last.append(step.reward)
    has_learned = tell_skipped(session, console)
    taught = f"{interventions.sentence('The teacher', session.spec.control_period_s)} " if make_teacher else ""
    console.print(
        f"Mean reward of the last {len(last)} of {interventions.steps} steps: {sum(last) / max(1, len(last)):.2f}. "
        f"{taught}Session: {session.path}",
        soft_wrap=True,
    )
    if stop():
        return INTERRUPTED_STATUS
    return 0 if has_learned else 1


def tell_skipped(session: Session, console: Terminal) -> bool:
    """Says how many gradient steps had to be skipped, if any; False if that was all of them."""
    skipped = sum(event["count"] for event in read_events(session.events) if event["kind"] == "update_skipped")
    if not skipped:
        return True
    gradient_steps = read_status(session)["gradient_steps"] or 0
    console.print(
        f"{skipped} of {gradient_steps} gradient steps were skipped: their losses or gradients were not finite, or far "
        "larger than usual. Lower the learning rates, or look for what the robot sends.",
        soft_wrap=True,
    )
    return skipped < gradient_steps


def teacher_of(config: SessionConfig, task: Task) -> Callable[[Task, Any, int], Teacher] | None:
    """Who stands by while a policy learns in lock-step; None where nobody is to.

    Raises:
      UserError: the task has no teacher, or it would never intervene.
    """
    require_use(config.actor, task.spec)
    return None if config.actor.teacher_after_s is None else find_robot(config.robot).teacher(config.task)


def _describe_truth(figures: Mapping[str, float], presentation: Presentation) -> Iterator[str]:
    """What the simulator knows of the headline figures, then the rest of what it knows."""
    headlines = {truth_tag(figure.quantity): figure for figure in presentation.figures}
    for tag in sorted(figures.keys() & headlines.keys(), key=list(headlines).index):
        yield f"true {headlines[tag].name} {headlines[tag].amount(figures[tag])}"
    for tag, value in figures.items():
        if tag.startswith("truth/") and tag not in headlines:
            yield f"true {tag.removeprefix('truth/')} {value:+z.2f}"


def _describe_teacher(figures: Mapping[str, float], presentation: Presentation) -> Iterator[str]:
    """If a teacher stands by, how much it has chosen, and what the task says of what the policy did without it."""
    if TEACHER_SHARE_TAG not in figures:
        return
    for figure in presentation.figures[:1]:
        if (value := figures.get(f"actor/{figure.quantity}")) is not None:
            yield f"policy's {figure.name} {figure.amount(value)}"
    rate = figures[TEACHER_RATE_TAG]
    yield f"teacher {figures[TEACHER_SHARE_TAG]:.0%} of the steps, {rate:.1f} interventions a minute"


def _describe_milestones(figures: Mapping[str, float], presentation: Presentation) -> Iterator[str]:
    for name in presentation.milestone_names:
        if (reached_s := figures.get(f"milestone/{name}_s")) is not None:
            yield f"{name} after {reached_s / 60:.1f}"
