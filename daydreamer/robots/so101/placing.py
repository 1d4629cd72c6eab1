"""How the SO-101 knows that a cube has been placed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.robots.arm.carrying import Change
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.sight import side_of_cube

SETTLED_STEPS = 5
"""After the gripper has let go, in which the cube comes to lie."""
CLEAR = 0.06
"""Of the picture's width: a cube that is nearer to its middle may lie on the ridge."""


class PlacementRule(Protocol):
    """Says of each step whether the cube has been placed. Called once in each.

    Attributes:
      waited: how much of the time has passed after which it judges what was let go of, from 0 to 1; 0 if it waits for
        nothing. What is paid, and when, is foreseeable with it alone, without a memory of what was let go of.
    """

    @property
    def waited(self) -> float: ...

    def forget(self) -> None:
        """What was let go of before counts for nothing."""

    def is_placed(self, change: Change, holds: bool, side: Side, picture: np.ndarray) -> bool:
        """Whether it has been, now.

        Args:
          change: of what the gripper holds, and whether it holds something: `holds`.
          side: the nearer tray.
          picture: of the camera above, see `sight.find_cube`.
        """


class SeenAfterLettingGo:
    """What was let go of over the other tray is seen there, a moment later, or as soon as it is seen."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """See `PlacementRule`."""
        self._placing: tuple[Side, int] | None = None

    @property
    def waited(self) -> float:
        """See `PlacementRule`."""
        return 0.0 if self._placing is None else min(1.0, self._placing[1] / SETTLED_STEPS)

    def is_placed(self, change: Change, holds: bool, side: Side, picture: np.ndarray) -> bool:
        """See `PlacementRule`."""
        if change.carried_over:
            self._placing = side, 0
        elif holds:
            self._placing = None
        if self._placing is None:
            return False
        other, steps = self._placing
        self._placing = other, steps + 1
        seen = side_of_cube(picture, CLEAR) if steps >= SETTLED_STEPS else None
        if seen is not None:
            self._placing = None
        return seen == other


def make_rule(config: SessionConfig) -> PlacementRule:
    """As `config.success` says.

    Raises:
      UserError: the classifier that it names cannot be used, or may not pay.
    """
    if not config.success.classifier:
        return SeenAfterLettingGo()
    from daydreamer.robots.so101.classified import SeenByClassifier  # with JAX, which others do without

    return SeenByClassifier.of(config)
