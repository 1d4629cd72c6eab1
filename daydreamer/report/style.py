"""How the pictures of a report look."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from daydreamer.telemetry.quantities import known_mean

# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#222222",
)
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK)
WIDTH_IN = 9.0
DPI = 110


def new_figure(rows: int = 1, columns: int = 1, height_in: float = 3.2, **options) -> tuple[Figure, np.ndarray]:
    """A figure without pyplot, which keeps global state; axes `[rows, columns]`."""
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    _set_no_formulas(figure)
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def to_svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    _set_no_formulas(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _set_no_formulas(figure: Figure) -> None:
    """Texts are shown as they are: names of sessions and kinds of events may be anybody's.

    But for the powers of ten along a logarithmic axis, which are matplotlib's own.
    """
    powers = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for label in (*axis.get_majorticklabels(), *axis.get_minorticklabels())
        if axis.get_scale() == "log"
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in powers:
            text.set_parse_math(False)


ENCODERS: Mapping[str, Callable[[Figure], bytes]] = {".png": to_png, ".svg": to_svg}
"""By the suffix of a file."""


def mark_milestones(axes: Axes, milestones_s: Mapping[str, float], labels: bool) -> None:
    """A line at each milestone, over an axis in robot minutes."""
    for name, seconds in milestones_s.items():
        axes.axvline(seconds / 60.0, color=GREEN, linewidth=1.2, linestyle="--")
        if labels:
            axes.annotate(
                f" {name} {seconds / 60:.1f} min",
                (seconds / 60.0, 1.0),
                xycoords=("data", "axes fraction"),
                color=GREEN,
                va="top",
                rotation=90,
                ha="right",
            )


def level(axes: Axes, value: float, name: str) -> None:
    """A thin labelled line at a value that means something."""
    axes.axhline(value, color="#999999", linewidth=0.8, linestyle=":")
    axes.annotate(
        name, (1.0, value), xycoords=("axes fraction", "data"), color="#777777", ha="right", va="bottom", fontsize=8
    )


def block_means(values: np.ndarray, rows: int) -> np.ndarray:
    """Means of consecutive blocks of `rows` along the first axis; a rest is left out."""
    blocks = len(values) // rows
    return known_mean(values[: blocks * rows].reshape(blocks, rows, *values.shape[1:]), axis=1)


def running_means(values: np.ndarray, count: int) -> np.ndarray:
    """Mean of the last `count` values at each one; of fewer at the beginning, and without those that are no numbers."""
    known = np.isfinite(values)
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - count)
    sums, counts = (
        np.cumsum(np.concatenate(((0.0,), each))) for each in (np.where(known, values, 0.0), known.astype(float))
    )
    several = counts[ends] - counts[begins]
    return np.where(several > 0, (sums[ends] - sums[begins]) / np.maximum(several, 1.0), np.nan)
