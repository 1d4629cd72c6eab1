"""How each robot is shown; one without an entry is shown by its plots alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from daydreamer.robots.a1.signals import signals as a1_signals
from daydreamer.robots.a1.skeleton import skeleton_m as a1_skeleton_m
from daydreamer.spec import RobotSpec

Observation = Mapping[str, np.ndarray]

SHOWN_ELEMENTS = 3


@dataclasses.dataclass(frozen=True)
class Portrayal:
    """Attributes:
    plots: title of each plot of `signals`, with its unit.
    signals: observations `[steps, ...]` by key to quantities `[steps]` by plot and name.
    skeleton_m: one observation to lines `[points, 3]` by name, on level ground; None if the robot cannot be drawn.
    """

    plots: Mapping[str, str]
    signals: Callable[[Observation], dict[str, dict[str, np.ndarray]]]
    skeleton_m: Callable[[Observation], dict[str, np.ndarray]] | None = None


def portray(spec: RobotSpec) -> Portrayal:
    """The robot's own portrayal, or the first elements of each vector that it observes."""
    if spec.robot == "a1":
        plots = {"joints": "Front left joints (degrees)", "attitude": "Attitude (degrees)", "speed": "Speed (m/s)"}
        return Portrayal(plots, a1_signals, a1_skeleton_m)
    keys = [key for key, space in spec.observation.items() if not space.is_image][:3]

    def signals(observation: Observation) -> dict[str, dict[str, np.ndarray]]:
        flat = {key: observation[key].reshape(len(observation[key]), -1) for key in keys}
        return {
            key: {str(index): column for index, column in enumerate(values.T[:SHOWN_ELEMENTS])}
            for key, values in flat.items()
        }

    return Portrayal({key: key for key in keys}, signals)
