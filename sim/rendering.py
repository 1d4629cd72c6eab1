"""Off-screen pictures of a MuJoCo model, with a clear answer where there is no OpenGL."""

from __future__ import annotations

import importlib
import os
import weakref
from collections.abc import Callable

import mujoco
import numpy as np

from daydreamer.errors import NoOpenGL

PLATFORMS = ("egl", "osmesa", "glfw")

# Software renderers spend most of their time on these.
_SWITCHED_OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_HAZE)


class Renderer:
    """Renders one size of picture.

    `mujoco.Renderer` takes GLFW, which needs a display, unless MUJOCO_GL was set before mujoco was imported; this one
    looks at MUJOCO_GL when a picture is first wanted, and takes EGL if it is not set.

    Attributes:
      close: call it to free the OpenGL context; calling it again does nothing.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        height: int,
        width: int,
        dress: Callable[[mujoco.MjvScene, float], None] | None = None,
    ) -> None:
        """Opens an OpenGL context.

        Args:
          dress: is called with every scene before it is drawn, and the simulated time.

        Raises:
          NoOpenGL: there is no working OpenGL.
        """
        self._model, self._dress = model, dress
        self._image = np.empty((height, width, 3), np.uint8)
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._options = mujoco.MjvOption()
        self._scene = mujoco.MjvScene(model, maxgeom=1000)
        for flag in _SWITCHED_OFF:
            self._scene.flags[flag] = False
        self._gl = _open_gl(height, width)
        try:
            self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        except mujoco.FatalError as error:
            self._gl.free()
            raise _no_opengl(error) from error
        # At exit too: OpenGL's own clean-up would come after its library is gone.
        self.close = weakref.finalize(self, _free, self._gl, self._context)
        mujoco.mjr_resizeOffscreen(width, height, self._context)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)

    def __call__(self, data: mujoco.MjData, camera: str) -> np.ndarray:
        """Picture `[height, width, 3]`, uint8, from a camera of the model."""
        self._gl.make_current()
        self._camera.fixedcamid = self._model.camera(camera).id
        categories = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, data, self._options, None, self._camera, categories, self._scene)
        if self._dress is not None:
            self._dress(self._scene, data.time)
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        mujoco.mjr_readPixels(self._image, None, self._viewport, self._context)
        return self._image[::-1].copy()  # OpenGL's first row is the lowest


def _free(gl: object, context: mujoco.MjrContext) -> None:
    gl.make_current()
    context.free()
    gl.free()


def _platform() -> str:
    return os.environ.get("MUJOCO_GL") or "egl"


def _open_gl(height: int, width: int) -> object:
    platform = _platform()
    if platform not in PLATFORMS:
        raise NoOpenGL(f"The twin cannot render with MUJOCO_GL={platform}; set it to one of {', '.join(PLATFORMS)}.")
    try:
        context = importlib.import_module(f"mujoco.{platform}").GLContext(width, height)
        context.make_current()
    except Exception as error:  # each platform fails with errors of its own
        raise _no_opengl(error) from error
    return context


def _no_opengl(error: Exception) -> NoOpenGL:
    return NoOpenGL(
        f"The twin cannot render: MUJOCO_GL={_platform()} failed ({error}). Install libegl1 and "
        "libgl1-mesa-dri and set MUJOCO_GL=egl, or install libosmesa6 and set MUJOCO_GL=osmesa."
    )
