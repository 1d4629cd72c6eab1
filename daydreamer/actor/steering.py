"""The sticks of an operator who has nothing but keys. Over SSH no terminal says when a key is let go."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daydreamer.contract.task import OPERATOR_AXES

STEERING: Mapping[str, tuple[int, float]] = {
    "a": (0, 1.0),
    "d": (0, -1.0),
    "w": (1, 1.0),
    "s": (1, -1.0),
    "left": (2, 1.0),
    "right": (2, -1.0),
    "up": (3, 1.0),
    "down": (3, -1.0),
    "q": (4, 1.0),
    "e": (4, -1.0),
}
"""Axis of `Task.operator_action`, and which way, by the name of a key."""

PAIRS = ("a d", "w s", "← →", "↑ ↓", "q e")
"""The keys of each axis, for people; there are none for the last one."""


class KeyStick:
    """Sticks that a key moves all the way, for one step of the robot: a key that is held repeats itself."""

    def __init__(self, single: bool = False):
        """`single`: of several keys in a step the last one counts, as for a robot that does one thing at a time."""
        self._single = single
        self._axes = np.zeros(OPERATOR_AXES)

    def press(self, key: str) -> bool:
        """Whether it is a key that steers."""
        if key not in STEERING:
            return False
        if self._single:
            self._axes[:] = 0.0
        axis, way = STEERING[key]
        self._axes[axis] = way
        return True

    def take(self) -> np.ndarray:
        """What was pressed since the last call, `[6]`; see `Task.operator_action`."""
        axes, self._axes = self._axes, np.zeros(OPERATOR_AXES)
        return axes
