"""How each robot is shown by dashboard and report; one without an entry is shown by its plots alone."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from daydreamer.robots import QUADRUPEDS
from daydreamer.robots.quadruped.signals import signals as quadruped_signals
from daydreamer.robots.quadruped.skeleton import skeleton_m
from daydreamer.spec import RobotSpec

Observation = Mapping[str, np.ndarray]

SHOWN_LINES = 3
"""Of a plot with more lines than this, those are shown that have moved most of late."""


@dataclasses.dataclass(frozen=True)
class Portrayal:
    """Attributes:
    plots: of `signals`, each with its title and, if known, its range; a fixed one is easier to read at a glance.
    signals: observations `[steps, ...]` by key to quantities `[steps]` by plot and name; of more than `SHOWN_LINES`
      in a plot, those that move most are shown.
    single_lines: plots with one line, whose title says what it is.
    skeleton_m: one observation to lines `[points, 3]` by name, on level ground; None if the robot cannot be drawn.
    """

    plots: Mapping[str, tuple[str, tuple[float, float] | None]]
    signals: Callable[[Observation], dict[str, dict[str, np.ndarray]]]
    skeleton_m: Callable[[Observation], dict[str, np.ndarray]] | None = None
    single_lines: frozenset[str] = frozenset()


def portray(spec: RobotSpec) -> Portrayal:
    """The robot's own portrayal, or the elements of the first vectors that it observes."""
    if (robot := QUADRUPEDS.get(spec.robot)) is not None:
        plots = {
            "joints": ("Joints that move most (degrees)", (-165.0, 120.0)),
            "attitude": ("Attitude (degrees)", (-90.0, 180.0)),
            "speed": ("Forward speed (m/s)", (-0.6, 1.0)),
        }
        return Portrayal(
            plots,
            functools.partial(quadruped_signals, robot),
            functools.partial(skeleton_m, robot),
            single_lines=frozenset({"speed"}),
        )
    keys = [key for key, space in spec.observation.items() if not space.is_image][:3]

    def signals(observation: Observation) -> dict[str, dict[str, np.ndarray]]:
        flat = {key: observation[key].reshape(len(observation[key]), -1) for key in keys}
        return {key: {str(index): column for index, column in enumerate(values.T)} for key, values in flat.items()}

    return Portrayal({key: (key, None) for key in keys}, signals)
