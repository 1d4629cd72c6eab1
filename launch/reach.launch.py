"""`ros2 launch daydreamer reach.launch.py`: a TurtleBot3 Burger learns to drive to a post, its twin or itself."""

import functools

from launch import LaunchDescription

from daydreamer.cli.launching import REACH, arguments_with, prepare_learn_with
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("reach.launch.py", arguments_with(REACH), functools.partial(prepare_learn_with, REACH))
