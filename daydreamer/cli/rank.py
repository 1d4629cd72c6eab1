"""`daydreamer rank`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.instrument.ranking import Estimate, Ranking
from daydreamer.presentation import Figure
from daydreamer.telemetry.quantities import known_figures


def rank(
    directory: Path,
    policies: Sequence[str],
    beside: Sequence[Path],
    horizon_s: float,
    starts: int,
    samples: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Asks the models of the session in `directory`, and of others, which policy is best, and prints what they say.

    Raises:
      UserError: see `daydreamer.instrument.ranking.rank`.
    """
    from daydreamer.instrument import ranking

    keep_compilations()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Terminal(stderr=True), disable=as_json, transient=True) as progress:
        task = progress.add_task("Policies in the model", total=None)
        result = ranking.rank(
            directory,
            policies,
            beside=beside,
            horizon_s=horizon_s,
            starts=starts,
            samples=samples,
            seed=seed,
            on_policy=lambda done, of: progress.update(task, completed=done, total=of),
        )
    if as_json:
        print(json.dumps(ranking.to_json(result), indent=2))
    else:
        _show(result)


def _show(ranking: Ranking) -> None:
    session = ranking.models[0].learned.session
    figures = [
        each
        for each in known_figures(session.presentation, session.spec)
        if any(each.quantity in policy.figures for policy in ranking.policies)
    ]
    counted = list(dict.fromkeys(did for policy in ranking.policies for did in policy.occurrences_per_minute))
    headings = ["", "policy", "minute", "reward", *(each.heading for each in figures)]
    headings += [*(f"{did}/min" for did in counted), "beats next", "unlike log"]
    table = Table(box=None)
    for heading in headings:
        table.add_column("\n".join(heading.rsplit(" ", 1)), no_wrap=True)  # so that it goes into 80 columns
    for place, each in enumerate(ranking.policies, start=1):
        cells = [str(place), each.candidate.name, f"{each.candidate.robot_minutes:.1f}", _interval(each.reward, None)]
        cells += [_interval(each.figures[figure.quantity], figure) for figure in figures]
        cells += [f"{each.occurrences_per_minute[did].mean:.1f}" for did in counted]
        cells += ["" if each.beats_next is None else f"{each.beats_next:.0%}", f"{each.far:.0%}"]
        table.add_row(*map(Text, cells))
    console = Terminal()
    console.print(table)
    log, model = ("its log", "the model") if len(ranking.models) == 1 else ("their logs", "the models")
    console.print(
        f"Expected over {ranking.horizon_s:g} s from {ranking.starts} states of {log}, with 95 % intervals over these, "
        f"by {model} of:",
        soft_wrap=True,
    )
    for asked in ranking.models:
        step = int(asked.learned.state.updates)
        console.print(f"  {asked.learned.session.path}, gradient step {step}: {asked.trust.words}", soft_wrap=True)
    console.print(f"What is wrong in {model} is in no interval.")
    for warning in ranking.warnings:
        console.print(Text(warning, style="yellow"), soft_wrap=True)


def _interval(estimate: Estimate, figure: Figure | None) -> str:
    def number(value: float) -> str:
        return f"{value:.2f}" if figure is None else figure.number(value)

    return f"{number(estimate.mean)} ± {(estimate.high - estimate.low) / 2:.2f}"
