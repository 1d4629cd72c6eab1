"""Driver of the UR5e over ros2_control: `forward_position_controller` for the arm, one like it for the gripper.

Parameters: `rate_hz` of the positions that are sent; `command_timeout_s` without a command until the arm is held where
it is; `interpolate_s` from one command to the next; `max_target_error_rad` from the measured angle. The controllers
have no timeout: while this node runs the arm is held when commands cease; if it is killed outright, they hold what they
were told last. A software stop is not a hardware stop: have the arm's own at hand. NOT YET RUN ON AN ARM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from daydreamer.robots.arm.position_driver_node import run_position_driver
from daydreamer.robots.ur5e.constants import CONTROLLERS
from daydreamer.robots.ur5e.embodiment import make_embodiment
from daydreamer.stop_request import StopRequest, run_process


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    return run_position_driver(make_embodiment(), CONTROLLERS, __doc__, arguments, stop)


if __name__ == "__main__":
    sys.exit(run_process(main))
