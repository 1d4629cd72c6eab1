"""`ros2 launch daydreamer learn.launch.py robot:=NAME`: any robot, any of its tasks, its twin or itself."""

from launch import LaunchDescription

from daydreamer.cli.launching import LEARN_ARGUMENTS, prepare_learn
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("learn.launch.py", LEARN_ARGUMENTS, prepare_learn)
