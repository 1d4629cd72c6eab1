"""What runs of different learners have in common: curves, milestones, and how both spread over seeds."""

from __future__ import annotations

import csv
import dataclasses
import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.telemetry.spread import Spread

FINAL_MINUTES = 100 / 60
"""The end of a run, over which its closing mean reward is taken: 2,000 steps at 20 Hz."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One seed of one learner.

    Attributes:
      robot_minutes: `[rows]`, at the end of each row.
      reward: `[rows]`, mean per step.
      true_forward_m_s: `[rows]`, mean of the simulator's own speed.
      wall_s: of the whole run.
      milestones_minutes: robot minutes, by name; None where it was not reached within the run.
    """

    robot_minutes: np.ndarray
    reward: np.ndarray
    true_forward_m_s: np.ndarray
    wall_s: float
    milestones_minutes: Mapping[str, float | None]

    @property
    def final_reward(self) -> float:
        return float(self.reward[self.robot_minutes > self.robot_minutes[-1] - FINAL_MINUTES].mean())


def read_named(arguments: Sequence[str]) -> dict[str, list[Run]]:
    """The runs of each `NAME=PATH`, see `read_runs`.

    Raises:
      UserError: an argument is not of that form, or as `read_runs`.
    """
    named = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not (name and separator and path):
            raise UserError(f"'{argument}' is not NAME=PATH; write for example 'daydreamer=out/curves'.")
        named[name] = read_runs(path)
    return named


def read_runs(path: str) -> list[Run]:
    """Runs of one learner.

    Args:
      path: a directory of learning_curves.py, a file of paired_arms.py, or files of peers.py: one, a pattern of
        several, or their directory.

    Raises:
      UserError: there are none, or they are not of one learner.
    """
    directory = Path(path)
    if (directory / "summary.json").is_file():
        seeds = _read_json(directory / "summary.json").get("seeds")
        if not seeds:
            raise UserError(f"{directory / 'summary.json'} lists no seeds; write it anew with learning_curves.py.")
        return [_own_run(directory / f"seed{seed}.csv", entry) for seed, entry in seeds.items()]
    files = sorted(directory.glob("*.json") if directory.is_dir() else map(Path, glob.glob(path)))
    if len(files) == 1 and (arm := _read_json(files[0]).get("seeds")):
        return [_peer_run(content) for content in arm.values()]
    contents = [content for file in files if (content := _read_json(file)).get("curve")]
    if not contents:
        raise UserError(f"{path} holds no runs of learning_curves.py, paired_arms.py or peers.py.")
    if len(peers := {content.get("peer") for content in contents}) > 1:
        raise UserError(f"{path} holds runs of {', '.join(sorted(map(str, peers)))}; name the files of one of them.")
    return [_peer_run(content) for content in contents]


def markdown_table(named: Mapping[str, Sequence[Run]]) -> str:
    """A row for each learner: median [lowest, highest] over its runs."""
    header = ["learner", "runs", "robot minutes", *(f"{name}, min" for name in WALK.milestone_names)]
    header += ["reward at the end", "wall s per robot min"]
    rows = [header, ["---"] * len(header)]
    for name, runs in named.items():
        row = [name, str(len(runs)), Spread.of(run.robot_minutes[-1] for run in runs).describe()]
        row += [
            Spread.of(run.milestones_minutes[milestone] for run in runs).describe()
            for milestone in WALK.milestone_names
        ]
        row += [Spread.of(run.final_reward for run in runs).describe(2)]
        row += [Spread.of(run.wall_s / run.robot_minutes[-1] for run in runs).describe(0)]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _own_run(path: Path, entry: Mapping[str, Any]) -> Run:
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return _run(rows, entry["wall_s"], entry["milestones_minutes"])


def _peer_run(content: Mapping[str, Any]) -> Run:
    wall_s = content.get("wall_s") or content["curve"][-1]["wall_s"]
    return _run(content["curve"], wall_s, content["milestones_minutes"])


def _run(rows: Sequence[Mapping[str, Any]], wall_s: float, milestones_minutes: Mapping[str, float | None]) -> Run:
    columns = ("robot_minutes", "reward", "true_forward_m_s")
    return Run(*(np.array([float(row[name]) for row in rows]) for name in columns), wall_s, milestones_minutes)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    return content if isinstance(content, dict) else {}
