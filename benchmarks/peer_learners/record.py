"""What a run leaves behind: its curve and when the milestones were reached, in one JSON file."""

from __future__ import annotations

import collections
import json
import time
from pathlib import Path
from typing import Any

import episode_figures
import numpy as np

from daydreamer.experience.step import Step
from daydreamer.presentation import Presentation
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones
from sim.twin import TwinTruth

ROW_STEPS = 200
"""Ten seconds at 20 Hz, as in the learning curves of `daydreamer train`."""

COLUMNS = {"info/forward_velocity_m_s": "true_forward_m_s", "info/up_z": "true_up_z"}
"""What the simulator knows is told under these names, by quantity; all else under its own."""


class RunRecord:
    """Collects a run; the file is complete after every row, so that a run that is stopped early is not lost."""

    def __init__(self, path: Path, control_period_s: float, presentation: Presentation, description: dict[str, Any]):
        """`presentation` has the task's milestones; `description` comes first in the file."""
        self._path = path
        self._period_s = control_period_s
        self._names = [milestone.name for milestone in presentation.milestones]
        self._description = description
        self._milestones = MilestoneRecorder(Milestones(presentation.milestones, control_period_s), self._announce)
        self._begin_s, self._begin_cpu_s = time.monotonic(), time.process_time()
        self._window: list[dict[str, float]] = []
        self._endings: collections.Counter[str] = collections.Counter()
        self._curve: list[dict[str, float]] = []
        self._episodes: list[list[Any]] = []
        self.steps = 0
        self._updates = 0

    def add(self, step: Step, truth: TwinTruth, ending: str | None, updates: int) -> None:
        """Takes the next step in.

        Args:
          truth: the simulator's state when the step was taken.
          ending: how the step ends the episode for good, if it does.
          updates: gradient steps of the learner so far.
        """
        self.steps += 1
        self._updates = updates
        self._milestones.add(step, truth.quantities)
        reward = step.info.get("published_reward", step.reward)
        true = {COLUMNS.get(name, f"true_{name.removeprefix('info/')}"): x for name, x in truth.quantities.items()}
        self._window.append({"reward": reward} | true)
        if step.is_last:
            self._endings[ending or "time"] += 1
            self._episodes.append(episode_figures.episode(self.steps, self._period_s / 60, step))
        if len(self._window) == ROW_STEPS:
            self._add_row()
            self.save()

    def save(self) -> None:
        reached_s = self._milestones.reached_s
        content = self._description | {
            "steps": self.steps,
            "robot_minutes": self._minutes(),
            "updates": self._updates,
            "wall_s": round(time.monotonic() - self._begin_s, 1),
            "cpu_s": round(time.process_time() - self._begin_cpu_s, 1),
            "milestones_minutes": {
                name: round(reached_s[name] / 60, 4) if name in reached_s else None for name in self._names
            },
            "episodes": self._episodes,
            "enough_after_minutes": episode_figures.enough_after(self._episodes),
            "curve": self._curve,
        }
        write_anywhere(self._path, (json.dumps(content, indent=2) + "\n").encode())

    def _add_row(self) -> None:
        means = {name: round(float(np.mean([row[name] for row in self._window])), 3) for name in self._window[0]}
        self._window.clear()
        wall_s, cpu_s = time.monotonic() - self._begin_s, time.process_time() - self._begin_cpu_s
        row = {"robot_minutes": self._minutes(), **means, "wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1)}
        row |= {"updates": self._updates, **self._endings}
        self._endings.clear()
        self._curve.append(row)
        said = "  ".join(f"{name} {value:+.2f}" for name, value in means.items())
        print(
            f"{row['robot_minutes']:6.2f} robot minutes  {said}  {self._updates} updates  {wall_s:.0f} s, "
            f"{cpu_s:.0f} s of CPU",
            flush=True,
        )

    def _minutes(self) -> float:
        return round(self.steps * self._period_s / 60, 4)

    def _announce(self, kind: str, name: str, robot_seconds: float) -> None:
        print(f"{robot_seconds / 60:6.2f} robot minutes  {name} for the first time", flush=True)
