"""Whether what the camera shows of the cube can go on."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Finding
from daydreamer.contract.signals import Measurement
from daydreamer.robots.arm.description import Table
from daydreamer.robots.arm.sight import ABOVE, find_cube, is_out_of_reach

MISSING_S = 60.0
"""Longer than an episode, in whatever an arm does to the cube."""
MISSING_CURE = "Put the cube back into one of the trays; it goes on by itself once the camera sees it there."


class CubeCheck:
    """A `PlausibilityCheck`: finds that the cube is nowhere in the picture, or where the arm does not reach it."""

    def __init__(self, table: Table, camera: str = ABOVE) -> None:
        """`camera` is its signal."""
        self._table = table
        self._camera = camera
        self.forget()

    def forget(self) -> None:
        """See `PlausibilityCheck.forget`."""
        self._picture: np.ndarray | None = None
        self._missing_s = 0.0
        self._missing = ""

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        picture = measurement.get(self._camera)
        if picture is not None and picture is not self._picture:
            self._picture, self._missing = picture, self._what_is_missing(picture)
        self._missing_s = self._missing_s + elapsed_s if self._missing else 0.0
        subject = self._missing or self._camera
        return Finding(self._missing_s > MISSING_S, self._missing_s, MISSING_S, subject, MISSING_CURE)

    def _what_is_missing(self, picture: np.ndarray) -> str:
        found = find_cube(picture)
        if found is None:
            return f"'{self._camera}' sees no red cube in the trays"
        if is_out_of_reach(self._table, found):
            return f"'{self._camera}' sees the cube beyond the trays, out of reach"
        return ""
