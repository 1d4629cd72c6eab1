"""Whether the pictures of a robot's camera can be believed; a `PlausibilityCheck`."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Finding
from daydreamer.contract.signals import Measurement

FROZEN_S, FROZEN_REPEATS = 1.5, 3
"""A camera that sends the very same picture for so long, and so many times over, has stopped: sensors have noise."""

FROZEN_CURE = "Start the camera's node again; it goes on by itself once pictures change."

DARK_S, DARK_LEVEL = 0.5, 6.0
"""A picture whose mean is less, of 255, shows nothing."""

DARK_CURE = (
    "Switch on the light, or take off what covers the lens; it goes on by itself once there is something to see."
)


class CameraCheck:
    """Finds a camera that is dark, or sends the same picture again and again. One that is silent grows stale."""

    def __init__(self, camera: str) -> None:
        """`camera` is its signal."""
        self._camera = camera
        self.forget()

    def forget(self) -> None:
        """See `PlausibilityCheck.forget`."""
        self._picture: np.ndarray | None = None
        self._first_s = self._same_s = self._dark_s = 0.0
        self._repeats = 0
        self._dark = False

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        picture = measurement.get(self._camera)
        if picture is None:
            return Finding(False, 0.0, FROZEN_S, self._camera)
        if picture is not self._picture:  # another message, whatever is in it
            self._take(picture, measurement.received_s.get(self._camera, measurement.time_s))
        self._dark_s = self._dark_s + elapsed_s if self._dark else 0.0
        if self._dark_s > DARK_S:
            subject = f"the pictures of '{self._camera}' are black"
            return Finding(True, float(picture.mean()), DARK_LEVEL, subject, DARK_CURE)
        frozen = self._same_s > FROZEN_S and self._repeats >= FROZEN_REPEATS
        subject = f"'{self._camera}' sends the same picture again and again"
        return Finding(frozen, self._same_s, FROZEN_S, subject, FROZEN_CURE)

    def _take(self, picture: np.ndarray, received_s: float) -> None:
        if self._picture is not None and np.array_equal(picture, self._picture):
            self._repeats += 1
            self._same_s = received_s - self._first_s
        else:
            self._first_s, self._same_s, self._repeats = received_s, 0.0, 0
        self._picture, self._dark = picture, bool(picture.mean() < DARK_LEVEL)
