"""`daydreamer train`: lock-step learning in one process."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.robots import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.new import configure
from daydreamer.telemetry.metrics import TRUE_SPEED
from daydreamer.telemetry.milestones import MILESTONES

INTERRUPTED_STATUS = 128 + signal.SIGINT
FINAL_STEPS = 2000
"""Over which the closing mean reward is taken."""


def train(
    *,
    task: str,
    steps: int,
    out: Path,
    train_ratio: float | None,
    seed: int,
    robot: str,
    preset: str,
    overrides: Sequence[str],
) -> int:
    """Runs a new lock-step session in `out`; the exit status is 130 if it was interrupted.

    Raises:
      UserError: unknown task, robot or preset, one without a twin, or `out` cannot become a session.
    """
    from daydreamer.lockstep import LockstepSession
    from sim.twins import make_twin

    keep_compilations()
    entry = find_robot(robot)
    if not entry.starts_twin:
        raise UserError(f"'{robot}' cannot be trained in lock-step, time does not wait for it; use --robot twin.")
    ratio = [] if train_ratio is None else [f"learner.train_ratio={train_ratio}"]
    minutes = steps / entry.make_task(SessionConfig()).spec.control_rate_hz / 60
    config = configure(robot=robot, minutes=minutes, seed=seed, preset=preset, overrides=[*ratio, *overrides])
    robot_task = entry.make_task(config)
    rate_hz = robot_task.spec.control_rate_hz
    if task != robot_task.spec.task:
        raise UserError(f"Robot '{robot}' has no task '{task}'; it has '{robot_task.spec.task}'.")
    if config.twin.incidents or config.twin.random_incidents_per_minute:
        raise UserError("Incidents happen in real time; use 'daydreamer walk', or leave out twin.incidents here.")
    session = Session.create(out, config, robot_task.spec)
    console = Terminal()
    begin_s = time.monotonic()

    def report(figures: dict[str, float]) -> None:
        minutes = figures["env_steps"] / rate_hz / 60
        milestones = [
            f"  {name} after {figures[f'milestone/{name}_s'] / 60:.1f}"
            for name in MILESTONES
            if f"milestone/{name}_s" in figures
        ]
        console.print(
            f"{minutes:6.1f} robot minutes  reward {figures['actor/reward']:6.2f}  "
            f"true speed {figures[TRUE_SPEED]:+.2f} m/s  upright {figures['truth/up_z']:+.2f}  "
            f"{figures['learner/gradient_steps']:.0f} gradient steps  {time.monotonic() - begin_s:.0f} s"
            + "".join(milestones),
            soft_wrap=True,
        )

    with contextlib.closing(make_twin(robot_task.spec.robot, config.twin, config.seed)) as twin, session.lock():
        if twin.drawn:
            EventLog(session.events).record("robot_drawn", "twin", **dataclasses.asdict(twin.drawn))
        with _interrupts() as stop:
            LockstepSession(session, twin, robot_task).run(steps, report, stop)
    count, last = 0, collections.deque(maxlen=FINAL_STEPS)
    tail = ExperienceTail(session.experience, session.spec)
    while batch := tail.read(FINAL_STEPS):  # a long session has more steps than fit into memory at once
        count += len(batch)
        last.extend(step.reward for step in batch)
    console.print(
        f"Mean reward of the last {len(last)} of {count} steps: {sum(last) / max(1, len(last)):.2f}. "
        f"Session: {session.path}",
        soft_wrap=True,
    )
    return INTERRUPTED_STATUS if stop() else 0


@contextlib.contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Inside the block SIGINT and SIGTERM ask for the end, which the result says; a second one ends it at once.

    As an exception an interrupt would come at any moment, also between the gradient step that has taken the learner's
    state and the one that gets the new.
    """
    received = []

    def receive(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # not print, which may be in the middle of something
            os.write(2, b"Stopping after this step, and keeping what was learned; once more ends at once.\n")

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
