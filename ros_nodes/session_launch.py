"""What the launch files that start a session have in common: what `daydreamer learn` starts, and the robot's driver."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
)
from launch.event_handlers import OnShutdown
from launch.events import Shutdown as ShutdownEvent
from launch.events import matches_action
from launch.events.process import ProcessExited, SignalProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterFile
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from daydreamer.cli.dashboard import is_installed
from daydreamer.cli.launching import Launch, refuse_bad_end, refuse_unknown
from daydreamer.errors import USER_ERROR_STATUS
from daydreamer.processes import (
    ProcessDescription,
    dashboard_process,
    keeper_process,
    narrator_process,
    process_environment,
    session_processes,
)
from daydreamer.session.progress import is_complete

INTERRUPT_S = 2.0
"""After Ctrl-C the actor is gone well before."""


def describe(
    file_name: str, arguments: Mapping[str, str], prepare: Callable[[Mapping[str, str]], Launch]
) -> LaunchDescription:
    """A launch file that starts a session.

    Args:
      file_name: of the launch file.
      arguments: that it takes, with what is said of them.
      prepare: what they come to.
    """

    def start(context: LaunchContext) -> list[Action]:
        refuse_unknown([*sys.argv, *context.argv], file_name, arguments)
        return start_session(context, prepare({name: LaunchConfiguration(name).perform(context) for name in arguments}))

    declared = [DeclareLaunchArgument(name, default_value="", description=text) for name, text in arguments.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start_session(context: LaunchContext, launch: Launch) -> list[Action]:
    """All processes of a session, and what happens when they end."""
    session = launch.session
    # Until this process is gone, as `daydreamer walk` does: one command at a time runs a session.
    lock = contextlib.ExitStack()
    lock.enter_context(session.lock())
    context.extend_globals({"session_lock": lock})
    # Behind a launch prefix, as a debugger, the processes are not this one's children.
    own_children = "launch-prefix" not in context.launch_configurations
    environment = process_environment(session, own_children)
    processes = {process.name: process for process in session_processes(session, launch.minutes, launch.ros_arguments)}
    if "learner" in processes:
        processes["learner"] = keeper_process(session)
    processes["narrator"] = narrator_process(session, launch.minutes)
    if launch.dashboard and is_installed():
        processes["dashboard"] = dashboard_process(session, launch.minutes)
    elif launch.dashboard:
        print("There is no dashboard without Rerun: pip install 'daydreamer[viewer]'.", flush=True)
    actions = {name: start_process(process, launch, environment) for name, process in reversed(processes.items())}
    plays = f" plays {session.plays.description}," if session.plays else ""
    driver = start_driver(launch, environment)
    return [
        LogInfo(msg=f"Session {session.path}{plays} for {launch.minutes:g} robot minutes; stop with Ctrl-C."),
        hand_on_interrupt(actions["actor"], [*actions.values(), *driver]),
        *driver,
        *actions.values(),
    ]


def hand_on_interrupt(actor: ExecuteProcess, actions: list[ExecuteProcess]) -> Action:
    """Interrupts all processes if an interrupt in a terminal was for launch alone, as `kill -INT` sends it.

    With a terminal launch takes it for granted that the others have had it too, as with Ctrl-C, and the robot would go
    on until it escalates.
    """

    def interrupt(context: LaunchContext) -> list[Action]:
        if actor.return_code is not None:
            return []
        return [
            EmitEvent(event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(action)))
            for action in actions
        ]

    def shut_down(event: ShutdownEvent, context: LaunchContext) -> list[Action]:
        if not (event.due_to_sigint and sys.stdin.isatty()):
            return []
        return [TimerAction(period=INTERRUPT_S, actions=[OpaqueFunction(function=interrupt)], cancel_on_shutdown=False)]

    return RegisterEventHandler(OnShutdown(on_shutdown=shut_down))


def parameters_of(launch: Launch) -> list[ParameterFile]:
    if launch.parameters is not None:
        return [ParameterFile(str(launch.parameters))]
    if launch.drive.parameters is None:
        return []
    return [ParameterFile([FindPackageShare(launch.drive.package), f"/config/{launch.drive.parameters}"])]


def start_driver(launch: Launch, environment: dict[str, str]) -> list[ExecuteProcess]:
    interface = launch.drive.interface
    if interface is None or interface.driver is None:
        return []
    return [
        Node(
            package=interface.package,
            executable=interface.executable,
            namespace=launch.namespace,
            parameters=parameters_of(launch),
            additional_env=environment,
            output="screen",
            sigterm_timeout=str(interface.stop_timeout_s),
            on_exit=ends("driver"),
        )
    ]


def start_process(process: ProcessDescription, launch: Launch, environment: dict[str, str]) -> ExecuteProcess:
    options: dict[str, Any] = {
        "output": "screen",
        "additional_env": environment,
        "sigterm_timeout": str(process.stop_timeout_s),
    }
    if process.is_ros_node:
        return Node(
            package="daydreamer",
            executable=process.executable,
            namespace=launch.namespace,
            arguments=list(process.arguments),
            parameters=parameters_of(launch),
            remappings=list(launch.drive.remappings),
            ros_arguments=list(process.ros_arguments),
            on_exit=ends(process.name, launch),
            **options,
        )
    # Not a Node action, which would add --ros-args. The robot goes on without any of these.
    command = [ExecutableInPackage(package="daydreamer", executable=process.executable), *process.arguments]
    if process.name == "keeper":
        options |= {"respawn": True, "respawn_delay": 2.0, "on_exit": keeper_ended}
    if process.name == "dashboard":  # where it is, the narrator says
        options["output"] = {"stdout": "log", "stderr": "screen"}
    return ExecuteProcess(name=process.name, cmd=command, **options)


def keeper_ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """One that has given up ends the launch; in the place of any other there will be a new one."""
    return ends("keeper")(event, context) if event.returncode == USER_ERROR_STATUS else []


def ends(name: str, launch: Launch | None = None):
    """What happens when a process has ended that nothing can replace; `launch` where the actor completes a session."""

    def ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
        completes = launch is not None and name == "actor" and is_complete(launch.session, launch.minutes)
        refuse_bad_end(name, event.returncode, context.is_shutdown, completes)
        return [] if context.is_shutdown else [Shutdown(reason=f"the {name} has ended")]

    return ended
