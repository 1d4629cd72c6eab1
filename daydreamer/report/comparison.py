"""Several sessions side by side: their curves in one picture, their milestones in a table."""

from __future__ import annotations

import dataclasses
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
from daydreamer.report.story import Story, read_story
from daydreamer.session.directory import Session
from daydreamer.telemetry.spread import Spread

FINAL_S = 300.0
"""The end of a session, over which its closing means are taken."""

QUARTILES_FROM = 5
"""Sessions from which the band goes from quartile to quartile; of fewer it goes from the lowest to the highest."""


@dataclasses.dataclass(frozen=True)
class Course:
    """One session, as it is compared.

    Attributes:
      name: of its directory.
      presentation: of its task.
      minutes: `[rows]`, robot time at the end of each row of `ROW_S`.
      reward: `[rows]`, means over the last minute.
      figures: the same of the headline figures that were logged, by quantity.
      milestones_minutes: robot minutes by name; those not reached are left out.
      final_reward, final_figures: means of the last `FINAL_S`.
    """

    name: str
    presentation: Presentation
    minutes: np.ndarray
    reward: np.ndarray
    figures: Mapping[str, np.ndarray]
    milestones_minutes: Mapping[str, float]
    final_reward: float
    final_figures: Mapping[str, float]


def read_courses(directories: Sequence[Path]) -> list[Course]:
    """The sessions in the order given.

    Raises:
      UserError: fewer than two, one given twice, not of one robot and task, or one with too few steps for a curve.
    """
    sessions = [Session.open(directory) for directory in directories]
    if len(sessions) < 2:
        raise UserError("One session cannot be compared; name two or more.")
    if len({session.path.resolve() for session in sessions}) < len(sessions):
        raise UserError("A session is named twice; name each once.")
    _require_same_task(sessions)
    return [_course(read_story(session), name) for session, name in zip(sessions, _names(sessions), strict=True)]


def draw(courses: Sequence[Course]) -> Figure:
    """Reward and the figures that all have: a thin line for each session, the median bold, and its band."""
    presentation = courses[0].presentation
    headlines = [each for each in presentation.figures if all(each.quantity in course.figures for course in courses)]
    figure, grid = style.new_figure(1 + len(headlines), height_in=3.2 * (1 + len(headlines)), sharex=True)
    axes = list(grid[:, 0])
    _draw_spread(axes[0], courses, [course.reward for course in courses], style.BLUE)
    axes[0].set_ylabel("reward per step, minute's mean")
    if presentation.reward_level is not None and any(course.milestones_minutes for course in courses):
        style.level(axes[0], presentation.reward_level.value, presentation.reward_level.words)
    for each, headline in zip(axes[1:], headlines, strict=True):
        _draw_spread(each, courses, [course.figures[headline.quantity] for course in courses], style.ORANGE)
        if headline.level is not None:
            style.level(each, headline.level.value, headline.level.words)
        each.set_ylabel(f"{headline.title}, minute's mean")
    axes[-1].set_xlabel("robot time (min)")
    axes[-1].set_xlim(left=0.0)
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def figures(courses: Sequence[Course]) -> dict[str, Any]:
    """The same as `table`, for programs: numbers, and None for what was not reached."""
    presentation = courses[0].presentation
    names, quantities = presentation.milestone_names, [headline.quantity for headline in presentation.figures]
    sessions = [
        {
            "name": course.name,
            "robot_minutes": float(course.minutes[-1]),
            "milestones_minutes": {name: course.milestones_minutes.get(name) for name in names},
            "final_reward": course.final_reward,
            "final_figures": {quantity: course.final_figures.get(quantity) for quantity in quantities},
        }
        for course in courses
    ]
    spreads = {name: Spread.of(course.milestones_minutes.get(name) for course in courses) for name in names}
    return {
        "sessions": sessions,
        "milestones_minutes": {name: dataclasses.asdict(spread) for name, spread in spreads.items()},
        "final_reward": dataclasses.asdict(Spread.of(course.final_reward for course in courses)),
    }


def table(courses: Sequence[Course]) -> list[list[str]]:
    """Heading, a row for each session, and the median [lowest, highest]; what was not reached counts as latest."""
    names, headlines = courses[0].presentation.milestone_names, courses[0].presentation.figures
    heading = ["session", "robot minutes", *(f"{name} (min)" for name in names)]
    heading += [f"reward, last {FINAL_S / 60:.0f} min", *(headline.heading for headline in headlines)]
    rows = []
    for course in courses:
        row = [course.name, f"{course.minutes[-1]:.1f}"]
        row += [_describe(course.milestones_minutes.get(name), 1) for name in names]
        row.append(f"{course.final_reward:.2f}")
        rows.append([*row, *(_describe(course.final_figures.get(each.quantity), each.decimals) for each in headlines)])
    last = ["median [lowest, highest]", Spread.of(course.minutes[-1] for course in courses).describe()]
    last += [Spread.of(course.milestones_minutes.get(name) for course in courses).describe() for name in names]
    last.append(Spread.of(course.final_reward for course in courses).describe(2))
    for headline in headlines:
        values = [course.final_figures.get(headline.quantity) for course in courses]
        last.append("-" if None in values else Spread.of(values).describe(headline.decimals))
    return [heading, *rows, last]


def _describe(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:z.{digits}f}"


def _require_same_task(sessions: Sequence[Session]) -> None:
    first = sessions[0]
    for session in sessions[1:]:
        for what in ("robot", "task", "control_rate_hz"):
            ours, theirs = getattr(first.spec, what), getattr(session.spec, what)
            if ours != theirs:
                raise UserError(
                    f"{first.path} has {what} '{ours}' and {session.path} has '{theirs}': their rewards mean different "
                    "things. Compare sessions of one robot and task."
                )


def _names(sessions: Sequence[Session]) -> list[str]:
    """Names of the directories, with as many of their parents as it takes to tell them apart."""
    for depth in range(1, max(len(session.path.parts) for session in sessions)):
        names = ["/".join(session.path.parts[-depth:]) for session in sessions]
        if len(set(names)) == len(names):
            break
    return names


def _course(story: Story, name: str) -> Course:
    spec = story.session.spec
    rows = round(ROW_S * spec.control_rate_hz)
    if len(story.steps) < rows:
        raise UserError(
            f"{story.session.path} has {len(story.steps)} steps, too few for a curve; leave it out or go on with it."
        )

    def smooth(values: np.ndarray) -> np.ndarray:
        return style.running_means(style.block_means(values, rows), SMOOTHED_ROWS)

    final = min(len(story.steps), round(FINAL_S * spec.control_rate_hz))
    reward = smooth(story.reward)
    return Course(
        name=name,
        presentation=story.session.presentation,
        minutes=np.arange(1, len(reward) + 1) * ROW_S / 60.0,
        reward=reward,
        figures={headline.quantity: smooth(values) for headline, values in story.figures},
        milestones_minutes={each: seconds / 60.0 for each, seconds in story.milestones_s.items()},
        final_reward=float(story.reward[-final:].mean()),
        final_figures={headline.quantity: float(values[-final:].mean()) for headline, values in story.figures},
    )


def _draw_spread(axes: Axes, courses: Sequence[Course], curves: Sequence[np.ndarray], colour: str) -> None:
    many = len(courses) > len(style.COLOURS)
    for course, curve, own in zip(courses, curves, style.COLOURS * len(courses), strict=False):
        axes.plot(course.minutes, curve, color="#aaaaaa" if many else own, linewidth=0.9, alpha=0.8, label=course.name)
    # Only as far as all of them go: a median over ever fewer sessions jumps where one ends.
    rows = min(map(len, curves))
    together = np.stack([curve[:rows] for curve in curves])
    few = len(curves) < QUARTILES_FROM
    low, high = np.percentile(together, (0, 100) if few else (25, 75), axis=0)
    minutes = courses[0].minutes[:rows]
    band = "lowest to highest" if few else "quartiles"
    axes.fill_between(minutes, low, high, color=colour, alpha=0.15, linewidth=0, label=band)
    axes.plot(minutes, np.median(together, axis=0), color=style.BLACK, linewidth=2.2, label="median")
