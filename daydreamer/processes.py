"""The processes that make up a session; the command line and the launch file start them from this one list."""

from __future__ import annotations

import dataclasses
import os

from daydreamer.robots.registry import Interface
from daydreamer.session.directory import Session
from daydreamer.stop_request import PARENT_VARIABLE


@dataclasses.dataclass(frozen=True)
class ProcessDescription:
    """One process of a session.

    Attributes:
      name: role in the session, its log and its messages.
      module: run as `python -m`.
      executable: run by ros2 launch, in lib/daydreamer.
      arguments: of either.
      is_ros_node: takes --ros-args.
      stop_timeout_s: time to end in after SIGINT.
      can_hurry: whether it may be killed sooner, where somebody asks for the end twice.
      takes_operator_input: with --operator-input it reads `OperatorRequest`s on standard input.
      ros_arguments: of a ROS node, those behind --ros-args.
    """

    name: str
    module: str
    executable: str
    arguments: tuple[str, ...]
    is_ros_node: bool = True
    stop_timeout_s: float = 10.0
    can_hurry: bool = True
    takes_operator_input: bool = False
    ros_arguments: tuple[str, ...] = ()


def session_processes(
    session: Session, minutes: float | None = None, ros_arguments: tuple[str, ...] = ()
) -> list[ProcessDescription]:
    """Processes in the order in which to stop them: the robot first, the learner when there is no more to learn from.

    One that plays a frozen policy has no learner.

    Args:
      session: they run in.
      minutes: robot time of the whole session; None as configured.
      ros_arguments: of actor and twin, for a robot that is driven otherwise than usual. They come out of the session's
        directory, perhaps a stranger's, so even a twin waits for its operator then.
    """
    where = ("--session", str(session.path))
    length = () if minutes is None else ("--minutes", f"{minutes:g}")
    waits = ("--wait",) if ros_arguments else ()
    actor = ProcessDescription(
        "actor",
        "ros_nodes.actor_node",
        "actor_node",
        (*where, *length, *waits),
        takes_operator_input=True,
        ros_arguments=ros_arguments,
    )
    twin = ProcessDescription("twin", "ros_nodes.twin_node", "twin_node", where, ros_arguments=ros_arguments)
    learner = [learner_process(session)] if session.learns else []
    return [actor, *([twin] if session.config.body == "twin" else []), *learner]


def driver_process(interface: Interface, ros_arguments: tuple[str, ...]) -> ProcessDescription:
    """The driver of a robot, if its interface has one."""
    assert interface.driver is not None and interface.executable is not None
    return ProcessDescription(
        "driver",
        interface.driver,
        interface.executable,
        (),
        stop_timeout_s=interface.stop_timeout_s,
        can_hurry=False,  # what it holds up would fall, or be held for ever
        ros_arguments=ros_arguments,
    )


def learner_process(session: Session) -> ProcessDescription:
    return ProcessDescription(
        "learner",
        "daydreamer.learner.process",
        "learner",
        ("--session", str(session.path)),
        is_ros_node=False,
        # Reads the rest of the log, finishes its update and writes a checkpoint.
        stop_timeout_s=60.0,
    )


def keeper_process(session: Session) -> ProcessDescription:
    """Starts the learner, and again when it has died, where no `daydreamer walk` does."""
    timeout_s = learner_process(session).stop_timeout_s + 5.0
    where = ("--session", str(session.path))
    return ProcessDescription(
        "keeper", "daydreamer.cli.keeper", "keeper", where, is_ros_node=False, stop_timeout_s=timeout_s
    )


def dashboard_process(session: Session, minutes: float) -> ProcessDescription:
    """Shows the session in a browser; `minutes` of robot time is what it is to have."""
    arguments = ("--session", str(session.path), "--minutes", f"{minutes:g}")
    # The last steps have to get into the recording.
    return ProcessDescription(
        "dashboard", "daydreamer.viewer.process", "dashboard", arguments, is_ros_node=False, stop_timeout_s=15.0
    )


def narrator_process(session: Session, minutes: float) -> ProcessDescription:
    """Tells how the session is doing, where no `daydreamer walk` does."""
    arguments = ("--session", str(session.path), "--minutes", f"{minutes:g}")
    # Waits for all others, and writes the report.
    return ProcessDescription(
        "narrator", "daydreamer.cli.narrator", "narrator", arguments, is_ros_node=False, stop_timeout_s=300.0
    )


def process_environment(session: Session, own_children: bool = False) -> dict[str, str]:
    """Environment variables that all of them need, beside those there are.

    Args:
      own_children: they are children of this very process, and end when it is gone, see `StopRequest`.
    """
    environment = {"PYTHONUNBUFFERED": "1"}
    if own_children:
        environment[PARENT_VARIABLE] = str(os.getpid())
    # Other robots in the same network must not hear this session's commands unless the operator wants that.
    for name, default in (
        ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
        ("ROS_LOG_DIR", str(session.path / "log" / "ros")),
    ):
        environment[name] = os.environ.get(name, default)
    if session.config.ros_domain_id >= 0:
        environment["ROS_DOMAIN_ID"] = str(session.config.ros_domain_id)
    return environment
