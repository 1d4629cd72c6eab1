"""Draws learning curves: reward and true forward speed over robot time.

    python benchmarks/plot_curves.py --out picture.png NAME=PATH [NAME=PATH ...]

PATH is a directory of learning_curves.py, a file of paired_arms.py, or files of peers.py: one, a quoted pattern of
several, or their directory.
A line is the median over the runs and the band around it goes from the lowest to the highest, both of means over the
last minute and as far as every run goes. A mark is the median time of a milestone, if most of the runs reached it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from curves import Run, read_named

from daydreamer.errors import UserError
from daydreamer.robots.quadruped.presentation import STANDING, UPRIGHT, WALKING, WALKING_SPEED_M_S
from daydreamer.telemetry.spread import Spread

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

ROW_MINUTES = 1 / 6
SMOOTHING_ROWS = 6
REWARD_LEVELS = {"lying": 5.0, "standing": 9.0, "walking": 14.0}
MARKERS = {UPRIGHT: "^", STANDING: "s", WALKING: "D"}
# Okabe and Ito's colours, which the colour-blind can tell apart, with grey for their yellow.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="PNG, SVG or PDF")
    parser.add_argument("runs", nargs="+", metavar="NAME=PATH")
    options = parser.parse_args()
    try:
        draw(read_named(options.runs), options.out)
    except UserError as error:
        parser.error(str(error))


def draw(named: dict[str, list[Run]], path: Path) -> None:
    """Draws each learner's runs into one picture.

    Raises:
      UserError: there are more learners than colours.
    """
    if len(named) > len(COLOURS):
        raise UserError(f"{len(named)} learners in one picture cannot be told apart; draw at most {len(COLOURS)}.")
    figure, (reward, speed) = plt.subplots(2, sharex=True, figsize=(8, 7), layout="constrained")
    for colour, runs in zip(COLOURS, named.values(), strict=False):
        draw_spread(reward, runs, [run.reward for run in runs], (UPRIGHT, STANDING), colour)
        draw_spread(speed, runs, [run.true_forward_m_s for run in runs], (WALKING,), colour)
    for name, level in REWARD_LEVELS.items():
        draw_level(reward, level, name)
    draw_level(speed, WALKING_SPEED_M_S, "walking")
    reward.set_ylabel("reward per step")
    reward.set_ylim(4.5, 14.5)
    speed.set_ylabel("true forward speed (m/s)")
    speed.set_xlabel("robot time (min)")
    speed.set_xlim(left=0)
    for axes in (reward, speed):
        axes.spines[["top", "right"]].set_visible(False)
    draw_legend(figure, named)
    figure.savefig(path, dpi=150)


def draw_spread(
    axes: Axes, runs: Sequence[Run], values: Sequence[np.ndarray], milestones: Sequence[str], colour: str
) -> None:
    """The median line of `values` (one curve `[rows]` for each run), its band, and the milestones on it."""
    begin, end = max(run.robot_minutes[0] for run in runs), min(run.robot_minutes[-1] for run in runs)
    minutes = np.arange(begin, end + ROW_MINUTES / 2, ROW_MINUTES)
    curves = [
        trailing_mean(np.interp(minutes, run.robot_minutes, curve)) for run, curve in zip(runs, values, strict=True)
    ]
    median = np.median(curves, axis=0)
    axes.plot(minutes, median, color=colour, linewidth=1.8)
    if len(runs) > 1:
        axes.fill_between(
            minutes, np.min(curves, axis=0), np.max(curves, axis=0), color=colour, alpha=0.15, linewidth=0
        )
    for name in milestones:
        reached = Spread.of(run.milestones_minutes[name] for run in runs).median
        if reached is not None and reached <= end:
            height = np.interp(reached, minutes, median)
            axes.plot(reached, height, MARKERS[name], color=colour, markeredgecolor="white", markersize=9, zorder=3)


def trailing_mean(values: np.ndarray) -> np.ndarray:
    """Means over the last `SMOOTHING_ROWS`, or over what there is at the beginning."""
    counts = np.minimum(np.arange(1, len(values) + 1), SMOOTHING_ROWS)
    return np.convolve(values, np.ones(SMOOTHING_ROWS))[: len(values)] / counts


def draw_level(axes: Axes, level: float, name: str) -> None:
    """A labelled line to measure the curves by."""
    axes.axhline(level, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    axes.annotate(
        f"{name} {level:g}",
        (1.0, level),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color="0.4",
        fontsize=9,
        annotation_clip=False,
    )


def draw_legend(figure: plt.Figure, named: dict[str, list[Run]]) -> None:
    handles = [
        Line2D([], [], color=colour, linewidth=1.8, label=f"{name} ({len(runs)} run{'s' * (len(runs) > 1)})")
        for colour, (name, runs) in zip(COLOURS, named.items(), strict=False)
    ]
    handles += [Line2D([], [], color="0.4", marker=MARKERS[name], linestyle="", label=name) for name in MARKERS]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)


if __name__ == "__main__":
    main()
