"""What an operator moves by hand for a robot to follow: a second one of its kind, without torque."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeaderOptions:
    """Where a leader is.

    Attributes:
      port: of its adapter; None where the operator has named none.
      calibration: file of the one that it is to be; None to take any.
    """

    port: str | None = None
    calibration: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lead:
    """Where a leader is, seen from the robot that is to follow it.

    Attributes:
      motion: `[action]` from where the robot was told to be to where the leader is, however far; 1 is as much as the
        task does in a control step. None while that is not known.
      way: where the leader has to go to be near enough to be followed, or why that is not known, in words; empty where
        it is near.
      leapt: what of it cannot have come where it is since it was looked at last, in words; empty for nothing.
    """

    motion: np.ndarray | None
    way: str = ""
    leapt: str = ""


class Leader(Protocol):
    """A robot that an operator moves by hand."""

    def look(self) -> Lead:
        """Where it is now, after what the task has just observed.

        Raises:
          OSError: it is gone.
        """
