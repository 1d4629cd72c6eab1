"""`ros2 launch daydreamer replay.launch.py session:=DIR`: plays a session's experience back as topics in /replay."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("session", description="session directory"),
            DeclareLaunchArgument("speed", default_value="1.0", description="1 is real time"),
            DeclareLaunchArgument("life", default_value="0", description="life of the actor; 0 for all"),
            Node(
                package="daydreamer",
                executable="replay_node",
                arguments=["--session", LaunchConfiguration("session")],
                # Typed: a speed of 2 must not become an integer, which the node would refuse.
                parameters=[
                    {
                        "speed": ParameterValue(LaunchConfiguration("speed"), value_type=float),
                        "life": ParameterValue(LaunchConfiguration("life"), value_type=int),
                    }
                ],
                additional_env={"PYTHONUNBUFFERED": "1"},
                output="screen",
                on_exit=[Shutdown(reason="the session has been played")],
            ),
        ]
    )
