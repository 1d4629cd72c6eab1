"""`ros2 launch daydreamer twin.launch.py`: the MuJoCo twin alone, for drivers, adapters and `check-robot`."""

import sys

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from daydreamer.cli.launching import TWIN_ARGUMENTS, prepare_twin, refuse_bad_end, refuse_unknown
from daydreamer.processes import process_environment


def generate_launch_description() -> LaunchDescription:
    declared = [
        DeclareLaunchArgument(name, default_value="", description=text) for name, text in TWIN_ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start_twin)])


def start_twin(context: LaunchContext) -> list[Action]:
    refuse_unknown([*sys.argv, *context.argv], "twin.launch.py", TWIN_ARGUMENTS)
    arguments = {name: LaunchConfiguration(name).perform(context) for name in TWIN_ARGUMENTS}
    session = prepare_twin(arguments)
    interface = arguments["command_interface"] or "joint_state"
    # Behind a launch prefix, as a debugger, the twin is not this process's child.
    own_child = "launch-prefix" not in context.launch_configurations
    # Where walk.launch.py robot:=ros2_control sends its commands.
    remappings = [("joint_command", "forward_position_controller/commands")] if interface == "forward_position" else []
    return [
        LogInfo(msg=f"Session {session.path}; stop with Ctrl-C."),
        Node(
            package="daydreamer",
            executable="twin_node",
            namespace=arguments["namespace"],
            arguments=["--session", str(session.path)],
            parameters=[{"command_interface": ParameterValue(interface, value_type=str)}],
            remappings=remappings,
            additional_env=process_environment(session, own_children=own_child),
            output="screen",
            on_exit=twin_ended,
        ),
    ]


def twin_ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
    refuse_bad_end("twin", event.returncode, context.is_shutdown)
    return []
