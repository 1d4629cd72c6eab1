"""`ros2 launch daydreamer pick.launch.py`: an SO-101 learns to pick and place, its twin or itself."""

import functools

from launch import LaunchDescription

from daydreamer.cli.launching import PICK, arguments_with, prepare_learn_with
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("pick.launch.py", arguments_with(PICK), functools.partial(prepare_learn_with, PICK))
