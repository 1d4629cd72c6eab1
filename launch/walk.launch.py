"""`ros2 launch daydreamer walk.launch.py`: what `daydreamer walk` starts, and the robot's driver, under ros2 launch."""

import dataclasses
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from daydreamer.errors import UserError
from daydreamer.processes import ProcessDescription, process_environment, session_processes
from daydreamer.session.new import configure, new_session


@dataclasses.dataclass(frozen=True)
class Hardware:
    """What `robot:=` means.

    Attributes:
      robot: of `daydreamer walk --robot`.
      driver: executable of the driver node that is started too.
      parameters: file for actor and driver: absolute, or in share/daydreamer/config.
      remappings: of the actor.
    """

    robot: str
    driver: str | None = None
    parameters: str | None = None
    remappings: tuple[tuple[str, str], ...] = ()


HARDWARE = {
    "twin": Hardware("twin"),
    "a1": Hardware("a1", driver="unitree_a1_node", parameters="a1.yaml"),
    "go2": Hardware("go2", driver="unitree_go2_node", parameters="go2.yaml"),
    "ros2_control": Hardware(
        "a1", parameters="ros2_control.yaml", remappings=(("joint_command", "forward_position_controller/commands"),)
    ),
}


def generate_launch_description() -> LaunchDescription:
    robots = f"{', '.join(HARDWARE)}; docs/robots.md says what each needs"
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", default_value="twin", description=robots),
            DeclareLaunchArgument("minutes", default_value="60", description="robot time of the session"),
            DeclareLaunchArgument("session", default_value="", description="new directory; default sessions/<time>"),
            DeclareLaunchArgument("seed", default_value="0", description="of exploration, networks and twin"),
            DeclareLaunchArgument("preset", default_value="default", description="named settings of the robot"),
            DeclareLaunchArgument(
                "parameters",
                default_value="",
                description="file for actor and driver; default share/config/<robot>.yaml",
            ),
            OpaqueFunction(function=start_session),
        ]
    )


def start_session(context: LaunchContext) -> list[Action]:
    robot, minutes, directory, seed, preset, parameters = (
        LaunchConfiguration(name).perform(context)
        for name in ("robot", "minutes", "session", "seed", "preset", "parameters")
    )
    if robot not in HARDWARE:
        raise UserError(f"There is no robot:={robot}; choose one of {', '.join(HARDWARE)}.")
    hardware = HARDWARE[robot]
    if parameters:
        hardware = dataclasses.replace(hardware, parameters=str(Path(parameters).absolute()))
    config = configure(robot=hardware.robot, minutes=float(minutes), seed=int(seed), preset=preset)
    session = new_session(Path(directory) if directory else None, config)
    # Behind a launch prefix, as a debugger, the processes are not this one's children.
    own_children = "launch-prefix" not in context.launch_configurations
    environment = process_environment(session, own_children)
    processes = reversed(session_processes(session))
    return [
        *start_driver(hardware, environment),
        *(start_process(process, hardware, environment) for process in processes),
    ]


def parameters_of(hardware: Hardware) -> list:
    if hardware.parameters is None:
        return []
    if Path(hardware.parameters).is_absolute():
        return [ParameterFile(hardware.parameters)]
    return [ParameterFile([FindPackageShare("daydreamer"), f"/config/{hardware.parameters}"])]


def start_driver(hardware: Hardware, environment: dict[str, str]) -> list[Action]:
    if hardware.driver is None:
        return []
    return [
        Node(
            package="daydreamer",
            executable=hardware.driver,
            parameters=parameters_of(hardware),
            additional_env=environment,
            output="screen",
            on_exit=[Shutdown(reason="the driver has ended")],
        )
    ]


def start_process(process: ProcessDescription, hardware: Hardware, environment: dict[str, str]) -> Action:
    options = {
        "output": "screen",
        "additional_env": environment,
        "prefix": f"nice -n {process.niceness}" if process.niceness else None,
        "sigterm_timeout": str(process.stop_timeout_s),
    }
    if process.is_ros_node:
        ended = Shutdown(reason=f"the {process.name} has ended")
        return Node(
            package="daydreamer",
            executable=process.executable,
            arguments=list(process.arguments),
            parameters=parameters_of(hardware),
            remappings=list(hardware.remappings),
            on_exit=[ended],
            **options,
        )
    # Not a Node action, which would add --ros-args. A robot whose learner crashed goes on with the policy it has.
    executable = ExecutableInPackage(package="daydreamer", executable=process.executable)
    command = [executable, *process.arguments]
    return ExecuteProcess(name=process.name, cmd=command, respawn=True, respawn_delay=2.0, **options)
