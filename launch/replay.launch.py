"""`ros2 launch daydreamer replay.launch.py session:=DIR`: plays a session's experience back as topics in /replay."""

import sys

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from daydreamer.cli.launching import REPLAY_ARGUMENTS, prepare_replay, refuse_bad_end, refuse_unknown


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in REPLAY_ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_replay)])


def start_replay(context: LaunchContext) -> list[Action]:
    refuse_unknown([*sys.argv, *context.argv], "replay.launch.py", REPLAY_ARGUMENTS)
    arguments = {name: LaunchConfiguration(name).perform(context) for name in REPLAY_ARGUMENTS}
    session, speed, life = prepare_replay(arguments)
    return [
        Node(
            package="daydreamer",
            executable="replay_node",
            arguments=["--session", str(session.path)],
            # The speed is a float by now: the node would refuse the integer 2.
            parameters=[{"speed": speed, "life": life}],
            additional_env={"PYTHONUNBUFFERED": "1"},
            output="screen",
            on_exit=replay_ended,
        )
    ]


def replay_ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
    refuse_bad_end("replay", event.returncode, context.is_shutdown, completes=True)
    return [Shutdown(reason="the session has been played")]
