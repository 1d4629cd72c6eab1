"""What other programs have recorded of a robot, as a task takes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, TaskState

Units = Literal["degrees", "normalised"]
Success = Literal["rule", "last"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordingOptions:
    """What a recording does not say of itself.

    Attributes:
      units: of joint angles: degrees, or from -100 to 100 within the range that the robot was calibrated to.
      calibration: the file with that range; None for the published one.
      success: by what an episode has succeeded: 'rule', the task's own, or 'last': its last step is the success.
    """

    units: Units = "degrees"
    calibration: Path | None = None
    success: Success = "rule"


class RecordedTask(Protocol):
    """A task as others have recorded it: its robot is told where its joints are to be, and senses joints and pictures.

    Attributes:
      task: what observes.
      robots: names that other programs have for the robot.
      names: of the numbers of a frame, of those that were measured and of those that the robot was told.
    """

    task: Task
    robots: Sequence[str]
    names: Sequence[str]

    def setpoints(self, values: np.ndarray) -> np.ndarray:
        """Numbers `[frames, names]` in units of setpoints `[frames, setpoint]`.

        Raises:
          UserError: they cannot be in the units that were stated.
        """

    def motions(self, setpoints: np.ndarray) -> np.ndarray:
        """Actions `[n - 1, action]` that lead from each of the setpoints `[n, setpoint]` to the next one, however
        large they are; 1 is as much as the task does in a control step.
        """

    def observe(self, measurement: Measurement, sent: np.ndarray, is_last: bool) -> TaskState:
        """As `Task.observe`, of a step that may be the last one of its episode."""

    def remarks(self) -> list[str]:
        """What of all that was observed the task cannot do, one sentence each."""
