"""Which of ROS 2's middlewares this process will use, found out before rclpy, which ends the process where it fails."""

from __future__ import annotations

import os
import subprocess
import sys

from daydreamer.errors import UserError
from daydreamer.stop_request import PARENT_VARIABLE

USUAL = "rmw_fastrtps_cpp"
TIMEOUT_S = 60.0


def require_middleware() -> None:
    """Makes sure that rclpy can load what RMW_IMPLEMENTATION names; costs a second where that is unusual.

    Raises:
      UserError: it cannot. Every owner of a Go2 has rmw_cyclonedds_cpp in their shell.
    """
    name = os.environ.get("RMW_IMPLEMENTATION", "")
    # A process of a session was started by a command that has looked.
    if name in ("", USUAL) or PARENT_VARIABLE in os.environ:
        return
    command = [sys.executable, "-P", "-c", "import rclpy; rclpy.init(); rclpy.shutdown()"]
    try:
        loads = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        loads = False
    if not loads:
        raise UserError(
            f"RMW_IMPLEMENTATION is {name!r} in this shell, which ROS 2 cannot load here; 'unset RMW_IMPLEMENTATION' "
            f"takes {USUAL}, or install it and source the /opt/ros/<distribution>/setup.bash that has it. Robot and "
            "driver must use one that talks to it."
        )
