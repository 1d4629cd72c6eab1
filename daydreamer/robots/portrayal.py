"""How each robot is drawn by dashboard and report; one without a portrayal of its own by what it observes."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.portrayal import Observation, Portrayal
from daydreamer.robots.registry import robots
from daydreamer.spec import RobotSpec, Space

SHOWN_VECTORS = 3
"""Plots of a robot without a portrayal of its own."""


def portray(spec: RobotSpec) -> Portrayal:
    """The robot's own portrayal, or the elements of the first vectors that it observes."""
    robot = robots().get(spec.robot)
    entry = robot.tasks.get(spec.task) if robot is not None else None
    # A session may be a stranger's, or of another version.
    if entry is not None and entry.portrayal is not None and entry.portrayal.needs <= spec.observation.keys():
        return entry.portrayal
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
