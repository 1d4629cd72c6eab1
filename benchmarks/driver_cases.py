"""What live A1 drivers do about messages, packets and encoders that are wrong; each case with a driver of its own.

    PYTHONPATH=. python benchmarks/driver_cases.py [--json FILE]

A stand-in for the motor controller answers every command over UDP, a commander asks for the stand pose at 20 Hz. The
table says what became of the driver's process, and of the targets that arrived at the motors. It needs nothing of this
repository but the module `daydreamer.robots.a1.driver_node`, so that it can be run on earlier revisions.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rclpy
import wire
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState

NAMES = [f"{leg}_{part}_joint" for leg in ("FR", "FL", "RR", "RL") for part in ("hip", "thigh", "calf")]
STAND = np.array([0.0, 0.9, -1.8] * 4)
LOWER, UPPER = np.array([-0.802851, -1.0472, -2.69653] * 4), np.array([0.802851, 4.18879, -0.916298] * 4)
KNEE = 2
IMU = np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 9.81])
TIMEOUT_S = 60.0


def with_knee(angle: float) -> np.ndarray:
    return np.where(np.arange(12) == KNEE, angle, STAND)


class Bench:
    """A driver, its motors, and whoever commands."""

    def __init__(self, parameters: dict[str, object], directory: Path):
        self.random = np.random.default_rng(0)
        self.targets: list[np.ndarray | None] = []
        self.states: list[JointState] = []
        self.answer: Callable[[], bytes | None] = lambda: self.state(STAND)
        self.motors = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.motors.bind(("127.0.0.1", 0))
        self.motors.setblocking(False)
        rclpy.init()
        self.node, self.stranger = rclpy.create_node("commander"), rclpy.create_node("stranger")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.stranger)
        self.commands = self.node.create_publisher(JointState, "joint_command", 1)
        self.strange = self.stranger.create_publisher(JointState, "joint_command", 1)
        self.node.create_subscription(JointState, "joint_states", self.states.append, 10)
        self.node.create_timer(0.002, self._serve)
        self.node.create_timer(0.05, lambda: self.commands.publish(command(STAND)))
        parameters = {
            "robot_address": "127.0.0.1",
            "robot_port": self.motors.getsockname()[1],
            "local_port": 0,
        } | parameters
        words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
        self.log = directory / "driver.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daydreamer.robots.a1.driver_node", "--ros-args", *words],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def state(self, position_rad: np.ndarray) -> bytes:
        return finished(wire.a1_state(position_rad, np.zeros(12), IMU, 0))

    def spin(self, seconds: float, also: Callable[[], None] = lambda: None) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and self.process.poll() is None:
            self.executor.spin_once(timeout_sec=0.01)
            also()

    def stands(self) -> bool:
        """Waits until the driver follows the commander."""
        end_s = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.01)
            if self.targets and self.targets[-1] is not None:
                return True
        return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        end_s = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < end_s:
            self.executor.spin_once(timeout_sec=0.01)
        self.process.kill()
        self.executor.spin_once(timeout_sec=0.05)
        self.executor.shutdown()
        self.node.destroy_node()
        self.stranger.destroy_node()
        rclpy.shutdown()
        self.motors.close()

    def _serve(self) -> None:
        while True:
            try:
                packet, driver = self.motors.recvfrom(2048)
            except BlockingIOError:
                return
            motors = np.frombuffer(packet, wire.A1_MOTOR, 12, 10)
            self.targets.append(motors["q"].astype(np.float64) if motors["rest"][:, 1].any() else None)
            if (answer := self.answer()) is not None:
                self.motors.sendto(answer, driver)


def finished(packet: bytearray) -> bytes:
    struct.pack_into("<I", packet, 767, wire.crc(bytes(packet[:764])))
    return bytes(packet)


def command(position_rad: np.ndarray, names: list[str] = NAMES) -> JointState:
    return JointState(name=names, position=position_rad.tolist())


def once_from_commander(message: JointState) -> Callable[[Bench], None]:
    def act(bench: Bench) -> None:
        bench.commands.publish(message)
        bench.spin(1.0)

    return act


def second_publisher(bench: Bench) -> None:
    bench.spin(1.0, lambda: bench.strange.publish(command(with_knee(-1.5))))


def answers(other: Callable[[Bench], bytes | None], times: int = 20, every: int = 10) -> Callable[[Bench], None]:
    """So many states are others, each after some that are true."""

    def act(bench: Bench) -> None:
        number = [0]

        def answer() -> bytes | None:
            number[0] += 1
            is_other = number[0] % every == 0 and number[0] <= times * every
            return other(bench) if is_other else bench.state(STAND)

        bench.answer = answer
        bench.spin(1.5)

    return act


def random_packet(bench: Bench) -> bytes:
    packet = bytearray(bench.state(STAND))
    if bench.random.random() < 0.5:
        packet[1:] = bench.random.bytes(len(packet) - 1)
    else:
        packet[bench.random.integers(1, 764)] ^= 1 << bench.random.integers(8)
    return finished(packet)


def silence(bench: Bench) -> None:
    bench.answer = lambda: None
    bench.spin(8.0)


NAN = float("nan")
CASES: dict[str, tuple[dict[str, object], Callable[[Bench], None]]] = {
    "rate_hz: 250": ({"rate_hz": 250}, lambda bench: bench.spin(0.5)),
    "one command with NaN": ({}, once_from_commander(command(with_knee(NAN)))),
    "one JointState of a gripper": ({}, once_from_commander(JointState(name=["gripper"], position=[0.3]))),
    "one command without a joint": ({}, once_from_commander(command(STAND[1:], NAMES[1:]))),
    "one command with too few positions": ({}, once_from_commander(command(STAND[1:], NAMES))),
    "one command with a joint twice": ({}, once_from_commander(command(np.append(STAND, 0.5), [*NAMES, NAMES[0]]))),
    "one empty JointState": ({}, once_from_commander(JointState())),
    "one command of 1e6 rad": ({}, once_from_commander(command(with_knee(1e6)))),
    "a second publisher, 1 s": ({}, second_publisher),
    "20 single wrong samples, 3.5 rad": ({}, answers(lambda bench: bench.state(with_knee(3.5)))),
    "20 single samples with NaN": ({}, answers(lambda bench: bench.state(with_knee(NAN)))),
    "300 random and mutated packets": ({}, answers(random_packet, 300, every=1)),
    "200 wrong samples, 3.5 rad": ({}, answers(lambda bench: bench.state(with_knee(3.5)), 200, every=1)),
    "no states any more": ({}, silence),
}


def try_case(name: str, directory: Path) -> dict[str, object]:
    parameters, act = CASES[name]
    bench = Bench(parameters, directory)
    if stood := bench.stands():
        bench.spin(0.3)
        before = len(bench.targets)
        bench.states.clear()
        act(bench)
    alive = bench.process.poll() is None
    ended = len(bench.targets)
    bench.close()
    after = bench.targets[before:ended] if stood else []
    moved = np.array([target for target in after if target is not None] or [STAND])
    published = np.array([state.position for state in bench.states] or [STAND])
    lines = [line for line in bench.log.read_text(errors="replace").splitlines() if "[INFO]" not in line]
    return {
        "driver": "goes on" if alive else f"ended, status {bench.process.returncode}",
        "worst target off the true joint, rad": float(np.nan_to_num(np.abs(moved - STAND), nan=np.inf).max()),
        "targets outside the joint limits": int(((moved < LOWER) | (moved > UPPER) | ~np.isfinite(moved)).any(1).sum()),
        "ticks damped": sum(target is None for target in after),
        "wrong states published": int((~(np.abs(published - STAND) < 0.1)).any(1).sum()),
        "damped at the end": bool(bench.targets) and all(target is None for target in bench.targets[-5:]),
        "said": lines[-1][:160] if lines else "",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", help="part of a case's name")
    options = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("DAYDREAMER_DISCOVERY_S", "0.3")
    results = {}
    for name in CASES:
        if options.only is None or options.only in name:
            with tempfile.TemporaryDirectory() as directory:
                results[name] = try_case(name, Path(directory))
            print(f"{name}: {json.dumps(results[name])}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
