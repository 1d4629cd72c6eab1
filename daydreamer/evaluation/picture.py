"""An evaluation in one picture: each robot a dot, policies and kinds of robots side by side."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from daydreamer.evaluation.measures import ACTION_CHANGE, BY_POLICY, POWER, Measure
from daydreamer.evaluation.result import Evaluation, Judged
from daydreamer.evaluation.trial import KINDS, Kind
from daydreamer.report import style

COLUMNS = 2
ROW_HEIGHT_IN = 2.4
GROUP_WIDTH, STRIP_SHARE = 0.8, 0.6
"""Policies take up this share of the distance between two kinds of robots, and dots that share of theirs."""
WHO: dict[Kind, str] = {"nominal": "as published", "random": "drawn at random"}
LEGEND_CHARACTERS = 110
"""A row of the legend has so many."""
LEAST_STEPS = 10
"""A panel goes over so many units of the last decimal that is written, at least: what is alike looks alike."""
HOW = "dot: a robot; bar: mean of the robots, with its 95 % interval"


def draw(evaluation: Evaluation) -> Figure:
    """A panel for each of what is most important to know; something has to be known of a robot."""
    panels = _panels(evaluation)
    kinds = [kind for kind in KINDS if any(kind in judged.groups for judged in evaluation.policies)]
    rows = math.ceil(len(panels) / COLUMNS)
    figure, grid = style.new_figure(rows, COLUMNS, height_in=0.9 + ROW_HEIGHT_IN * rows)
    for axes, measure in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, evaluation, measure, kinds)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    minutes = evaluation.episodes * evaluation.episode_s / 60.0
    figure.suptitle(
        f"{evaluation.robot} {evaluation.task}, robots: {_robots(evaluation, kinds)}; {minutes:.1f} minutes of each\n"
        f"{HOW}",
        fontsize=9,
        parse_math=False,
    )
    if len(evaluation.policies) > 1:
        _name_policies(figure, evaluation)
    return figure


def _panels(evaluation: Evaluation) -> list[Measure]:
    """What its task says of the robot, its reward once, and what it costs to get anywhere."""
    left_out = {POWER, ACTION_CHANGE, BY_POLICY}
    if any(measure.key == evaluation.compared != "reward" for measure in evaluation.measures):
        left_out.add("reward")
    return [measure for measure in evaluation.measures if measure.key not in left_out]


def _robots(evaluation: Evaluation, kinds: list[Kind]) -> str:
    """How many there are."""
    groups = [judged.groups for judged in evaluation.policies]
    counts = {kind: max(each[kind].robots for each in groups if kind in each) for kind in kinds}
    return " and ".join(f"{count} {WHO[kind]}" for kind, count in counts.items())


def _name_policies(figure: Figure, evaluation: Evaluation) -> None:
    handles = [
        Line2D([], [], marker="o", linestyle="", color=_colour(number)) for number in range(len(evaluation.policies))
    ]
    names = [judged.name for judged in evaluation.policies]
    columns = max(1, min(len(names), LEGEND_CHARACTERS // max(map(len, names))))
    legend = figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _colour(number: int) -> str:
    return style.COLOURS[number % len(style.COLOURS)]


def _draw_panel(axes: Axes, evaluation: Evaluation, measure: Measure, kinds: list[Kind]) -> None:
    width = GROUP_WIDTH / len(evaluation.policies)
    for place, kind in enumerate(kinds):
        for number, judged in enumerate(evaluation.policies):
            middle = place + width * (number - (len(evaluation.policies) - 1) / 2)
            _draw_strip(axes, judged, measure, kind, evaluation.seeds, middle, width, _colour(number))
    low, high = axes.get_ylim()
    wider = max(0.0, LEAST_STEPS * 10.0**-measure.decimals - (high - low)) / 2
    axes.set_ylim(low - wider, high + wider)
    axes.set_title(measure.title, fontsize=9, loc="left", parse_math=False)
    axes.set_xticks(range(len(kinds)), [WHO[kind] for kind in kinds])
    axes.set_xlim(-0.5, len(kinds) - 0.5)
    axes.tick_params(axis="x", length=0, pad=12)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)


def _draw_strip(
    axes: Axes,
    judged: Judged,
    measure: Measure,
    kind: Kind,
    seeds: list[int],
    middle: float,
    width: float,
    colour: str,
) -> None:
    """The robots of a kind that follow a policy: each at the same place in every strip."""
    group = judged.groups.get(kind)
    estimate = group.measures.get(measure.key) if group else None
    if group is None or estimate is None:
        return
    robots = [each for each in judged.robots if each.kind == kind and not each.problem and measure.key in each.values]
    offsets = dict(zip(seeds, np.linspace(-0.5, 0.5, len(seeds)) if len(seeds) > 1 else [0.0], strict=True))
    places = [middle + STRIP_SHARE * width * offsets[each.seed] for each in robots]
    axes.scatter(places, [each.values[measure.key] for each in robots], s=12, color=colour, alpha=0.6, linewidths=0)
    half = 0.5 * STRIP_SHARE * width
    axes.hlines(estimate.mean, middle - half, middle + half, color=style.BLACK, linewidth=1.6)
    if estimate.low is not None and estimate.high is not None:
        axes.vlines(middle, estimate.low, estimate.high, color=style.BLACK, linewidth=1.6)
    if estimate.robots < group.robots:
        axes.annotate(
            f"n={estimate.robots}",
            (middle, 0.0),
            xytext=(0, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
        )
