"""`daydreamer evaluate`."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.out_file import require_writable, written
from daydreamer.cli.report import require_report_extra
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.evaluation.contenders import find_contenders, trials_of
from daydreamer.evaluation.crew import run_trials
from daydreamer.evaluation.result import Evaluation, Judged, Worst, judge, table
from daydreamer.evaluation.trial import KINDS, Outcome, Trial
from daydreamer.storage.atomic import write_anywhere
from daydreamer.texts import counted

BROKEN_STATUS = 1
WHO = {"nominal": "Robots as published", "random": "Robots drawn at random"}
INTERRUPTED = "Stopping, and showing what there is; once more ends at once."


def evaluate(
    directories: Sequence[Path],
    *,
    version: str,
    episodes: int,
    seconds: float | None,
    robots: int,
    seed: int,
    workers: int | None,
    samples: bool,
    twin_file: Path | None,
    overrides: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> int:
    """Judges a policy of each session on the same robots, and prints what they came to; returns the exit status.

    Args:
      out: a picture that is written of it, or None; the others are as in `find_contenders` and `trials_of`.

    Raises:
      UserError: see `find_contenders` and `run_trials`, or `out` cannot be written, which is found out first.
    """
    if out is not None:
        _require_drawable(out)
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="daydreamer-evaluate-") as folder:
        contenders = find_contenders(
            directories,
            Path(folder),
            version=version,
            samples=samples,
            overrides=overrides,
            fitted=fitted_twin(twin_file),
        )
        trials = trials_of(
            contenders,
            robots=robots,
            episodes=episodes,
            seconds=seconds,
            seed=seed,
            is_fitted=twin_file is not None,
        )
        with interrupts(INTERRUPTED) as stop:
            outcomes = _run(trials, workers or len(os.sched_getaffinity(0)), stop, quiet=as_json)
            interrupted = stop()
    evaluation = judge(contenders, trials, outcomes, time.monotonic() - begin_s)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(evaluation), indent=2).decode())
    else:
        _show(evaluation, twin_file, overrides)
    if out is not None:
        Terminal(stderr=as_json).print(_draw(evaluation, out), soft_wrap=True)
    if interrupted:
        return INTERRUPTED_STATUS
    return BROKEN_STATUS if any(judged.problems for judged in evaluation.policies) else 0


def _require_drawable(out: Path) -> None:
    require_report_extra()
    from daydreamer.report.style import ENCODERS

    if out.suffix.lower() not in ENCODERS:
        raise UserError(f"{out} would be no picture; choose a name that ends in {' or '.join(ENCODERS)}.")
    require_writable(out)


def _draw(evaluation: Evaluation, out: Path) -> str:
    """Writes the picture; returns what is to be said about it."""
    from daydreamer.evaluation.picture import draw
    from daydreamer.report.style import ENCODERS

    if not evaluation.measures:
        return f"{out} is not written: nothing is known of any robot."
    with written(out):
        write_anywhere(out, ENCODERS[out.suffix.lower()](draw(evaluation)))
    return f"The picture is in {out}."


def _run(trials: Sequence[Trial], workers: int, stop: Callable[[], bool], quiet: bool) -> list[Outcome]:
    begin_s, done_minutes = time.monotonic(), 0.0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Terminal(stderr=True), disable=quiet) as progress:
        task = progress.add_task("Setting robots out", total=len(trials))

        def on_outcome(outcome: Outcome) -> None:
            nonlocal done_minutes
            done_minutes += outcome.robot_minutes
            times = 60.0 * done_minutes / (time.monotonic() - begin_s)
            progress.update(task, advance=1, description=f"{done_minutes:.0f} robot minutes, {times:.0f} times as fast")

        return run_trials(trials, workers, on_outcome, stop)


def _show(evaluation: Evaluation, twin_file: Path | None, overrides: Sequence[str]) -> None:
    console = Terminal()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    for judged in evaluation.policies:
        say(f"{judged.name}: {judged.policy.description}.")
        for sentence in _remarks(judged, evaluation):
            say(sentence)
    for kind in KINDS:
        groups = [judged.groups[kind] for judged in evaluation.policies if kind in judged.groups]
        if groups:
            say(f"\n{WHO[kind]}, {groups[0].robots} of them:")
            console.print(_table(table(evaluation, kind)))
    say("")
    for judged in evaluation.policies:
        if judged.worst is not None:
            say(
                f"{judged.name} does worst on the random robot {judged.worst.seed}, reward {judged.worst.value:.2f}: "
                f"{judged.worst.words}."
            )
            if not judged.other_twin:  # else play would take that one
                say(f"  To see it: {_play_command(judged, judged.worst, twin_file, overrides)}")
    say(
        f"Each robot did {counted(evaluation.episodes, 'episode')} of {evaluation.episode_s:g} s, one after the "
        f"other as in a session: {evaluation.robot_minutes:.0f} robot minutes in {evaluation.wall_s / 60:.1f}, "
        f"{evaluation.robot_minutes_per_minute:.0f} times as fast. Intervals: {evaluation.interval}."
    )
    if not evaluation.complete:
        say("It was interrupted: robots are missing.")


def _play_command(judged: Judged, worst: Worst, twin_file: Path | None, overrides: Sequence[str]) -> str:
    """How that robot can be seen."""
    twin = () if twin_file is None else ("--twin", str(twin_file))
    settings = ("twin.randomisation.enabled=true", *overrides)
    words = [word for setting in settings for word in ("--set", setting)]
    return shlex.join(("daydreamer", "play", judged.policy.session, "--seed", str(worst.seed), *twin, *words))


def _remarks(judged: Judged, evaluation: Evaluation) -> Iterator[str]:
    if judged.running:
        yield "  That session still runs; it may soon have a better one."
    if judged.other_twin:
        yield f"  It was learned in another twin; all are judged in that of {evaluation.policies[0].name}."
    for outcome in judged.problems:
        yield f"  Nothing is known of the {outcome.kind} robot {outcome.seed}: {outcome.problem}"


def _table(rows: Sequence[Sequence[str]]) -> Table:
    heading, *rows = rows
    columns = (Column(name, justify="right") for name in heading[1:])
    shown = Table(Column(heading[0], no_wrap=True), *columns, box=None)
    for row in rows:
        shown.add_row(*row)
    return shown
