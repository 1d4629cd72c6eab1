"""MuJoCo twins of robots and their tasks. Imports no ROS."""

import importlib
import os
import sys

from daydreamer.environment import environment
from daydreamer.errors import UserError


def _load_mujoco() -> None:
    """MuJoCo chooses its OpenGL by MUJOCO_GL when it is imported, and fails if that is not there.

    But a twin without a camera needs none, and one with a camera opens it by itself and says what is missing. Where
    nothing is chosen, MuJoCo would look for GLFW, in one more process each time, which complains when this one ends.
    """
    platform = os.environ.get("MUJOCO_GL")
    try:
        _import_mujoco(platform or "disable")
    except Exception as error:  # each platform fails with errors of its own
        for name in [name for name in sys.modules if name.partition(".")[0] in ("mujoco", "OpenGL")]:
            del sys.modules[name]
        try:
            _import_mujoco("disable")
        except Exception:
            raise UserError(f"MuJoCo cannot be loaded (MUJOCO_GL='{platform or ''}'): {error}.") from error


def _import_mujoco(platform: str) -> None:
    with environment({"MUJOCO_GL": platform}):
        importlib.import_module("mujoco")


_load_mujoco()
