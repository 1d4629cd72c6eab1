"""`ros2 launch daydreamer twin.launch.py`: the MuJoCo twin alone, for drivers, adapters and `check-robot`."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from daydreamer.processes import process_environment
from daydreamer.session.new import configure, new_session


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("session", default_value="", description="new directory; default sessions/<time>"),
            DeclareLaunchArgument("seed", default_value="0", description="of the initial state, noise and incidents"),
            DeclareLaunchArgument(
                "set", default_value="", description="settings, separated by ';', as twin.random_incidents_per_minute=6"
            ),
            DeclareLaunchArgument("namespace", default_value="", description="of the topics"),
            DeclareLaunchArgument(
                "command_interface", default_value="joint_state", description="joint_state or forward_position"
            ),
            OpaqueFunction(function=start_twin),
        ]
    )


def start_twin(context: LaunchContext) -> list[Action]:
    directory, seed, settings, namespace, interface = (
        LaunchConfiguration(name).perform(context)
        for name in ("session", "seed", "set", "namespace", "command_interface")
    )
    overrides = [setting.strip() for setting in settings.split(";") if setting.strip()]
    config = configure(robot="twin", minutes=60.0, seed=int(seed), overrides=overrides)
    session = new_session(Path(directory) if directory else None, config)
    # Behind a launch prefix, as a debugger, the twin is not this process's child.
    own_child = "launch-prefix" not in context.launch_configurations
    # Where walk.launch.py robot:=ros2_control sends its commands.
    remappings = [("joint_command", "forward_position_controller/commands")] if interface == "forward_position" else []
    return [
        Node(
            package="daydreamer",
            executable="twin_node",
            namespace=namespace,
            arguments=["--session", str(session.path)],
            parameters=[{"command_interface": ParameterValue(interface, value_type=str)}],
            remappings=remappings,
            additional_env=process_environment(session, own_children=own_child),
            output="screen",
            on_exit=[Shutdown(reason="the twin has ended")],
        )
    ]
