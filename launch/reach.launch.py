"""`ros2 launch daydreamer reach.launch.py`: a TurtleBot3 Burger learns to drive to a post, its twin or itself."""

from launch import LaunchDescription

from daydreamer.cli.launching import REACH_ARGUMENTS, prepare_reach
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("reach.launch.py", REACH_ARGUMENTS, prepare_reach)
