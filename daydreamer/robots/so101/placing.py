"""How the SO-101 knows that a cube has been placed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.robots.so101.carrying import Change
from daydreamer.robots.so101.cells import Side
from daydreamer.robots.so101.embodiment import ABOVE, make_embodiment
from daydreamer.robots.so101.sight import side_of_cube

SETTLED_STEPS = 5
"""After the gripper has let go, in which the cube comes to lie."""
PICTURES_IN_A_ROW = 3
"""Of which a classifier must say that they show it placed: each may deceive it."""
CLEAR = 0.06
"""Of the picture's width: a cube that is nearer to its middle may lie on the ridge."""


class PlacementRule(Protocol):
    """Says of each step whether the cube has been placed. Called once in each."""

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


class SeenByClassifier:
    """A classifier says so of some pictures in a row, beside that with which the episode began."""

    def __init__(self, is_success: Callable[[np.ndarray, np.ndarray], bool]) -> None:
        """`is_success` is asked of the episode's first picture and of one of now."""
        self._is_success = is_success
        self.forget()

    def forget(self) -> None:
        """See `PlacementRule`; the next picture is the first of an episode."""
        self._first: np.ndarray | None = None
        self._in_a_row = 0

    def is_placed(self, change: Change, holds: bool, side: Side, picture: np.ndarray) -> bool:
        """See `PlacementRule`."""
        if self._first is None:
            self._first = picture.copy()
        self._in_a_row = self._in_a_row + 1 if self._is_success(self._first, picture) else 0
        placed = self._in_a_row >= PICTURES_IN_A_ROW
        if placed:
            self.forget()
        return placed


def make_rule(config: SessionConfig) -> PlacementRule:
    """As `config.success` says.

    Raises:
      UserError: the classifier that it names cannot be used, or may not pay.
    """
    if not config.success.classifier:
        return SeenAfterLettingGo()
    from daydreamer.models.success import classifier_of  # with JAX, which others do without

    return SeenByClassifier(classifier_of(config, ABOVE, make_embodiment().signals[ABOVE].shape).is_success)
