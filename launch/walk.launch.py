"""`ros2 launch daydreamer walk.launch.py`: what `daydreamer walk` starts, and the robot's driver, under ros2 launch."""

from launch import LaunchDescription

from daydreamer.cli.launching import WALK_ARGUMENTS, prepare_walk
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("walk.launch.py", WALK_ARGUMENTS, prepare_walk)
