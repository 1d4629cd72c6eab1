"""`daydreamer wish`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations
from daydreamer.contract.wishes import Wishables
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.texts import counted

if TYPE_CHECKING:
    from daydreamer.instrument.granting import Granted
    from daydreamer.instrument.wish_trials import Spread
    from daydreamer.instrument.wishing import WishedReward

OWN = "{path} is run as Python, with all that you may do; a formula of somebody else's is safer, see --reward."


def wish(
    directory: Path,
    named: str | None,
    *,
    formula: str | None,
    python: Path | None,
    proposal: str,
    horizon_s: float,
    samples: int,
    caution: float,
    gradient_steps: int,
    seconds: float,
    attempts: int,
    seed: int,
    overrides: list[str],
    as_json: bool,
) -> None:
    """Drives the twin of the session in `directory` by a wish, and prints what came; without a wish, what there are.

    Args:
      named, formula, python: the wish, one of them.
      proposal, horizon_s, samples, caution: see `PlanSettings`.
      gradient_steps: of a policy that is trained for it in dreams.

    Raises:
      UserError: there are two of them, or see `daydreamer.instrument.granting.grant`.
    """
    from daydreamer.instrument import granting, wishing
    from daydreamer.instrument.wish_planning import find_proposal

    said = [each for each in (named, formula, python) if each is not None]
    if len(said) > 1:
        raise UserError("One wish at a time: name it, or give --reward or --python.")
    console = Terminal(stderr=as_json)
    if not said:
        session = Session.open(directory)
        _list(wishing.find_wishables(session), session, as_json)
        return
    make: Callable[[Wishables, Session], WishedReward]
    if named is not None:
        make = lambda wishables, session: wishing.named_wish(wishables, named)  # noqa: E731
    elif formula is not None:
        make = lambda wishables, session: wishing.formula_wish(wishables, formula, session.spec)  # noqa: E731
    else:
        assert python is not None
        console.print(Text(OWN.format(path=python), style="yellow"), soft_wrap=True)
        make = functools.partial(_python, python)
    keep_compilations()
    percent = TextColumn("{task.percentage:.0f} %")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeRemainingColumn())
    with Progress(*columns, console=Terminal(stderr=True), disable=as_json, transient=True) as bar:
        task = bar.add_task("Reading what was learned", total=None)
        granted = granting.grant(
            directory,
            make,
            plan=granting.PlanSettings(find_proposal(proposal), horizon_s, samples, caution),
            gradient_steps=gradient_steps,
            seconds=seconds,
            attempts=attempts,
            seed=seed,
            overrides=overrides,
            on_step=lambda doing, done, of: bar.update(task, description=doing, completed=done, total=of),
        )
    if as_json:
        print(json.dumps(granting.to_json(granted), indent=2))
    else:
        _show(granted, console)


def _python(path: Path, wishables: Wishables, session: Session) -> WishedReward:
    from daydreamer.instrument import wishing

    return wishing.python_wish(wishables, path, session)


def _list(wishables: Wishables, session: Session, as_json: bool) -> None:
    """What may be wished, and what of."""
    from daydreamer.instrument import wishing

    names = wishing.signal_names(wishables, session.spec)
    if as_json:
        wishes = {
            name: {"does": each.summary, "usual": each.usual, "limits": each.limits}
            for name, each in wishables.wishes.items()
        }
        print(json.dumps({"wishes": wishes, "signals": names}, indent=2))
        return
    table = Table(box=None)
    for heading in ("wish", "number", "and the robot"):
        table.add_column(heading, no_wrap=True)
    for name, each in wishables.wishes.items():
        low, high = each.limits
        table.add_row(name, f"{low:g} to {high:g}", each.summary.format(value=each.usual))
    console = Terminal()
    if wishables.wishes:
        console.print(table)
    else:
        console.print(f"{session.config.robot} has no wishes by name: say what to wish for with --reward or --python.")
    console.print(f"Signals for --reward and --python: {', '.join(names)}.", soft_wrap=True)


def _show(granted: Granted, console: Terminal) -> None:
    session, reward = granted.learned.session, granted.reward
    table = Table(box=None, padding=(0, 1, 0, 0))  # with a policy that was trained it just goes into 80 columns
    for heading in ("", "wished", *(each.driver.replace(" in ", "\nin ") for each in granted.came)):
        table.add_column(heading, no_wrap=True)
    table.add_row("reward of the wish", "", *(_spread(each.reward) for each in granted.came))
    for name in reward.shown:
        wished = f"{reward.targets[name]:+.2f}" if name in reward.targets else ""
        table.add_row(name, wished, *(_spread(each.signals[name], "+") for each in granted.came))
        if all(name in each.truth for each in granted.came):
            table.add_row("  in truth", "", *(_spread(each.truth[name], "+") for each in granted.came))
    for did in granted.came[0].occurrences_per_minute:
        table.add_row(f"{did}/min", "", *(f"{each.occurrences_per_minute[did].mean:.1f}" for each in granted.came))
    console.print(f"Wished: that it {reward.words}.", soft_wrap=True)
    console.print(table)
    console.print(
        f"Means over {counted(granted.attempts, 'attempt')} of {granted.seconds:g} s in the twin, of each the time "
        f"after {granted.settle_s:g} s; in brackets the lowest and the highest. A step of the log would have earned "
        f"{granted.logged[0]:.2f} in the mean, one of its best hundredth {granted.logged[1]:.2f}.",
        soft_wrap=True,
    )
    if granted.gradient_steps:
        console.print(
            f"A policy was trained for it in {granted.gradient_steps} gradient steps of dreams alone; it is not kept.",
            soft_wrap=True,
        )
    for each in granted.came:
        if each.latency_ms:
            console.print(
                f"A plan took {each.latency_ms['p50']:.0f} ms (p50), {each.latency_ms['p99']:.0f} ms (p99) of a "
                f"control period of {1e3 * session.spec.control_period_s:g} ms.",
                soft_wrap=True,
            )
    for warning in granted.warnings:
        console.print(Text(warning, style="yellow"), soft_wrap=True)


def _spread(spread: Spread, sign: str = "") -> str:
    return f"{spread.mean:{sign}.2f}\n({spread.low:{sign}.2f} to {spread.high:{sign}.2f})"
