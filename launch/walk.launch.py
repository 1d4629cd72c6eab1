"""`ros2 launch daydreamer walk.launch.py`: what `daydreamer walk` starts, under ros2 launch."""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.substitutions import ExecutableInPackage

from daydreamer.processes import ProcessDescription, process_environment, session_processes
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot", default_value="twin", description="'twin', or 'a1' with its driver running"),
            DeclareLaunchArgument("minutes", default_value="60", description="robot time of the session"),
            DeclareLaunchArgument("session", default_value="", description="new directory; default sessions/<time>"),
            DeclareLaunchArgument("seed", default_value="0", description="of exploration, networks and twin"),
            OpaqueFunction(function=start_session),
        ]
    )


def start_session(context: LaunchContext) -> list[Action]:
    robot, minutes, directory, seed = (
        LaunchConfiguration(name).perform(context) for name in ("robot", "minutes", "session", "seed")
    )
    config = configure(robot=robot, minutes=float(minutes), seed=int(seed))
    session = new_session(Path(directory) if directory else None, config)
    return [start_process(process, session) for process in reversed(session_processes(session))]


def start_process(process: ProcessDescription, session: Session) -> Action:
    options = {
        "output": "screen",
        "additional_env": process_environment(session),
        "prefix": f"nice -n {process.niceness}" if process.niceness else None,
        "sigterm_timeout": str(process.stop_timeout_s),
    }
    if process.is_ros_node:
        ended = Shutdown(reason=f"the {process.name} has ended")
        return Node(
            package="daydreamer",
            executable=process.executable,
            arguments=list(process.arguments),
            on_exit=[ended],
            **options,
        )
    # Not a Node action, which would add --ros-args. A robot whose learner crashed goes on with the policy it has.
    executable = ExecutableInPackage(package="daydreamer", executable=process.executable)
    command = [executable, *process.arguments]
    return ExecuteProcess(name=process.name, cmd=command, respawn=True, respawn_delay=2.0, **options)
