"""Cameras of a twin, each with a rate of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from sim.description import Camera
from sim.names import find
from sim.rendering import Renderer


class Cameras:
    """Draws what the robot's cameras see, and what anybody else wants to see.

    Attributes:
      drawn_s: simulated time of the newest picture, by signal.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        cameras: Sequence[Camera],
        robot: str,
        dress: Callable[[mujoco.MjvScene, float], None] | None = None,
    ) -> None:
        """Looks the cameras up; opens no OpenGL yet.

        Args:
          robot: for errors.
          dress: adds to a scene what the model does not have, at a simulated time.

        Raises:
          UserError: the model has no such camera.
        """
        find(model, "camera", [camera.name for camera in cameras], robot)
        self._model, self._data, self._robot, self._dress = model, data, robot, dress
        self._cameras = tuple(cameras)
        self._renderers: dict[tuple[int, int], Renderer] = {}
        self.forget()

    def forget(self) -> None:
        """The world was reset: all pictures are old."""
        self._pictures: dict[str, np.ndarray] = {}
        self.drawn_s = {camera.signal: -math.inf for camera in self._cameras}

    def read(self) -> dict[str, np.ndarray]:
        """The newest picture of each camera, by signal; the same object until the camera's next one is due.

        Raises:
          UserError: there is no working OpenGL.
        """
        time_s = self._data.time
        for camera in self._cameras:
            if time_s - self.drawn_s[camera.signal] >= camera.period_s - 1e-6:
                self._pictures[camera.signal] = self.render(camera.height, camera.width, camera.name)
                self.drawn_s[camera.signal] = time_s
        return dict(self._pictures)

    def render(self, height: int, width: int, camera: str) -> np.ndarray:
        """Picture `[height, width, 3]`, uint8, from any camera of the model.

        Raises:
          UserError: there is no such camera, or no working OpenGL.
        """
        find(self._model, "camera", [camera], self._robot)
        size = (height, width)
        if size not in self._renderers:
            self._renderers[size] = Renderer(self._model, height, width, self._dress)
        return self._renderers[size](self._data, camera)

    def close(self) -> None:
        """Frees the renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
