"""MuJoCo twins of robots and their tasks. Imports no ROS."""

import importlib
import os
import sys

from daydreamer.errors import UserError


def _load_mujoco() -> None:
    """MuJoCo chooses its OpenGL by MUJOCO_GL when it is imported, and fails if that is not there.

    But a twin without a camera needs none, and one with a camera opens it by itself and says what is missing.
    """
    platform = os.environ.get("MUJOCO_GL")
    try:
        importlib.import_module("mujoco")
    except Exception as error:  # each platform fails with errors of its own
        for name in [name for name in sys.modules if name.partition(".")[0] in ("mujoco", "OpenGL")]:
            del sys.modules[name]
        os.environ["MUJOCO_GL"] = "disable"
        try:
            importlib.import_module("mujoco")
        except Exception:
            raise UserError(f"MuJoCo cannot be loaded (MUJOCO_GL='{platform or ''}'): {error}.") from error
        finally:
            os.environ.pop("MUJOCO_GL")
            if platform is not None:
                os.environ["MUJOCO_GL"] = platform


_load_mujoco()
