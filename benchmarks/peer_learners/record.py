"""What a run leaves behind: its curve and when the milestones were reached, in one JSON file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.experience.step import Step
from daydreamer.robots.quadruped.presentation import FORWARD_VELOCITY, WALK
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.milestones import MilestoneRecorder, Milestones
from sim.twin import TwinTruth

ROW_STEPS = 200
"""Ten seconds at 20 Hz, as in the learning curves of `daydreamer train`."""


class RunRecord:
    """Collects a run; the file is complete after every row, so that a run that is stopped early is not lost."""

    def __init__(self, path: Path, control_period_s: float, description: dict[str, Any]):
        """`description` comes first in the file."""
        self._path = path
        self._period_s = control_period_s
        self._description = description
        self._milestones = MilestoneRecorder(Milestones(WALK.milestones, control_period_s), self._announce)
        self._begin_s = time.monotonic()
        self._window: list[tuple[float, float, float]] = []
        self._curve: list[dict[str, float]] = []
        self._steps = 0
        self._updates = 0

    def add(self, step: Step, truth: TwinTruth, updates: int) -> None:
        """Takes the next step in.

        Args:
          truth: the simulator's state when the step was taken.
          updates: gradient steps of the learner so far.
        """
        self._steps += 1
        self._updates = updates
        forward_m_s = float(truth.velocity_m_s[0])
        self._milestones.add(step, {FORWARD_VELOCITY: forward_m_s})
        self._window.append((step.info["published_reward"], forward_m_s, truth.up_z))
        if len(self._window) == ROW_STEPS:
            self._add_row()
            self.save()

    def save(self) -> None:
        reached_s = self._milestones.reached_s
        content = self._description | {
            "steps": self._steps,
            "robot_minutes": self._minutes(),
            "updates": self._updates,
            "wall_s": round(time.monotonic() - self._begin_s, 1),
            "milestones_minutes": {
                name: round(reached_s[name] / 60, 4) if name in reached_s else None for name in WALK.milestone_names
            },
            "curve": self._curve,
        }
        write_anywhere(self._path, (json.dumps(content, indent=2) + "\n").encode())

    def _add_row(self) -> None:
        reward, forward_m_s, up_z = np.mean(self._window, 0).tolist()
        self._window.clear()
        wall_s = time.monotonic() - self._begin_s
        row = {
            "robot_minutes": self._minutes(),
            "reward": round(reward, 3),
            "true_forward_m_s": round(forward_m_s, 3),
            "true_up_z": round(up_z, 3),
            "wall_s": round(wall_s, 1),
            "updates": self._updates,
        }
        self._curve.append(row)
        print(
            f"{row['robot_minutes']:6.2f} robot minutes  reward {reward:6.2f}  true speed {forward_m_s:+.2f} m/s  "
            f"upright {up_z:+.2f}  {self._updates} updates  {wall_s:.0f} s",
            flush=True,
        )

    def _minutes(self) -> float:
        return round(self._steps * self._period_s / 60, 4)

    def _announce(self, kind: str, name: str, robot_seconds: float) -> None:
        print(f"{robot_seconds / 60:6.2f} robot minutes  {name} for the first time", flush=True)
