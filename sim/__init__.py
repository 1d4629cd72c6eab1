"""MuJoCo twins of robots and their tasks. Imports no ROS."""

import os

from daydreamer.errors import UserError

try:
    import mujoco  # noqa: F401  (chooses its OpenGL by MUJOCO_GL when it is imported, and fails if that is not there)
except (AttributeError, ImportError, RuntimeError) as error:
    platform = os.environ.get("MUJOCO_GL", "")
    raise UserError(
        f"MuJoCo cannot be loaded (MUJOCO_GL='{platform}'): {error}. Unset MUJOCO_GL, or install what it asks for: "
        "libegl1 and libgl1-mesa-dri for egl, libosmesa6 for osmesa."
    ) from error
