"""How `ros2 launch daydreamer walk.launch.py` ends, and what it leaves behind, however it is ended.

    python benchmarks/launch_endings.py [--domain 37] [--steps 60] [--only NAME ...] [--json FILE]

Wants ros2launch and a normal install of daydreamer on AMENT_PREFIX_PATH. Each case is a session of its own, which is
ended once so many steps are logged. Prints a Markdown table: the exit status of ros2 launch, when the robot was told to
damp (seen on its topic), when the last process was gone, and whether the session is whole.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import ExperienceTail, last_sequence
from daydreamer.session.directory import Session
from ros_nodes import topics

START_TIMEOUT_S = 180.0
END_TIMEOUT_S = 150.0
WATCHED_S = 20.0
"""For a session that is to go on: so long it is looked at."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to end it.

    Attributes:
      name: of the case.
      act: called with the process of ros2 launch and the session directory.
      goes_on: the session is to go on all the same; it is then ended by SIGINT.
    """

    name: str
    act: Callable[[subprocess.Popen, Path], None]
    goes_on: bool = False


def to_group(*signals: signal.Signals) -> Callable[[subprocess.Popen, Path], None]:
    """As a terminal does: to ros2 launch and all that it has started."""

    def act(launch: subprocess.Popen, session: Path) -> None:
        for number in signals:
            os.killpg(launch.pid, number)
            time.sleep(0.5)

    return act


def to_launch(number: signal.Signals) -> Callable[[subprocess.Popen, Path], None]:
    return lambda launch, session: launch.send_signal(number)


def kill(module: str) -> Callable[[subprocess.Popen, Path], None]:
    def act(launch: subprocess.Popen, session: Path) -> None:
        for process in working_for(session):
            if module in process.info["cmdline"]:
                process.kill()

    return act


CASES = (
    Case("Ctrl-C", to_group(signal.SIGINT)),
    Case("Ctrl-C twice", to_group(signal.SIGINT, signal.SIGINT)),
    Case("SIGINT to ros2 launch alone", to_launch(signal.SIGINT)),
    Case("SIGTERM to ros2 launch", to_launch(signal.SIGTERM)),
    Case("kill -9 of ros2 launch", to_launch(signal.SIGKILL)),
    Case("kill -9 of the actor", kill("ros_nodes.actor_node")),
    Case("kill -9 of the twin", kill("ros_nodes.twin_node")),
    Case("kill -9 of the learner", kill("daydreamer.learner.process"), goes_on=True),
    Case("kill -9 of its keeper", kill("daydreamer.cli.keeper"), goes_on=True),
    Case("kill -9 of the dashboard", kill("daydreamer.viewer.process"), goes_on=True),
    Case("kill -9 of the narrator", kill("daydreamer.cli.narrator"), goes_on=True),
)


def working_for(session: Path) -> list[psutil.Process]:
    """Processes that name the session, but for ros2 launch itself."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if str(session) in (each.info["cmdline"] or [])]


class Listener:
    """Hears what the robot is told.

    Attributes:
      damped_s: `time.monotonic()` of the first damping command after `listen_anew`; None if there was none.
    """

    def __init__(self, domain: int):
        self.damped_s: float | None = None
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = rclpy.create_node("listener", context=context)
        node.create_subscription(JointState, topics.JOINT_COMMAND, self._hear, 100)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)

    def listen_anew(self) -> None:
        self.damped_s = None

    def spin_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether the condition has come to hold."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(0.05)
        return True

    def _hear(self, message: JointState) -> None:
        if not message.position and self.damped_s is None:
            self.damped_s = time.monotonic()


def run(case: Case, directory: Path, listener: Listener, steps: int, environment: dict[str, str]) -> dict[str, object]:
    session = directory / "session"
    command = ["ros2", "launch", "daydreamer", "walk.launch.py", f"session:={session}", "preset:=tiny", "minutes:=30"]
    # A terminal: without one launch sends each process a signal of its own beside that of Ctrl-C.
    terminal, slave = pty.openpty()
    with open(directory / "launch.log", "wb") as log, os.fdopen(terminal), os.fdopen(slave) as standard_input:
        launch = subprocess.Popen(
            command, env=environment, stdin=standard_input, stdout=log, stderr=log, start_new_session=True
        )
        return watch(case, launch, session, listener, steps)


def watch(case: Case, launch: subprocess.Popen, session: Path, listener: Listener, steps: int) -> dict[str, object]:
    """Ends it in the way of the case once it has got going, and sees what becomes of it."""
    listener.spin_until(lambda: logged(session) >= steps or launch.poll() is not None, START_TIMEOUT_S)
    if launch.poll() is not None or logged(session) < steps:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launch.pid, signal.SIGKILL)
        sys.exit((session.parent / "launch.log").read_text() + "\nThe session did not get going.")
    begin_s = act(case.act, launch, session, listener)
    row: dict[str, object] = {"case": case.name}
    if case.goes_on:
        before = logged(session)
        ended_early = listener.spin_until(lambda: launch.poll() is not None, WATCHED_S)
        row["went_on"] = not ended_early and logged(session) > before + steps and listener.damped_s is None
        begin_s = act(to_group(signal.SIGINT), launch, session, listener)
    ended = listener.spin_until(lambda: launch.poll() is not None and not working_for(session), END_TIMEOUT_S)
    row |= {
        "exit_status": launch.poll(),
        "damped_after_s": None if listener.damped_s is None else listener.damped_s - begin_s,
        "all_gone_after_s": time.monotonic() - begin_s if ended else None,
        "left_behind": [each.info["cmdline"][-3:] for each in working_for(session)],
        "problems": problems(session),
    }
    for process in working_for(session):
        process.kill()
    return row


def act(what: Callable, launch: subprocess.Popen, session: Path, listener: Listener) -> float:
    """Does it while the listener listens; returns when it began, on `time.monotonic()`."""
    listener.listen_anew()
    begin_s = time.monotonic()
    thread = threading.Thread(target=what, args=(launch, session))
    thread.start()
    listener.spin_until(lambda: not thread.is_alive(), END_TIMEOUT_S)
    return begin_s


def logged(session: Path) -> int:
    return sum(last_sequence(log) + 1 for log in list_logs(session / "experience").values())


def problems(session: Path) -> list[str]:
    tail = ExperienceTail(session / "experience", Session.open(session).spec)
    tail.read()
    return [str(problem) for problem in tail.problems]


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| ended by | exit status | robot damped after | all gone after | |", "|---|---|---|---|---|"]
    for row in rows:
        damped, gone = row["damped_after_s"], row["all_gone_after_s"]
        notes = []
        if "went_on" in row:
            notes.append("went on; then Ctrl-C" if row["went_on"] else "DID NOT GO ON")
        if row["left_behind"]:
            notes.append(f"LEFT BEHIND: {row['left_behind']}")
        notes += row["problems"]
        lines.append(
            f"| {row['case']} | {row['exit_status']} | {'not' if damped is None else f'{damped:.2f} s'} | "
            f"{'NOT' if gone is None else f'{gone:.1f} s'} | {'; '.join(notes)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domain", type=int, default=37, help="ROS domain")
    parser.add_argument("--steps", type=int, default=60, help="logged before the end")
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES], metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    environment = os.environ | {"ROS_DOMAIN_ID": str(options.domain)}
    # A shell's job in the background ignores interrupts, and would hand that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    listener = Listener(options.domain)
    rows = []
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="daydreamer-endings-") as directory:
            rows.append(run(case, Path(directory), listener, options.steps, environment))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps({"date": time.strftime("%Y-%m-%d"), "cases": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
