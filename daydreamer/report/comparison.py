"""Several sessions side by side: their curves in one picture, their milestones in a table."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daydreamer.errors import UserError
from daydreamer.presentation import Presentation
from daydreamer.report import style
from daydreamer.report.figures import ROW_S, SMOOTHED_ROWS
from daydreamer.report.history import SessionHistory, read_history
from daydreamer.session.several import open_sessions, short_names
from daydreamer.telemetry.quantities import known_mean
from daydreamer.telemetry.spread import Spread

FINAL_S = 300.0
"""The end of a session, over which its closing means are taken."""

QUARTILES_FROM = 5
"""Sessions from which the band goes from quartile to quartile; of fewer it goes from the lowest to the highest."""


@dataclasses.dataclass(frozen=True)
class ComparedSession:
    """One session, as it is compared.

    Attributes:
      name: of its directory.
      presentation: of its task.
      minutes: `[rows]`, robot time at the end of each row of `ROW_S`.
      reward: `[rows]`, means over the last minute.
      figures: the same of the headline figures that were logged, by quantity.
      milestones_minutes: robot minutes by name; those not reached are left out.
      final_reward, final_figures: means of the last `FINAL_S`; None of what is not known.
    """

    name: str
    presentation: Presentation
    minutes: np.ndarray
    reward: np.ndarray
    figures: Mapping[str, np.ndarray]
    milestones_minutes: Mapping[str, float]
    final_reward: float | None
    final_figures: Mapping[str, float | None]


def read_sessions(directories: Sequence[Path]) -> list[ComparedSession]:
    """The sessions in the order given.

    Raises:
      UserError: fewer than two, one given twice, not of one robot and task, or one with too few steps for a curve.
    """
    if len(directories) < 2:
        raise UserError("One session cannot be compared; name two or more.")
    sessions = open_sessions(directories)
    names = short_names(sessions)
    return [_compared(read_history(session), name) for session, name in zip(sessions, names, strict=True)]


def draw(sessions: Sequence[ComparedSession]) -> Figure:
    """Reward and the figures that all have: a thin line for each session, the median bold, and its band."""
    presentation = sessions[0].presentation
    headlines = [each for each in presentation.figures if all(each.quantity in session.figures for session in sessions)]
    figure, grid = style.new_figure(1 + len(headlines), height_in=3.2 * (1 + len(headlines)), sharex=True)
    axes = list(grid[:, 0])
    _draw_spread(axes[0], sessions, [session.reward for session in sessions], style.BLUE)
    axes[0].set_ylabel("reward per step, minute's mean")
    if presentation.reward_level is not None and any(session.milestones_minutes for session in sessions):
        style.level(axes[0], presentation.reward_level.value, presentation.reward_level.words)
    for each, headline in zip(axes[1:], headlines, strict=True):
        _draw_spread(each, sessions, [session.figures[headline.quantity] for session in sessions], style.ORANGE)
        if headline.level is not None:
            style.level(each, headline.level.value, headline.level.words)
        each.set_ylabel(f"{headline.title}, minute's mean")
    axes[-1].set_xlabel("robot time (min)")
    axes[-1].set_xlim(left=0.0)
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def figures(sessions: Sequence[ComparedSession]) -> dict[str, Any]:
    """The same as `table`, for programs: numbers, and None for what was not reached."""
    presentation = sessions[0].presentation
    names, quantities = presentation.milestone_names, [headline.quantity for headline in presentation.figures]
    described = [
        {
            "name": session.name,
            "robot_minutes": float(session.minutes[-1]),
            "milestones_minutes": {name: session.milestones_minutes.get(name) for name in names},
            "final_reward": session.final_reward,
            "final_figures": {quantity: session.final_figures.get(quantity) for quantity in quantities},
        }
        for session in sessions
    ]
    spreads = {name: Spread.of(session.milestones_minutes.get(name) for session in sessions) for name in names}
    return {
        "sessions": described,
        "milestones_minutes": {name: dataclasses.asdict(spread) for name, spread in spreads.items()},
        "final_reward": dataclasses.asdict(Spread.of(session.final_reward for session in sessions)),
    }


def table(sessions: Sequence[ComparedSession]) -> list[list[str]]:
    """Heading, a row for each session, and the median [lowest, highest]; what was not reached counts as latest."""
    names, headlines = sessions[0].presentation.milestone_names, sessions[0].presentation.figures
    heading = ["session", "robot minutes", *(f"{name} (min)" for name in names)]
    heading += [f"reward, last {FINAL_S / 60:.0f} min", *(headline.heading for headline in headlines)]
    rows = []
    for session in sessions:
        row = [session.name, f"{session.minutes[-1]:.1f}"]
        row += [_describe(session.milestones_minutes.get(name), 1) for name in names]
        row.append(_describe(session.final_reward, 2))
        rows.append([*row, *(_describe(session.final_figures.get(each.quantity), each.decimals) for each in headlines)])
    last = ["median [lowest, highest]", Spread.of(session.minutes[-1] for session in sessions).describe()]
    last += [Spread.of(session.milestones_minutes.get(name) for session in sessions).describe() for name in names]
    ends = [([session.final_reward for session in sessions], 2)]
    ends += [([each.final_figures.get(line.quantity) for each in sessions], line.decimals) for line in headlines]
    last += ["-" if None in values else Spread.of(values).describe(decimals) for values, decimals in ends]
    return [heading, *rows, last]


def _describe(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:z.{digits}f}"


def _compared(history: SessionHistory, name: str) -> ComparedSession:
    spec = history.session.spec
    rows = round(ROW_S * spec.control_rate_hz)
    if len(history.steps) < rows:
        raise UserError(
            f"{history.session.path} has {len(history.steps)} steps, too few for a curve; leave it out or go on with "
            "it."
        )

    def smooth(values: np.ndarray) -> np.ndarray:
        return style.running_means(style.block_means(values, rows), SMOOTHED_ROWS)

    final = min(len(history.steps), round(FINAL_S * spec.control_rate_hz))
    reward = smooth(history.reward)
    return ComparedSession(
        name=name,
        presentation=history.session.presentation,
        minutes=np.arange(1, len(reward) + 1) * ROW_S / 60.0,
        reward=reward,
        figures={headline.quantity: smooth(values) for headline, values in history.figures},
        milestones_minutes={each: seconds / 60.0 for each, seconds in history.milestones_s.items()},
        final_reward=_known(history.reward[-final:]),
        final_figures={headline.quantity: _known(values[-final:]) for headline, values in history.figures},
    )


def _known(values: np.ndarray) -> float | None:
    mean = float(known_mean(values))
    return mean if math.isfinite(mean) else None


def _draw_spread(axes: Axes, sessions: Sequence[ComparedSession], curves: Sequence[np.ndarray], colour: str) -> None:
    many = len(sessions) > len(style.COLOURS)
    for session, curve, own in zip(sessions, curves, style.COLOURS * len(sessions), strict=False):
        axes.plot(
            session.minutes, curve, color="#aaaaaa" if many else own, linewidth=0.9, alpha=0.8, label=session.name
        )
    # Only as far as all of them go: a median over ever fewer sessions jumps where one ends.
    rows = min(map(len, curves))
    together = np.stack([curve[:rows] for curve in curves])
    few = len(curves) < QUARTILES_FROM
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of minutes of which nothing is known in any
        low, high = np.nanpercentile(together, (0, 100) if few else (25, 75), axis=0)
        median = np.nanmedian(together, axis=0)
    minutes = sessions[0].minutes[:rows]
    band = "lowest to highest" if few else "quartiles"
    axes.fill_between(minutes, low, high, color=colour, alpha=0.15, linewidth=0, label=band)
    axes.plot(minutes, median, color=style.BLACK, linewidth=2.2, label="median")
