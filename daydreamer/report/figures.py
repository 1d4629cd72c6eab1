"""The pictures of a report that tell how a session went. Each raises `Missing` when there is nothing to draw."""

from __future__ import annotations

import collections

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daydreamer.presentation import Figure as Headline
from daydreamer.report import style
from daydreamer.report.history import SessionHistory
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.telemetry.metrics import truth_tag

ROW_S = 10.0
"""Robot time of one point of a curve."""

SMOOTHED_ROWS = 6
"""Rows of the running mean that is drawn bold: a minute."""


TERMS_IN_A_ROW = 6
"""Of the legend."""


MOST_KINDS = 30
"""The most kinds of events in one picture; a session's own are fewer."""


class Missing(Exception):
    """There is nothing to draw; the text says what is missing and why."""


def learning_curve(history: SessionHistory) -> Figure:
    """Reward, its terms and the headline figures over robot minutes, with the milestones."""
    rows = _rows(history)
    minutes = np.arange(1, len(history.steps) // rows + 1) * rows * history.session.spec.control_period_s / 60.0
    terms, level = history.steps.reward_terms, history.session.presentation.reward_level
    panels = ["reward", *(["terms"] if terms else []), *range(len(history.figures))]
    figure, grid = style.new_figure(len(panels), height_in=1.0 + 2.2 * len(panels), sharex=True)
    axes = dict(zip(panels, grid[:, 0], strict=True))
    _curve(axes["reward"], minutes, style.block_means(history.reward, rows), style.BLUE)
    axes["reward"].set_ylabel("reward per step")
    if level is not None and history.has_compared_reward:
        style.level(axes["reward"], level.value, level.words)
    for (name, values), colour in zip(terms.items(), style.COLOURS * len(terms), strict=False):
        smoothed = style.running_means(style.block_means(values, rows), SMOOTHED_ROWS)
        axes["terms"].plot(minutes, smoothed, color=colour, label=name)
    if terms:
        axes["terms"].set_ylabel("terms, minute's mean")
        axes["terms"].legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=min(len(terms), TERMS_IN_A_ROW), frameon=False
        )
    for number, (headline, values) in enumerate(history.figures):
        _headline(axes[number], history, headline, minutes, style.block_means(values, rows))
    for panel, each in axes.items():
        style.mark_milestones(each, history.milestones_s, labels=panel == "reward")
    axes[panels[-1]].set_xlabel("robot time (min)")
    axes[panels[-1]].set_xlim(left=0.0)
    return figure


def _headline(axes: Axes, history: SessionHistory, headline: Headline, minutes: np.ndarray, values: np.ndarray) -> None:
    """One of the headline figures, beside what a simulator knows of it."""
    source = f"{headline.source}, minute's mean" if headline.source else "minute's mean"
    _curve(axes, minutes, values, style.ORANGE, source)
    true = history.telemetry.series(truth_tag(headline.quantity))
    if len(true):
        # A live twin and lock-step report it at different intervals.
        points = round(len(true) * SMOOTHED_ROWS * ROW_S / max(true.robot_s[-1], ROW_S))
        true_values = style.running_means(true.value, max(1, points))
        axes.plot(true.robot_s / 60.0, true_values, color=style.BLACK, linewidth=1, label="simulator's truth")
    if headline.level is not None:
        style.level(axes, headline.level.value, headline.level.words)
    axes.set_ylabel(headline.title)
    axes.legend(loc="upper left", frameon=False)


def timing(history: SessionHistory) -> Figure:
    """How long a control step took, and how far apart steps were."""
    if not history.is_live:
        raise Missing(
            "The session ran in lock-step, where time waits for the program: there is nothing to be late for."
        )
    if len(history.steps) < 2:
        raise Missing("No steps were logged.")
    figure, ((work, period),) = style.new_figure(1, 2)
    latency_ms = history.steps.latency_s * 1e3
    follows = (np.diff(history.steps.sequence) == 1) & (np.diff(history.steps.actor_life) == 0)
    period_ms = np.diff(history.steps.monotonic_ns)[follows] * 1e-6
    nominal_ms = history.session.spec.control_period_s * 1e3
    for axes, values_ms, name in ((work, latency_ms, "from tick to log"), (period, period_ms, "between observations")):
        if not len(values_ms):
            continue
        p50, p99, largest = np.percentile(values_ms, (50, 99, 100))
        # A single pause would otherwise leave one bin for everything else.
        end_ms = max(2.0 * nominal_ms, 1.2 * p99)
        axes.hist(np.clip(values_ms, 0.0, end_ms), bins=80, range=(0.0, end_ms), color=style.BLUE)
        axes.axvline(nominal_ms, color=style.ORANGE, linestyle="--", linewidth=1)
        axes.set_yscale("log")
        axes.set_xlabel(f"ms {name}")
        axes.set_title(f"p50 {p50:.1f}, p99 {p99:.1f}, max {largest:.1f} ms", fontsize=10)
    work.set_ylabel("steps")
    return figure


def safety(history: SessionHistory) -> Figure:
    """When commands were touched by safety, and what else happened."""
    if not len(history.steps):
        raise Missing("No steps were logged.")
    names = list(history.safety_counts)
    counts = collections.Counter(event["kind"] for event in history.telemetry.events)
    kinds = [kind for kind, _ in counts.most_common(MOST_KINDS)]
    if not names and not kinds:
        raise Missing("No command was touched by safety and no event was recorded.")
    figure, ((flags,), (events,)) = style.new_figure(
        2, height_in=2.2 + 0.2 * len(kinds), sharex=True, height_ratios=(1.6, 0.6 + 0.2 * len(kinds))
    )
    rows = _rows(history) * SMOOTHED_ROWS
    begins = np.arange(0, len(history.steps), rows)
    minutes = begins * history.session.spec.control_period_s / 60.0
    width = rows * history.session.spec.control_period_s / 60.0
    bottom = np.zeros(len(begins))
    for name, colour in zip(names, style.COLOURS * 2, strict=False):
        touched = (history.steps.safety_flags & SAFETY_FLAGS[name]) != 0
        share = np.array([touched[begin : begin + rows].mean() for begin in begins])
        flags.bar(minutes, share, width, bottom, align="edge", color=colour, label=name.replace("_", " "))
        bottom += share
    flags.set_ylabel("share of commands")
    if names:
        flags.legend(frameon=False, ncols=3, fontsize=8)
    else:
        flags.text(0.5, 0.5, "no command was touched", transform=flags.transAxes, ha="center", color=style.GREEN)
    times = [
        [history.robot_minutes(each) for each in history.telemetry.events if each["kind"] == kind] for kind in kinds
    ]
    if times:
        events.eventplot(times, colors=style.BLACK, linelengths=0.7)
    events.set_yticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    events.set_xlabel("robot time (min)")
    events.set_xlim(0.0, max(history.minutes, 1e-3))
    return figure


def _rows(history: SessionHistory) -> int:
    """Steps of one point of a curve."""
    rows = round(ROW_S * history.session.spec.control_rate_hz)
    if len(history.steps) < rows:
        raise Missing(f"Only {len(history.steps)} steps were logged; a curve begins with {rows}.")
    return rows


def _curve(axes, minutes: np.ndarray, values: np.ndarray, colour: str, label: str | None = None) -> None:
    axes.plot(minutes, values, color=colour, alpha=0.3, linewidth=1)
    axes.plot(minutes, style.running_means(values, SMOOTHED_ROWS), color=colour, linewidth=1.8, label=label)
