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
from rich.table import Table

from daydreamer.cli.fit import fitted_twin
from daydreamer.cli.interrupts import INTERRUPTED_STATUS, interrupts
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.evaluation.contenders import find_contenders, trials_of
from daydreamer.evaluation.crew import run_trials
from daydreamer.evaluation.result import KINDS, Evaluation, Judged, judge, table_of_one, table_of_several
from daydreamer.evaluation.trial import Outcome, Trial

BROKEN_STATUS = 1
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
    as_json: bool,
) -> int:
    """Judges a policy of each session on the same robots, and prints what they came to; returns the exit status.

    Raises:
      UserError: see `find_contenders` and `run_trials`.
    """
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
        _show(evaluation, overrides, hint=twin_file is None)
    if interrupted:
        return INTERRUPTED_STATUS
    return BROKEN_STATUS if any(judged.problems for judged in evaluation.policies) else 0


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


def _show(evaluation: Evaluation, overrides: Sequence[str], hint: bool) -> None:
    console = Terminal()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    for judged in evaluation.policies:
        say(f"{judged.name}: {judged.policy.description}.")
        for sentence in _remarks(judged, evaluation):
            say(sentence)
    if len(evaluation.policies) == 1:
        console.print(_table(table_of_one(evaluation)))
    else:
        for kind in KINDS:
            if any(kind in judged.groups for judged in evaluation.policies):
                say(f"\nOn {kind} robots, mean [95 %]:")
                console.print(_table(table_of_several(evaluation, kind)))
    for judged in evaluation.policies:
        if judged.worst is not None:
            say(
                f"{_whose(judged, evaluation)}orst random robot, reward {judged.worst.value:.2f}: {judged.worst.words}."
            )
            if hint:
                play = ["daydreamer", "play", judged.policy.session, "--seed", str(judged.worst.seed)]
                settings = ["twin.randomisation.enabled=true", *overrides]
                say(f"  See it: {shlex.join([*play, *(word for each in settings for word in ('--set', each))])}")
    counts = [f"{group.robots} {kind}" for kind, group in evaluation.policies[0].groups.items()]
    say(
        f"{' and '.join(counts) or 'no'} robots, {evaluation.episodes} episodes of {evaluation.episode_s:g} s each, one "
        f"after the other as in a session; {evaluation.robot_minutes:.0f} robot minutes in {evaluation.wall_s / 60:.1f}. "
        f"Intervals: {evaluation.interval}."
    )
    if not evaluation.complete:
        say("It was interrupted: robots are missing.")


def _remarks(judged: Judged, evaluation: Evaluation) -> Iterator[str]:
    if judged.running:
        yield "  That session still runs; it may soon have a better one."
    if judged.other_twin:
        yield f"  It was learned in another twin; all are judged in that of {evaluation.policies[0].name}."
    for outcome in judged.problems:
        yield f"  Nothing is known of the {outcome.kind} robot {outcome.seed}: {outcome.problem}"


def _whose(judged: Judged, evaluation: Evaluation) -> str:
    return "W" if len(evaluation.policies) == 1 else f"{judged.name}: w"


def _table(rows: Sequence[Sequence[str]]) -> Table:
    heading, *rows = rows
    table = Table(*heading, box=None)
    for row in rows:
        table.add_row(*row)
    return table
