"""`daydreamer check-robot`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daydreamer.cli.child import POLL_S, Child
from daydreamer.cli.drives import find_drive
from daydreamer.cli.supervise import check_installation
from daydreamer.config import Body
from daydreamer.errors import USER_ERROR_STATUS
from daydreamer.processes import process_environment, session_processes
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import read_process_status


def check_robot(
    robot: str,
    task: str | None,
    body: Body,
    move: bool | None,
    seconds: float,
    overrides: list[str],
    ros_arguments: list[str],
    *,
    hanging: bool = False,
    command_interface: str | None = None,
    image_transport: str | None = None,
) -> int:
    """Checks the driver on the topics, or the twin, which is started for it; returns the exit status.

    Args:
      move: None moves the twin, but no robot.
      hanging: the robot's feet are in the air.
      command_interface, image_transport: of the actor's parameters; None for the usual one.

    Raises:
      UserError: see `configure` and `check_installation`.
    """
    config = configure(robot=robot, task=task, body=body, minutes=1.0, seed=0, overrides=overrides)
    check_installation(config)
    starts_twin = body == "twin"
    command = [sys.executable, "-P", "-m", "ros_nodes.check_node", "--robot", robot, "--task", config.task]
    command += ["--seconds", f"{seconds:g}", *(["--twin"] if starts_twin else [])]
    command += ["--move"] if move or (move is None and starts_twin) else []
    command += ["--hanging"] if hanging else []
    command += ["--command-interface", command_interface] if command_interface else []
    command += ["--image-transport", image_transport] if image_transport else []
    command += [word for override in overrides for word in ("--set", override)]
    # Of two rules for one name the first holds.
    command += [*ros_arguments, "--ros-args", *find_drive(robot, body).ros_arguments]
    with tempfile.TemporaryDirectory(prefix="daydreamer-check-") as directory:
        session = new_session(Path(directory) / "session", config)
        environment = os.environ | process_environment(session)
        if starts_twin:
            return _check_beside_twin(session, command, environment)
        return subprocess.run(command, env=environment, check=False).returncode


def _check_beside_twin(session: Session, command: list[str], environment: dict[str, str]) -> int:
    """Checks once the twin runs, and only as long as it does: what speaks without it is another robot."""
    twin = Child(next(process for process in session_processes(session) if process.name == "twin"), session)
    with twin.running_alongside():
        while twin.running and not _has_begun(session):
            time.sleep(POLL_S)
        if twin.running:
            check = subprocess.Popen(command, env=environment)
            try:
                while check.poll() is None and twin.running:
                    time.sleep(POLL_S)
            except KeyboardInterrupt:  # the check has had it, too, and damps
                check.wait()
                raise
            if check.poll() is not None and twin.running:
                return check.returncode
            check.send_signal(signal.SIGINT)
            check.wait()
        print(f"The twin {twin.describe_end()}: {' '.join(twin.last_lines(1))}", file=sys.stderr)
        return twin.exit_status or USER_ERROR_STATUS


def _has_begun(session: Session) -> bool:
    """Whether the twin has found nobody in its place, and speaks."""
    status = read_process_status(session, "twin")
    return status is not None and status.state == "running"
