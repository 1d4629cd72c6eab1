"""How each robot is shown by dashboard and report; one without an entry is shown by what it observes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np

from daydreamer.robots import QUADRUPEDS
from daydreamer.robots.quadruped.signals import signals as quadruped_signals
from daydreamer.robots.quadruped.skeleton import skeleton_m
from daydreamer.spec import RobotSpec, Space

Observation = Mapping[str, np.ndarray]

SHOWN_VECTORS = 3
"""Plots of a robot without a portrayal of its own."""

SHOWN_LINES = 3
"""Of a plot with more lines than this, those are shown that have moved most of late."""

_OF_QUADRUPEDS = {"gravity_up", "joint_position", "velocity"}
"""Observations that a quadruped's portrayal is drawn from."""


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
    robot = QUADRUPEDS.get(spec.robot)
    if robot is not None and spec.observation.keys() >= _OF_QUADRUPEDS:
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
    spaces = {key: space for key, space in spec.observation.items() if not space.is_image}
    spaces = dict(list(spaces.items())[:SHOWN_VECTORS])
    names = {key: _element_names(spec, space) for key, space in spaces.items()}

    def signals(observation: Observation) -> dict[str, dict[str, np.ndarray]]:
        flat = {key: observation[key].reshape(len(observation[key]), -1) for key in spaces}
        return {key: dict(zip(names[key], values.T, strict=True)) for key, values in flat.items()}

    return Portrayal(
        {key: (_title(key), _limits(space)) for key, space in spaces.items()},
        signals,
        single_lines=frozenset(key for key, space in spaces.items() if space.size == 1),
    )


def _element_names(spec: RobotSpec, space: Space) -> list[str]:
    if space.size == len(spec.joint_names):
        return [name.removesuffix("_joint").replace("_", " ") for name in spec.joint_names]
    return [str(index) for index in range(space.size)]


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _limits(space: Space) -> tuple[float, float] | None:
    if space.is_discrete:
        return (0.0, float(max(1, space.classes - 1)))
    return None if space.low is None or space.high is None or not space.low < space.high else (space.low, space.high)
