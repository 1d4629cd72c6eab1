"""A placement of the SO-101 as a classifier of successes sees it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.models.success import InARow, classifier_of
from daydreamer.robots.arm.carrying import Change
from daydreamer.robots.arm.cells import Side
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.so101.embodiment import make_embodiment


class SeenByClassifier:
    """A `PlacementRule`: a classifier says so of some pictures in a row, beside that with which the episode began."""

    waited = 0.0  # for nothing: it looks at each picture

    def __init__(self, is_likely: Callable[[np.ndarray, np.ndarray], bool]) -> None:
        """`is_likely` is asked of the episode's first picture and of that of now."""
        self._is_likely = is_likely
        self.forget()

    @classmethod
    def of(cls, config: SessionConfig) -> SeenByClassifier:
        """By the classifier that a session names.

        Raises:
          UserError: it cannot be used, or may not pay.
        """
        height, width, channels = make_embodiment().signals[ABOVE].shape
        return cls(classifier_of(config, ABOVE, (height, width, channels)).is_likely)

    def forget(self) -> None:
        """See `PlacementRule`; the next picture is the first of an episode."""
        self._first: np.ndarray | None = None
        self._in_a_row = InARow()

    def is_placed(self, change: Change, holds: bool, side: Side, picture: np.ndarray) -> bool:
        """See `PlacementRule`."""
        if self._first is None:
            self._first = picture.copy()
        placed = self._in_a_row.add(self._is_likely(self._first, picture))
        if placed:
            self.forget()
        return placed
