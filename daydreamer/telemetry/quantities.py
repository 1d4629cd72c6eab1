"""What the quantities of a `Presentation` are: of one step, of many, and as recent means."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from daydreamer.experience.step import Step
from daydreamer.presentation import Figure, Occurrence, Presentation
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.columns import StepColumns


def is_known(quantity: str, spec: RobotSpec) -> bool:
    """Whether steps of this robot have it."""
    group, _, name = quantity.partition("/")
    return not name or name in (spec.reward_terms if group == "reward_terms" else spec.info)


def known_figures(presentation: Presentation, spec: RobotSpec) -> list[Figure]:
    """The headline figures that steps of this robot have."""
    return [figure for figure in presentation.figures if is_known(figure.quantity, spec)]


def of_step(step: Step, quantity: str) -> float:
    """NaN if the step does not have it."""
    if quantity == "reward":
        return step.reward
    group, name = quantity.split("/")
    return (step.reward_terms if group == "reward_terms" else step.info).get(name, math.nan)


def of_columns(steps: StepColumns, quantity: str) -> np.ndarray | None:
    """`[steps]`; None if they do not have it."""
    if quantity == "reward":
        return steps.reward
    group, name = quantity.split("/")
    return (steps.reward_terms if group == "reward_terms" else steps.info).get(name)


def occurs(occurrence: Occurrence, values: np.ndarray) -> np.ndarray:
    """Whether it happens at each step.

    Args:
      values: of its quantity, `[steps, ...]`; each series along the first axis is judged by itself.
    """
    # Turned round if need be, so that it goes downwards.
    sign = 1.0 if occurrence.start > occurrence.to else -1.0
    start, to = sign * occurrence.start, sign * occurrence.to
    happens, armed = np.zeros(values.shape, bool), np.zeros(values.shape[1:], bool)
    for step, value in enumerate(sign * values):
        happens[step] = armed & (value < to)
        # What is not known changes nothing.
        armed = (value > start) | (armed & ~(value < to))
    return happens


def recent_figures(presentation: Presentation, recent: Mapping[str, float]) -> dict[str, float]:
    """Recent means of the headline figures, by quantity; those that are not known are left out.

    Args:
      recent: see `ActorStatistics.recent`, whose keys are tags: 'reward', 'reward/<term>' and 'info/<name>'.
    """
    means = {
        figure.quantity: recent.get(figure.quantity.replace("reward_terms/", "reward/"), math.nan)
        for figure in presentation.figures
    }
    return {quantity: mean for quantity, mean in means.items() if math.isfinite(mean)}


def occurrence_times_s(occurrence: Occurrence, robot_s: np.ndarray, values: np.ndarray) -> list[float]:
    """When something happened, of the robot times `[steps]` at which its quantity was `values` `[steps]`."""
    return robot_s[occurs(occurrence, values)].tolist()


def known_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean without what is no number; NaN where nothing is one."""
    known = np.isfinite(values)
    several = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.where(several > 0, total / np.maximum(several, 1), np.nan)
