"""How fast and how surely a live actor stops its robot: real actor and twin over ROS 2.

    python benchmarks/safety_stops.py [--presses 100] [--domain 34] [--json FILE]

First the time from an operator's emergency stop (topic, service, keyboard pipe) to the damping command, both seen by
this process. Then what is left of a robot's motion when the actor is ended by a signal, with a driver that times out
and with one that never does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from daydreamer.session.new import configure, new_session
from ros_nodes import topics
from ros_nodes.named_values import NamedValues

TIMEOUT_S = 90.0
OBSERVED_S = 2.0
"""How long the joints are looked at after the actor's end."""


class Bench:
    """An operator and observer of one actor and one twin."""

    def __init__(self, directory: Path, domain: int, command_timeout_s: float):
        overrides = [f"twin.command_timeout_s={command_timeout_s}", "actor.random_s=50000"]
        config = configure(robot="a1", minutes=60.0, seed=0, preset="tiny", overrides=overrides)
        self.session = new_session(directory / "session", config)
        self._environment = os.environ | {"ROS_DOMAIN_ID": str(domain), "ROS_LOG_DIR": str(directory)}
        self._log = open(directory / "log", "ab")
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("bench", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.commands: list[tuple[float, JointState]] = []
        self.joints_rad = np.zeros(12)
        self._joints = NamedValues(self.session.spec.joint_names, "position", math.inf)
        self.node.create_subscription(JointState, topics.JOINT_COMMAND, self._on_command, 100)
        self.node.create_subscription(JointState, topics.JOINT_STATES, self._on_joints, topics.LATEST_ONLY)
        self.e_stop = self.node.create_publisher(Bool, topics.EMERGENCY_STOP, topics.LATCHED)
        self._clients: dict[str, Any] = {}
        self.twin = self._start("twin_node")
        self.actor = self._start("actor_node", "--operator-input", stdin=subprocess.PIPE)

    def tell(self, request: str) -> None:
        """As `daydreamer walk` does for a key."""
        os.write(self.actor.stdin.fileno(), f"{request}\n".encode())

    def send(self, service: str):
        """A call of one of the actor's services, not waited for."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(Trigger, f"/actor/{service}")
            self.until(self._clients[service].service_is_ready)
        return self._clients[service].call_async(Trigger.Request())

    def ask(self, service: str) -> bool:
        future = self.send(service)
        self.until(future.done)
        return future.result().success

    def until(self, condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Spins until `condition()` holds."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                raise TimeoutError("the nodes did not do what was waited for")
            self._executor.spin_once(timeout_sec=0.01)

    def spin(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def moves(self) -> bool:
        """Whether the newest command is a position."""
        return bool(self.commands and self.commands[-1][1].position)

    def close(self) -> None:
        for process in (self.actor, self.twin):
            process.kill()
            process.wait()
        self._executor.shutdown()
        self.node.destroy_node()
        self.context.shutdown()
        self._log.close()

    def _start(self, module: str, *arguments: str, **options: Any) -> subprocess.Popen:
        command = [sys.executable, "-m", f"ros_nodes.{module}", "--session", str(self.session.path), *arguments]
        return subprocess.Popen(command, env=self._environment, stdout=self._log, stderr=self._log, **options)

    def _on_command(self, message: JointState) -> None:
        self.commands.append((time.monotonic(), message))

    def _on_joints(self, message: JointState) -> None:
        self._joints.take(message.name, message.position, time.monotonic())
        self.joints_rad = self._joints.value


@contextlib.contextmanager
def bench(domain: int, command_timeout_s: float) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as directory:
        running = Bench(Path(directory), domain, command_timeout_s)
        try:
            running.until(running.moves)
            yield running
        finally:
            running.close()


def emergency_stops(domain: int, presses: int) -> dict[str, dict[str, float]]:
    """Milliseconds from the request to the damping command, by the way it came."""
    random = np.random.default_rng(0)
    with bench(domain, 0.25) as robot:
        ways = {
            "topic": lambda: robot.e_stop.publish(Bool(data=True)),
            "service": lambda: robot.send("e_stop_trigger"),
            "keyboard": lambda: robot.tell("emergency_stop"),
        }
        robot.send("e_stop_trigger")  # finds the service
        release(robot)
        delays_ms: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(presses):
            for name, press in ways.items():
                robot.spin(random.uniform(0.05, 0.15))  # any moment of the control period
                begin_s, seen = time.monotonic(), len(robot.commands)
                press()
                robot.until(lambda seen=seen: len(robot.commands) > seen and not robot.moves())
                delays_ms[name].append(1e3 * (first_damping_s(robot, seen) - begin_s))
                release(robot)
    return {name: summary(values) for name, values in delays_ms.items()}


def release(robot: Bench) -> None:
    robot.e_stop.publish(Bool(data=False))
    robot.until(lambda: robot.ask("e_stop_reset"))
    robot.ask("resume")
    robot.until(robot.moves)


def first_damping_s(robot: Bench, since: int) -> float:
    return next(at_s for at_s, command in robot.commands[since:] if not command.position)


def summary(values_ms: list[float]) -> dict[str, float]:
    return {
        "count": len(values_ms),
        "p50_ms": float(np.percentile(values_ms, 50)),
        "p99_ms": float(np.percentile(values_ms, 99)),
        "max_ms": max(values_ms),
    }


def ends(domain: int) -> list[dict[str, Any]]:
    """What follows a signal to the actor, by signal and by the driver's command timeout."""
    rows = []
    for timeout_s in (0.25, 0.0):
        for name, signals in (
            ("Ctrl-C", [signal.SIGINT]),
            ("double Ctrl-C", [signal.SIGINT, signal.SIGINT]),
            ("SIGTERM", [signal.SIGTERM]),
            ("kill -9", [signal.SIGKILL]),
        ):
            rows.append({"end": name, "driver_timeout_s": timeout_s} | end(domain, timeout_s, signals))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def end(domain: int, timeout_s: float, signals: list[signal.Signals]) -> dict[str, Any]:
    """The robot lies on its back and holds its legs up, as an operator asked it to; then the actor is ended."""
    with bench(domain, timeout_s) as robot:
        robot.until(lambda: robot.ask("intervene"))
        robot.spin(3.0)
        held_rad = np.array(robot.commands[-1][1].position)
        tracked_rad = float(np.abs(robot.joints_rad - held_rad).max())
        seen, begin_s = len(robot.commands), time.monotonic()
        for number in signals:
            robot.actor.send_signal(number)
            robot.spin(0.02)
        robot.until(lambda: robot.actor.poll() is not None)
        robot.spin(OBSERVED_S)
        damping = [at_s for at_s, command in robot.commands[seen:] if not command.position]
        return {
            "exit_status": robot.actor.returncode,
            "first_damping_ms": 1e3 * (damping[0] - begin_s) if damping else None,
            "damping_commands": len(damping),
            "joint_error_before_rad": tracked_rad,
            "joint_error_after_rad": float(np.abs(robot.joints_rad - held_rad).max()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presses", type=int, default=100, help="of each kind of emergency stop")
    parser.add_argument("--domain", type=int, default=34, help="ROS_DOMAIN_ID")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    figures = {"emergency_stop": emergency_stops(options.domain, options.presses)}
    print(json.dumps(figures, indent=2), flush=True)
    figures["ends"] = ends(options.domain)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
