"""What a camera makes of the picture that is drawn for it: noise, and an exposure that is never quite at rest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.description import Camera

NOISE = 2.5
STEP, RANGE = 0.02, 0.2
"""White noise of each pixel, of 255; by how much the logarithm of the exposure wanders from one picture to the next,
and at most. Ours."""


class Exposure:
    """Of all cameras of a twin."""

    def __init__(self) -> None:
        self._exposure = 0.0
        self._exposed: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def expose(self, cameras: Sequence[Camera], signals: dict[str, np.ndarray], random: np.random.Generator) -> None:
        """Puts what the cameras send in the place of what was drawn, into `signals`; the same for the same picture."""
        for camera in cameras:
            if camera.signal in signals:
                signals[camera.signal] = self._sent(camera.signal, signals[camera.signal], random)

    def _sent(self, camera: str, drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
        before = self._exposed.get(camera)
        if before is not None and before[0] is drawn:
            return before[1]
        step = random.normal(0.0, STEP)
        self._exposure = float(np.clip(self._exposure + step, -RANGE, RANGE))
        noise = NOISE * random.standard_normal(drawn.shape, dtype=np.float32)
        picture = np.rint(drawn * math.exp(self._exposure) + noise).clip(0, 255).astype(np.uint8)
        self._exposed[camera] = drawn, picture
        return picture
