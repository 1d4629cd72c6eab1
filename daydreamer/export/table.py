"""Logged steps as a flat table: one row for each, one column for each number; for CSV and for data frames."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec
from daydreamer.storage.atomic import replaced_anywhere
from daydreamer.telemetry.columns import StepColumns, read_blocks, to_columns, without_images

_BEFORE = ("robot_s", "actor_life", "sequence", "monotonic_ns", "wall_ns")
_AFTER = ("is_first", "is_last", "is_terminal", "policy_version", "intervention", "safety_flags", "latency_s")


def flat_columns(steps: StepColumns, spec: RobotSpec) -> dict[str, np.ndarray]:
    """Arrays `[steps]` by column, named as the fields of the log's messages, with a number for each element.

    What was sent is named by the joints, or whatever the robot is told. Images are left out.
    """
    sent = spec.setpoint_names or spec.joint_names or None
    columns = {name: getattr(steps, name) for name in _BEFORE}
    for key, space in spec.observation.items():
        if not space.is_image:
            columns |= _elements(f"observation_{key}", steps.observation[key])
    columns |= _elements("action_requested", steps.action_requested)
    columns |= _elements("action_sent", steps.action_sent, sent)
    columns["reward"] = steps.reward
    columns |= {f"reward_{name}": values for name, values in steps.reward_terms.items()}
    columns |= {f"info_{name}": values for name, values in steps.info.items()}
    return columns | {name: getattr(steps, name) for name in _AFTER}


def _elements(name: str, values: np.ndarray, names: tuple[str, ...] | None = None) -> dict[str, np.ndarray]:
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    return {f"{name}_{names[index] if names else index}": flat[:, index] for index in range(flat.shape[1])}


def write_csv(session: Session, path: Path) -> tuple[int, list[str]]:
    """Writes all steps of a session, block by block; how many they were, and what could not be read.

    Numbers are as short as they can be without being others; flags are 0 or 1; what is no number is `nan`.

    Raises:
      UserError: a log cannot be read.
      OSError: the file cannot be written.
    """
    count, problems = 0, list[str]()
    with replaced_anywhere(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(flat_columns(to_columns([], without_images(session.spec)), session.spec))
        for block in read_blocks(session, images=False, problems=problems):
            writer.writerows(_rows(flat_columns(block, session.spec)))
            count += len(block)
    return count, problems


def _rows(columns: dict[str, np.ndarray]) -> Iterator[tuple[str, ...]]:
    texts = ((values.astype(np.uint8) if values.dtype == bool else values).astype(str) for values in columns.values())
    return zip(*texts, strict=True)
