"""`daydreamer fit`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from daydreamer.cli.out_file import require_writable, written
from daydreamer.cli.terminal import Terminal
from daydreamer.config import load_yaml
from daydreamer.contract.signals import Measurement
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.robots.registry import TaskEntry, find_robot, make_task, tasks_with
from daydreamer.session.directory import Session
from daydreamer.session.new import entry_of
from daydreamer.storage.atomic import write_anywhere

if TYPE_CHECKING:
    from sim.identification import Finding, Search
    from sim.logged_motion import LoggedMotion

CHUNK_STEPS = 2000
MOST_STEPS = 40_000
"""So many of a log are read, the newest."""
ERRORS = {"position_rad": "joint angles, rad", "velocity_rad_s": "joint speeds, rad/s", "all": "all, logarithmic"}
UNITS = {"payload_kg": "kg", "command_latency_s": "s"}


def fit(directory: Path, out: Path, stretches: int, seed: int, as_json: bool) -> None:
    """Looks for the twin that moves as the session's robot did, writes it to `out`, and prints what was found.

    Raises:
      UserError: there is no session, its robot cannot be fitted, too little moved, or `out` cannot be written.
    """
    from sim.identification import Search, settings_of, twin_config

    require_writable(out)
    session = Session.open(directory)
    motion = read_motion(session)
    fitted, judged = choose_stretches(motion, stretches, seed)
    published = msgspec.structs.replace(session.config.twin, incidents=(), random_incidents_per_minute=0.0)
    search = Search(find_robot(session.config.robot).make_twin, published, motion, fitted, seed)
    findings = _search(search, quiet=as_json)
    known = {finding.parameter.name: finding for finding in findings if finding.is_known}
    before = error_of(search, {}, judged)
    after = error_of(search, {name: finding.value for name, finding in known.items()}, judged)
    intervals = {name: finding.interval for name, finding in known.items()}
    noise_rad = motion.position_noise_rad()
    if noise_rad is not None and published.joint_position_noise_rad:
        intervals["noise_scale"] = (noise_rad / published.joint_position_noise_rad,) * 2
    settings = settings_of(twin_config(published, intervals))
    result = {
        "session": str(session.path.resolve()),
        "robot": session.config.robot,
        "stretches": len(fitted),
        "held_out": {"stretches": len(judged), "published": before, "fitted": after},
        "found": {
            finding.parameter.name: {"value": finding.value, "interval": finding.interval, "known": finding.is_known}
            for finding in findings
        },
        "noise_scale": intervals.get("noise_scale", (None,))[0],
    }
    with written(out):
        write_anywhere(out, msgspec.yaml.encode({"twin": settings, "fit": result}))
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        _show(findings, before, after, out, session)


def fitted_twin(path: Path | None) -> Mapping[str, Any] | None:
    """The settings of a twin in a file that `fit` wrote, for `daydreamer.session.new.configure`; None for no file.

    Raises:
      UserError: it cannot be read, or it is no such file.
    """
    if path is None:
        return None
    values = load_yaml(path)
    if not isinstance(values, Mapping) or not isinstance(values.get("twin"), Mapping):
        raise UserError(f"{path} has no section 'twin'; give a file that 'daydreamer fit' wrote.")
    return values["twin"]


def read_motion(session: Session) -> LoggedMotion:
    """What the session's robot did, as far as its newest steps say.

    Raises:
      UserError: the robot has no twin, or no joints that follow targets, or its log cannot be turned back into motion.
    """
    from sim.logged_motion import LoggedMotion

    entry, robot = entry_of(session), session.config.robot
    task = make_task(session.config)
    if find_robot(robot).twin is None or entry.replayed is None:
        raise UserError(
            f"'{robot}' cannot be fitted: its folder has no twin, or does not say what its log measured. There are "
            f"{tasks_with('replayed')}."
        )
    if task.embodiment.setpoint_kind != "joint_position":
        raise UserError(f"'{robot}' cannot be fitted: only robots whose joints follow targets can, as the a1.")
    return LoggedMotion.of(_measured(session, entry), session.spec.control_period_s)


def _measured(session: Session, entry: TaskEntry) -> Iterator[tuple[Step, Measurement]]:
    assert entry.replayed is not None, "read_motion has seen to it"
    tail = ExperienceTail(session.experience, session.spec)
    steps: list[Step] = []
    while batch := tail.read(CHUNK_STEPS):
        steps = [*steps, *batch][-MOST_STEPS:]
    for step in steps:
        yield step, entry.replayed(step.observation, step.monotonic_ns * 1e-9)


def choose_stretches(motion: LoggedMotion, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps at which the stretches begin that a twin is fitted to, and those that it is judged by.

    Raises:
      UserError: too few; says what the robot has to do.
    """
    from sim.identification import FEWEST_STRETCHES

    starts, random = motion.stretches(), np.random.default_rng(seed)
    held_out = motion.held_out(starts)
    chosen = []
    for candidates in (starts[~held_out], starts[held_out]):
        if len(candidates) < FEWEST_STRETCHES:
            minutes = len(motion) * motion.period_s / 60
            raise UserError(
                f"The log's {minutes:.1f} minutes have {len(starts)} moments at which the robot was on its feet and "
                f"its targets moved, which is too few: {FEWEST_STRETCHES} are needed to fit, and {FEWEST_STRETCHES} of "
                "other half minutes to judge by. Let it learn for three minutes more: it tries rhythms on its feet."
            )
        chosen.append(np.sort(random.choice(candidates, min(count, len(candidates)), replace=False)))
    return chosen[0], chosen[1]


def error_of(search: Search, values: Mapping[str, float], starts: np.ndarray) -> dict[str, float]:
    """How wrong a twin is at the end of stretches, in the median: of joints in rad, of their speeds in rad/s."""
    from sim.identification import TYPICAL

    joints = len(search.joint_names)
    errors = np.abs(search.errors(values, starts))
    last = errors[:, -1]
    return {
        "position_rad": float(np.median(last[:, :joints])) * TYPICAL["position"],
        "velocity_rad_s": float(np.median(last[:, joints : 2 * joints])) * TYPICAL["velocity"],
        "all": float(np.log1p(np.square(errors)).mean()),
    }


def _search(search: Search, quiet: bool) -> list[Finding]:
    from sim.identification import GENERATIONS

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Terminal(stderr=True), disable=quiet) as progress:
        task = progress.add_task("Trying twins", total=GENERATIONS)
        return search.run(
            lambda generation, error: progress.update(
                task, completed=generation, description=f"Trying twins, smallest error {error:.4f}"
            )
        )


def _show(
    findings: Sequence[Finding], before: Mapping[str, float], after: Mapping[str, float], out: Path, session: Session
) -> None:
    table = Table("parameter", "published", "fitted", "95 % interval", box=None)
    for finding in findings:
        name, unit = finding.parameter.name, UNITS.get(finding.parameter.name, "")
        low, high = finding.interval
        fitted = f"{finding.value:.4g} {unit}".strip() if finding.is_known else "the log does not tell"
        published = f"{finding.parameter.published:.4g} {unit}".strip()
        interval = f"{low:.4g} to {high:.4g} {unit}".strip()
        row = (name, published, fitted, interval)
        table.add_row(*map(Text, row))
    console = Terminal()
    console.print(table)
    for name, what in (
        ("position_rad", "joint angles, rad"),
        ("velocity_rad_s", "joint speeds, rad/s"),
        ("all", "all"),
    ):
        console.print(f"Error on half minutes held out, {what}: {before[name]:.4g} before, {after[name]:.4g} after.")
    console.print(
        f"The twin is in {out}; rehearse on it with 'daydreamer learn {session.config.robot} --twin {out}': each seed "
        "draws a robot from these intervals.",
        soft_wrap=True,
    )
