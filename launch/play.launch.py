"""`ros2 launch daydreamer play.launch.py from:=DIR`: a frozen policy of a session drives its robot, or the twin."""

from launch import LaunchDescription

from daydreamer.cli.launching import PLAY_ARGUMENTS, prepare_play
from ros_nodes.session_launch import describe


def generate_launch_description() -> LaunchDescription:
    return describe("play.launch.py", PLAY_ARGUMENTS, prepare_play)
