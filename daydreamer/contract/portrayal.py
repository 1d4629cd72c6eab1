"""How a robot is drawn by dashboard and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

Observation = Mapping[str, np.ndarray]

SHOWN_LINES = 3
"""A plot with more lines than this shows those that have moved most of late."""


@dataclasses.dataclass(frozen=True)
class Portrayal:
    """What is drawn of the observations of a robot.

    Attributes:
      plots: of `signals`, each with its title and, if known, its range; a fixed one is easier to read at a glance.
      signals: observations `[steps, ...]` by key to quantities `[steps]` by plot and name; of more than `SHOWN_LINES`
        in a plot, those that move most are shown.
      skeleton_m: one observation to lines `[points, 3]` by name, on level ground; None if the robot cannot be drawn.
      single_lines: plots with one line, whose title says what it is.
      needs: observations that it takes.
    """

    plots: Mapping[str, tuple[str, tuple[float, float] | None]]
    signals: Callable[[Observation], dict[str, dict[str, np.ndarray]]]
    skeleton_m: Callable[[Observation], dict[str, np.ndarray]] | None = None
    single_lines: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
