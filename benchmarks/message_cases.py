"""Messages, files, keys and nodes that nobody meant, one after the other, over live processes: what comes of each.

    python benchmarks/message_cases.py [--tree CHECKOUT] [--only WORD] [--json FILE]

The actor, and whatever else is started, is that of a checkout, by default of this one; run it on an earlier revision
for the column "before". On the other side is a stand-in of twelve joints that follows commands. Takes some minutes, and
more where cases end the actor. Exit status 1 if one comes out wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import math
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from PIL import Image as Picture
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import BatteryState, CompressedImage, Image, Imu, JointState, Joy, Temperature
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import Trigger

DOMAIN = 38
STATE_PERIOD_S = 0.01
TIMEOUT_S = 60.0
LATCHED = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
JOINTS = [f"{leg}_{joint}_joint" for leg in ("FR", "FL", "RR", "RL") for joint in ("hip", "thigh", "calf")]
REST_RAD = [0.0, 1.15, -2.65] * 4
NAN = math.nan


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a case: `words` for the table, `right` as docs/safety.md has it."""

    right: bool
    words: str


class StandIn:
    """A robot whose joints go where they are told, and which any case may make say something else.

    Attributes:
      joints, imu: change the next messages; None sends none.
      feet_n: what each foot reads.
      extra: called with each tick, to publish what does not belong.
    """

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=DOMAIN)
        self.node = rclpy.create_node("stand_in", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._states = self.node.create_publisher(JointState, "joint_states", 1)
        self._imu = self.node.create_publisher(Imu, "imu/data", 1)
        self._feet = self.node.create_publisher(JointState, "foot_contacts", 1)
        self.commands: list[tuple[float, Any]] = []
        self.node.create_subscription(JointState, "joint_command", self._on_command, 100)
        self.node.create_subscription(Float64MultiArray, "positions", self._on_command, 100)
        self.node.create_timer(STATE_PERIOD_S, self._tick)
        self._clients: dict[str, Any] = {}
        self.silent = False
        self.calm()

    def calm(self) -> None:
        """Says again what is true."""
        self.joints: Callable[[JointState], JointState | None] = lambda message: message
        self.imu: Callable[[Imu], Imu | None] = lambda message: message
        self.extra: Callable[[], None] = lambda: None
        self.feet_n = [30.0] * 4
        self.position_rad = getattr(self, "position_rad", list(REST_RAD))

    def _on_command(self, message: Any) -> None:
        self.commands.append((time.monotonic(), message))
        target = list(message.data if isinstance(message, Float64MultiArray) else message.position)
        if len(target) == 12 and all(map(math.isfinite, target)):
            self.position_rad = target

    def _tick(self) -> None:
        if self.silent:
            return
        message = JointState(name=JOINTS, position=list(self.position_rad), velocity=[0.0] * 12)
        # An encoder has noise, by which it is told from one that is stuck.
        wobble = 1e-4 * math.sin(40.0 * time.monotonic())
        message.position = [angle + wobble for angle in self.position_rad]
        message.header.stamp = self.node.get_clock().now().to_msg()
        if (joints := self.joints(message)) is not None:
            self._states.publish(joints)
        imu = Imu()
        imu.orientation.w = 1.0
        imu.linear_acceleration.z = 9.81
        if (imu := self.imu(imu)) is not None:
            self._imu.publish(imu)
        self._feet.publish(JointState(name=["FR_foot", "FL_foot", "RR_foot", "RL_foot"], effort=self.feet_n))
        self.extra()

    def run(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def until(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> bool:
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                return False
            self.run(0.05)
        return True

    def call(self, service_type: type, name: str, request: Any, timeout_s: float = 10.0) -> Any:
        """The response; None if none came."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, f"/actor/{name}")
        client = self._clients[name]
        if not self.until(client.service_is_ready, timeout_s):
            return None
        future = client.call_async(request)
        return future.result() if self.until(future.done, timeout_s) else None

    def ask(self, name: str) -> Any:
        return self.call(Trigger, name, Trigger.Request())

    def transition(self, number: int) -> Any:
        return self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=number)))

    @contextlib.contextmanager
    def publisher(self, *arguments: Any) -> Iterator[Any]:
        publisher = self.node.create_publisher(*arguments)
        try:
            yield publisher
        finally:
            self.node.destroy_publisher(publisher)


MAKE_SESSION = """
import inspect, sys
from pathlib import Path
from daydreamer.session.new import configure, new_session
directory, robot, *overrides = sys.argv[1:]
who = {"robot": robot}
if "body" in inspect.signature(configure).parameters:  # before, the twin was a robot of its own
    who = {"robot": "a1", "body": "twin"} if robot == "twin" else {"robot": robot, "body": "hardware"}
new_session(Path(directory), configure(**who, minutes=60.0, seed=0, preset="tiny", overrides=overrides))
"""


class Bench:
    """A stand-in, and an actor that goes on from case to case as long as it can."""

    def __init__(self, tree: Path, directory: Path):
        self.tree, self.directory = tree, directory
        self.robot = StandIn()
        self.environment = os.environ | {
            "ROS_DOMAIN_ID": str(DOMAIN),
            "PYTHONPATH": str(tree),
            "ROS_LOG_DIR": str(directory / "ros"),
            "DAYDREAMER_DISCOVERY_S": "0.5",
        }
        self._sessions = 0
        self._actor: subprocess.Popen | None = None
        self.session = Path()

    def new_session(self, robot: str, *overrides: str) -> Path:
        self._sessions += 1
        path = self.directory / f"session-{self._sessions}"
        subprocess.run(
            [sys.executable, "-c", MAKE_SESSION, path, robot, *overrides],
            env=self.environment,
            cwd=self.tree,
            check=True,
        )
        return path

    def start(self, session: Path, *arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "ros_nodes.actor_node", "--session", str(session), *arguments]
        self.log = self.directory / f"{session.name}.log"
        with open(self.log, "ab") as log:
            return subprocess.Popen(command, env=self.environment, cwd=self.tree, stdout=log, stderr=log)

    def status(self, session: Path | None = None) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return json.loads(((session or self.session) / "status/actor.json").read_text())
        return {}

    def running(self) -> None:
        """An actor of a twin's session runs, whatever a case before has made of it."""
        self.robot.calm()
        if self._actor is not None and self._actor.poll() is None:
            for service in ("e_stop_reset", "resume"):
                self.robot.ask(service)
            if self.robot.until(lambda: self.status().get("safety_state") == "running", 8.0):
                return
        self.end()
        self.session = self.new_session("twin")
        self._actor = self.start(self.session)
        if not self.robot.until(lambda: (self.status().get("env_steps") or 0) > 5):
            raise RuntimeError(f"the actor does not set out: {self.log.read_text()}")

    @property
    def actor(self) -> subprocess.Popen:
        return self._actor

    def goes_on(self, wait_s: float = 1.0) -> Outcome:
        """After a disturbance: the same actor logs steps again within some seconds, or what has become of it."""
        self.robot.run(wait_s)
        worst = self.status().get("safety_state")
        self.robot.calm()
        steps = self.status().get("env_steps") or 0
        again = self.robot.until(
            lambda: self.actor.poll() is not None or (self.status().get("env_steps") or 0) > steps + 10, 8.0
        )
        if self.actor.poll() is not None:
            return Outcome(False, f"the session ends with status {self.actor.poll()}")
        met = f", {worst} meanwhile" if worst != "running" else ""
        return Outcome(bool(again), f"goes on{met}" if again else f"stays {self.status().get('safety_state')}")

    def stop(self, process: subprocess.Popen | None) -> int | None:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            if not self.robot.until(lambda: process.poll() is not None, 15.0):
                process.kill()
                process.wait()
                return None
        return process and process.returncode

    def end(self) -> None:
        self.stop(self._actor)
        self._actor = None

    @contextlib.contextmanager
    def alone(
        self, robot: str, *arguments: str, overrides: Sequence[str] = ()
    ) -> Iterator[tuple[subprocess.Popen, Path]]:
        """An actor of a session of its own, in the place of the one that goes on."""
        self.end()
        self.robot.calm()
        self.robot.commands.clear()
        session = self.session = self.new_session(robot, *overrides)
        process = self.start(session, *arguments)
        try:
            yield process, session
        finally:
            self.robot.silent = False
            self.stop(process)


CASES: dict[str, Callable[[Bench], Outcome]] = {}


def case(name: str) -> Callable:
    def register(run: Callable[[Bench], Outcome]) -> Callable[[Bench], Outcome]:
        CASES[name] = run
        return run

    return register


def moved(bench: Bench) -> int:
    """Commands with positions."""
    return sum(bool(getattr(message, "position", None)) for _, message in bench.robot.commands)


# Kind 1: the robot moves only when somebody has said so.


def sets_out(bench: Bench, *arguments: str) -> Outcome:
    with bench.alone("a1", "--ros-args", *arguments) as (process, session):
        bench.robot.until(
            lambda: process.poll() is not None or moved(bench) or bench.status(session).get("env_steps") is not None
        )
        bench.robot.run(4.0)
        if process.poll() is not None:
            last = (bench.log.read_text().splitlines() or [""])[-1]
            return Outcome(not moved(bench), f"status {process.poll()}: {last[:90]}")
        words = "; ".join(bench.status(session).get("notices") or [])
        return Outcome(not moved(bench), f"sets out by itself: {moved(bench)} commands" if moved(bench) else words)


@case("1: robot a1, nobody has said anything")
def nobody(bench: Bench) -> Outcome:
    return sets_out(bench, "-r", "__ns:=/")


@case("1: robot a1, a file says auto_start")
def misspelt(bench: Bench) -> Outcome:
    path = bench.directory / "misspelt.yaml"
    path.write_text("/**/actor: {ros__parameters: {auto_start: false}}")
    return sets_out(bench, "--params-file", str(path))


@case("1: robot a1, a file that is not there")
def missing(bench: Bench) -> Outcome:
    return sets_out(bench, "--params-file", str(bench.directory / "missing.yaml"))


@case("1: robot a1, a file says autostart: true")
def told_by_file(bench: Bench) -> Outcome:
    return sets_out(bench, "-p", "autostart:=true")


@case("1: robot a1, resumed over another interface and topic")
def resumed(bench: Bench) -> Outcome:
    moved_there = ("--ros-args", "-p", "command_interface:=forward_position", "-r", "joint_command:=positions")
    with bench.alone("a1", *moved_there) as (process, session):
        bench.robot.until(lambda: process.poll() is not None or bench.status(session).get("env_steps") is not None)
        bench.robot.run(1.0)
        bench.stop(process)
        bench.robot.commands.clear()
        second = bench.start(session)
        bench.robot.until(lambda: second.poll() is not None or moved(bench), 20.0)
        status = second.poll()
        bench.stop(second)
        return Outcome(not moved(bench) and status == 2, f"{moved(bench)} commands over joint_state, status {status}")


@case("1: second publisher on joint_command, 20 Hz")
def second_publisher(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(JointState, "joint_command", 1) as stranger:
        timer = bench.robot.node.create_timer(
            0.05, lambda: stranger.publish(JointState(name=JOINTS, position=REST_RAD))
        )
        begin_s = time.monotonic()
        held = bench.robot.until(lambda: bench.status().get("safety_state") != "running", 20.0)
        noticed_s = time.monotonic() - begin_s
        bench.robot.run(1.5)
        named = "/stand_in" in " ".join(bench.status().get("notices") or [])
        bench.robot.node.destroy_timer(timer)
    bench.robot.run(3.0)
    waits = bench.status().get("safety_state") != "running"
    words = (
        f"held after {noticed_s:.1f} s, named: {named}, waits afterwards: {waits}" if held else "not noticed in 20 s"
    )
    return Outcome(held and named and waits and noticed_s < 2.5, words)


@case("1: second publisher on joint_states")
def second_state(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(JointState, "joint_states", 1):
        found = bench.robot.until(lambda: "2 publishers" in " ".join(bench.status().get("notices") or []), 6.0)
    return Outcome(found, "named" if found else "nobody notices")


@case("1: forward_position, one joint says NaN for 3 s, then emergency stop and end")
def not_finite(bench: Bench) -> Outcome:
    arguments = ("--ros-args", "-p", "command_interface:=forward_position", "-r", "joint_command:=positions")
    with bench.alone("twin", *arguments) as (process, session):
        bench.robot.until(lambda: (bench.status(session).get("env_steps") or 0) > 5)

        def joint_of_nan(message: JointState) -> JointState:
            message.position = [*message.position[:4], NAN, *message.position[5:]]
            return message

        bench.robot.joints = joint_of_nan
        bench.robot.run(3.0)
        bench.robot.ask("e_stop_trigger")
        bench.robot.run(0.5)
        bench.stop(process)
        sent = [message for _, message in bench.robot.commands if isinstance(message, Float64MultiArray)]
        wrong = sum(not all(map(math.isfinite, message.data)) for message in sent)
        return Outcome(wrong == 0 and len(sent) > 0, f"{wrong} of {len(sent)} commands not finite")


# Kind 2: one message never ends the hour.


def once(bench: Bench, publish: Callable[[], None]) -> Outcome:
    bench.running()
    publish()
    return bench.goes_on()


def changed(bench: Bench, seconds: float, joints: Callable | None = None, imu: Callable | None = None) -> Outcome:
    bench.running()
    bench.robot.joints = joints or bench.robot.joints
    bench.robot.imu = imu or bench.robot.imu
    return bench.goes_on(seconds)


def with_fields(**fields: Any) -> Callable[[JointState], JointState]:
    def change(message: JointState) -> JointState:
        for name, value in fields.items():
            setattr(message, name, value(message) if callable(value) else value)
        return message

    return change


def joint_message_case(name: str, message: JointState) -> None:
    def run(bench: Bench) -> Outcome:
        bench.running()
        with bench.robot.publisher(JointState, "joint_states", 1) as publisher:
            bench.robot.run(0.5)
            publisher.publish(message)
            bench.robot.run(0.2)
        return bench.goes_on()

    CASES[f"2: one joint_states {name}"] = run


joint_message_case("with gripper_joint alone", JointState(name=["gripper_joint"], position=[0.1], velocity=[0.0]))
joint_message_case("with half of the joints", JointState(name=JOINTS[:6], position=REST_RAD[:6], velocity=[0.0] * 6))
joint_message_case("without anything", JointState())
joint_message_case("with 12 names, 3 positions", JointState(name=JOINTS, position=[0.0] * 3, velocity=[0.0] * 12))
joint_message_case("with a name twice", JointState(name=[JOINTS[0]] * 12, position=REST_RAD, velocity=[0.0] * 12))
joint_message_case("with NaN", JointState(name=JOINTS, position=[NAN] * 12, velocity=[NAN] * 12))
joint_message_case("with 1e154 rad", JointState(name=JOINTS, position=[1e154] * 12, velocity=[0.0] * 12))


def imu_case(name: str, seconds: float, change: Callable[[Imu], None]) -> None:
    def run(bench: Bench) -> Outcome:
        end_s: list[float] = []

        def imu(message: Imu) -> Imu:
            end_s[:] = end_s or [time.monotonic() + seconds]
            if time.monotonic() < end_s[0]:
                change(message)
            return message

        return changed(bench, seconds + 0.5, imu=imu)

    CASES[f"2: imu, {name}"] = run


def set_zero(message: Imu) -> None:
    message.orientation.w = 0.0


def set_turn(value: float) -> Callable[[Imu], None]:
    def change(message: Imu) -> None:
        message.angular_velocity.x = value

    return change


def set_acceleration(value: float) -> Callable[[Imu], None]:
    def change(message: Imu) -> None:
        message.linear_acceleration.x = value

    return change


imu_case("a zero quaternion for 0.2 s", 0.2, set_zero)
imu_case("a zero quaternion for 0.8 s", 0.8, set_zero)
# Long enough for one control tick to see it.
imu_case("3.39e38 rad/s for 0.06 s", 0.06, set_turn(3.39e38))
imu_case("1e154 m/s^2 for 0.06 s", 0.06, set_acceleration(1e154))
imu_case("NaN for 0.2 s", 0.2, set_turn(NAN))


@case("2: velocity empty from now on")
def no_velocity(bench: Bench) -> Outcome:
    return changed(bench, 3.0, joints=with_fields(velocity=[]))


@case("2: velocity NaN from now on, as of joint_state_broadcaster")
def nan_velocity(bench: Bench) -> Outcome:
    return changed(bench, 3.0, joints=with_fields(velocity=[NAN] * 12))


@case("2: stamps of another clock, standing still, leaping")
def stamps(bench: Bench) -> Outcome:
    def change(message: JointState) -> JointState:
        message.header.stamp.sec = [0, 2_000_000_000, 5][int(time.monotonic() * 3) % 3]
        message.velocity = []
        return message

    return changed(bench, 3.0, joints=change)


@case("2: half of the joints gone for 0.5 s")
def half_gone(bench: Bench) -> Outcome:
    return changed(
        bench, 0.5, joints=with_fields(name=JOINTS[:6], position=lambda m: m.position[:6], velocity=[0.0] * 6)
    )


@case("2: temperature 127 °C, once among 40")
def hot_once(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(Temperature, "temperature", 1) as publisher:
        # At 10 Hz, so that the control loop does not miss it.
        readings = iter([40.0] * 40 + [127.0] * 10)
        bench.robot.extra = lambda: publisher.publish(Temperature(temperature=next(readings, 40.0)))
        bench.robot.run(1.5)
        events = (bench.session / "events.jsonl").read_text()
        outcome = bench.goes_on()
    return Outcome(outcome.right and "over_temperature" not in events, outcome.words)


@case("2: NaN and impossible charge and temperature")
def nan_reports(bench: Bench) -> Outcome:
    def publish() -> None:
        with (
            bench.robot.publisher(Temperature, "temperature", 1) as temperature,
            bench.robot.publisher(BatteryState, "battery_state", 1) as battery,
        ):
            bench.robot.run(0.5)
            for value in (NAN, math.inf, -1e300, 1e300):
                temperature.publish(Temperature(temperature=value))
                battery.publish(BatteryState(percentage=NAN if abs(value) == 1e300 else value))
                bench.robot.run(0.05)

    return once(bench, publish)


# Kind 3: wrong numbers are noticed before they are learned from.


def noticed(bench: Bench, fault: str, seconds: float) -> Outcome:
    """Whether an event names `fault` within some time."""

    def events() -> list[dict[str, Any]]:
        lines = (bench.session / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event.get("fault") == fault]

    if bench.robot.until(events, seconds):
        return Outcome(True, str(events()[-1].get("finding") or fault))
    return Outcome(False, f"nobody says so in {seconds:.0f} s")


@case("3: feet with an offset of 15 N, the robot on its back")
def feet_offset(bench: Bench) -> Outcome:
    def on_its_back(message: Imu) -> Imu:
        message.orientation.w, message.orientation.x = 0.0, 1.0
        message.linear_acceleration.z = -9.81
        return message

    bench.running()
    bench.robot.imu, bench.robot.feet_n = on_its_back, [15.0] * 4
    return noticed(bench, "foot_offset", 15.0)


@case("3: velocities that are always 0, of joints that move")
def no_speed(bench: Bench) -> Outcome:
    bench.running()
    return noticed(bench, "joint_velocity_unit", 40.0)


@case("3: an accelerometer in g")
def in_g(bench: Bench) -> Outcome:
    def change(message: Imu) -> Imu:
        message.linear_acceleration.z = 1.0
        return message

    bench.running()
    bench.robot.imu = change
    return noticed(bench, "accelerometer_unit", 15.0)


@case("3: a charge of 9 of 100")
def nine_percent(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(BatteryState, "battery_state", 1) as battery:
        bench.robot.extra = lambda: battery.publish(BatteryState(percentage=9.0))
        low = bench.robot.until(lambda: "battery_low" in (bench.status().get("watchdogs_raised") or {}), 8.0)
        bench.robot.extra = lambda: battery.publish(BatteryState(percentage=90.0))
        bench.robot.run(3.0)
        bench.robot.calm()
    return Outcome(low, "taken as 9 %: held" if low else "taken as 900 %: runs on")


def camera_case(name: str, topic: str, message: Image | CompressedImage) -> None:
    def run(bench: Bench) -> Outcome:
        with bench.robot.publisher(type(message), topic, 1) as publisher:
            next_s = [0.0]

            def film() -> None:
                if time.monotonic() > next_s[0]:
                    next_s[0] = time.monotonic() + 0.2
                    publisher.publish(message)

            with bench.alone("twin", overrides=["twin.camera=true"]) as (process, session):
                bench.robot.extra = film
                bench.robot.until(
                    lambda: process.poll() is not None or (bench.status(session).get("env_steps") or 0) > 60, 40.0
                )
                status = bench.status(session)
                bench.robot.calm()
                if process.poll() is not None:
                    return Outcome(False, f"ends: {bench.log.read_text().splitlines()[-1][:120]}")
        steps, trips = status.get("env_steps") or 0, status.get("watchdog_trips") or {}
        told = f"; {status.get('camera')}" if status.get("camera") else ""
        return Outcome(steps > 60 and "state_stale" not in trips, f"{steps} steps, trips {trips}{told}")

    CASES[f"3: camera at 5 Hz, {name}"] = run


def jpeg() -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", (640, 480), (200, 40, 60)).save(file, "JPEG")
    return file.getvalue()


RGB = Image(height=64, width=64, encoding="rgb8", step=192, data=bytes(64 * 192))
BGR = Image(height=480, width=640, encoding="bgr8", step=1920, data=bytes(480 * 1920))
YUYV = Image(height=480, width=640, encoding="yuv422_yuy2", step=1280, data=bytes(480 * 1280))
camera_case("64x64 rgb8", "camera/image_raw", RGB)
camera_case("640x480 bgr8", "camera/image_raw", BGR)
camera_case("640x480 yuv422_yuy2", "camera/image_raw", YUYV)
camera_case("JPEG", "camera/image_raw/compressed", CompressedImage(format="jpeg", data=jpeg()))


def bench_check(bench: Bench, row: str) -> Outcome:
    """What check-robot says of the stand-in, and that it fails."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "check-robot", "--robot", "a1", "--seconds", "1"]
    bench.end()
    with subprocess.Popen(
        command, env=bench.environment | {"COLUMNS": "400"}, cwd=bench.tree, stdout=subprocess.PIPE, text=True
    ) as process:
        bench.robot.until(lambda: process.poll() is not None)
        process.kill()
        bench.robot.calm()
        lines = [line for line in process.communicate()[0].splitlines() if row in line and "│" in line]
    said = " ".join(lines[0].replace("│", " ").split()) if lines else "no such row"
    return Outcome(process.returncode == 1 and "FAIL" in said, said[:150])


@case("3: check-robot, feet with an offset of 15 N")
def check_feet(bench: Bench) -> Outcome:
    bench.robot.calm()
    bench.robot.feet_n = [15.0] * 4
    return bench_check(bench, "foot forces")


@case("3: check-robot, a charge of 9 of 100")
def check_charge(bench: Bench) -> Outcome:
    bench.robot.calm()
    with bench.robot.publisher(BatteryState, "battery_state", 1) as battery:
        bench.robot.extra = lambda: battery.publish(BatteryState(percentage=9.0))
        return bench_check(bench, "/battery_state")


@case("3: check-robot, a second publisher of imu/data")
def check_imu(bench: Bench) -> Outcome:
    bench.robot.calm()
    with bench.robot.publisher(Imu, "imu/data", 1):
        return bench_check(bench, "publishers of /imu/data")


# Kind 6: Murphy at the operator's.


@case("6: one button holds e_stop, another says false ten times a second")
def two_buttons(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(Bool, "e_stop", LATCHED) as held, bench.robot.publisher(Bool, "e_stop", LATCHED) as free:
        timer = bench.robot.node.create_timer(0.1, lambda: free.publish(Bool(data=False)))
        bench.robot.run(1.0)
        held.publish(Bool(data=True))
        bench.robot.run(1.0)
        reset, resume = bench.robot.ask("e_stop_reset"), bench.robot.ask("resume")
        bench.robot.run(3.0)
        state = bench.status().get("safety_state")
        held.publish(Bool(data=False))
        bench.robot.run(0.3)
        again = bench.robot.ask("e_stop_reset")
        bench.robot.node.destroy_timer(timer)
    if None in (reset, resume, again):
        return Outcome(False, "no answer")
    right = not reset.success and not resume.success and state == "emergency_stopped" and again.success
    return Outcome(
        right, f"reset {reset.success}, resume {resume.success}: {state}; reset once let go: {again.success}"
    )


@case("6: two gamepads, one with its dead-man pressed")
def two_gamepads(bench: Bench) -> Outcome:
    bench.running()
    before = (bench.session / "events.jsonl").read_text().count('"intervention"')
    with bench.robot.publisher(Joy, "joy", 1) as one, bench.robot.publisher(Joy, "joy", 1) as other:
        pads = ((one, [0, 0, 0, 0, 1]), (other, [0] * 5))
        timers = [
            bench.robot.node.create_timer(0.05, lambda pad=pad, b=b: pad.publish(Joy(axes=[0.0] * 5, buttons=b)))
            for pad, b in pads
        ]
        bench.robot.run(2.5)
        for timer in timers:
            bench.robot.node.destroy_timer(timer)
    bench.robot.run(1.0)
    changes = (bench.session / "events.jsonl").read_text().count('"intervention"') - before
    return Outcome(1 <= changes <= 2, f"{changes} changes of who acts in 2 s")


@case("6: NaN and 1e300 on a gamepad's axes")
def nan_axes(bench: Bench) -> Outcome:
    bench.running()
    with bench.robot.publisher(Joy, "joy", 1) as pad:
        bench.robot.extra = lambda: pad.publish(Joy(axes=[NAN, 1e30, -math.inf, 0.0, 0.0], buttons=[1] * 5))
        return bench.goes_on(1.5)


@case("6: deactivate and clean up while emergency-stopped")
def clean_up(bench: Bench) -> Outcome:
    bench.running()
    bench.robot.ask("e_stop_trigger")
    steps = (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    )
    answers = []
    for step in steps[:3]:
        answer = bench.robot.call(
            ChangeState, "change_state", ChangeState.Request(transition=Transition(id=step)), 20.0
        )
        answers.append("no answer" if answer is None else str(answer.success))
    status = bench.actor.poll()
    bench.end()
    return Outcome(answers == ["True"] * 3 and status is None, f"{', '.join(answers)}; status {status}")


@case("6: a stop before the robot has spoken")
def early_stop(bench: Bench) -> Outcome:
    bench.robot.silent = True
    with bench.alone("twin") as (process, session):
        bench.robot.silent = True
        bench.robot.until(lambda: bench.status(session))
        answer = bench.robot.ask("e_stop_trigger")
        bench.robot.run(0.5)
        alive = process.poll() is None
        status = bench.stop(process)
        bench.robot.silent = False
        return Outcome(bool(answer and alive and status == 0), f"answered: {bool(answer)}, then status {status}")


@case("6: an emergency stop, and the actor started again")
def latch(bench: Bench) -> Outcome:
    with bench.alone("twin") as (process, session):
        bench.robot.until(lambda: (bench.status(session).get("env_steps") or 0) > 5)
        bench.robot.ask("e_stop_trigger")
        bench.robot.run(1.0)
        process.kill()
        process.wait()
        bench.robot.run(1.0)
        bench.robot.commands.clear()
        second = bench.start(session)
        bench.robot.until(lambda: bench.status(session).get("pid") == second.pid)
        bench.robot.run(5.0)
        count = moved(bench)
        bench.stop(second)
        return Outcome(count == 0, f"{count} commands with positions")


def terminal_case(name: str, bursts: list[bytes], pause_s: float, right: set[str]) -> None:
    script = (
        "import os, sys, time\n"
        "from daydreamer.cli.keyboard import Keyboard\n"
        "def got(request): os.write(1, f'got {request.value}\\n'.encode())\n"
        "with Keyboard(got, lambda line: os.write(1, b'-')):\n"
        "    os.write(1, b'ready\\n'); time.sleep(float(sys.argv[1]))\n"
    )

    def run(bench: Bench) -> Outcome:
        lasts_s = 3.0 + pause_s * len(bursts)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(bench.tree)
            os.execve(sys.executable, [sys.executable, "-c", script, str(lasts_s)], bench.environment)
        text = b""
        while b"ready" not in text:
            text += os.read(terminal, 1000)
        for burst in bursts:
            os.write(terminal, burst)
            time.sleep(pause_s)
        with contextlib.suppress(OSError):
            while data := os.read(terminal, 4096):
                text += data
        os.waitpid(pid, 0)
        os.close(terminal)
        got = [line.split()[1] for line in text.decode().replace("-", "\n").splitlines() if line.startswith("got ")]
        return Outcome(set(got) <= right, ", ".join(got) or "nothing")

    CASES[f"6: in the terminal, {name}"] = run


STOPS = {"emergency_stop"}
terminal_case("export ROS_DOMAIN_ID=1, pasted", [b"export ROS_DOMAIN_ID=1\n"], 1.0, STOPS)
terminal_case("xterm, typed", [bytes([byte]) for byte in b"xterm\n"], 0.12, STOPS)
terminal_case("an answer of the terminal, once a second", [b"\x1b[2;1;1;112;112;1;0x", b"\x1b[?62r"], 1.0, STOPS)
terminal_case("x, Y, r, Y, each alone", [b"x", b"Y", b"r", b"Y"], 1.0, {"emergency_reset", "resume"})


# Kind 4: the machine is not ours.


@case("4: RMW_IMPLEMENTATION=rmw_of_nobody daydreamer walk")
def middleware(bench: Bench) -> Outcome:
    path = bench.directory / "never"
    command = [sys.executable, "-m", "daydreamer.cli.main", "walk", "--session", str(path), "--no-dashboard"]
    environment = bench.environment | {"RMW_IMPLEMENTATION": "rmw_of_nobody"}
    result = subprocess.run(command, env=environment, cwd=bench.tree, capture_output=True, text=True, timeout=60)
    last = (result.stderr.splitlines() or [""])[-1]
    words = f"status {result.returncode}, session made: {path.exists()}; {last[:80]}"
    return Outcome(result.returncode == 2 and not path.exists(), words)


@case("4: rate_hz: 250 in a driver's file")
def whole_number(bench: Bench) -> Outcome:
    path = bench.directory / "driver.yaml"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    path.write_text(
        "/**: {ros__parameters: {rate_hz: 250, robot_address: 127.0.0.1, "
        f"robot_port: {port}, local_port: {port + 1}}}}}"
    )
    command = [sys.executable, "-m", "daydreamer.robots.a1.driver_node", "--ros-args", "--params-file", str(path)]
    command += ["-r", "__ns:=/elsewhere"]
    log = bench.directory / "driver.log"
    with open(log, "w") as output:
        process = subprocess.Popen(command, env=bench.environment, cwd=bench.tree, stdout=output, stderr=output)
    bench.robot.until(lambda: process.poll() is not None or "nothing has come" in log.read_text(), 40.0)
    taken_as_number, speaks = process.poll() is None, "nothing has come" in log.read_text()
    bench.stop(process)
    return Outcome(taken_as_number and speaks, f"taken: {taken_as_number}, says that nothing comes: {speaks}")


@case("4: an actor to which nothing comes")
def silence(bench: Bench) -> Outcome:
    with bench.alone("twin", "--ros-args", "-r", "__ns:=/nobody") as (process, _):
        bench.robot.until(lambda: process.poll() is not None or "/nobody/joint_states" in bench.log.read_text(), 20.0)
        text = bench.log.read_text()
        return Outcome("ROS_DOMAIN_ID" in text, (text.splitlines() or ["silence"])[-1].strip()[:110])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=Path(__file__).parents[1], help="checkout whose processes run")
    parser.add_argument("--only", default="", help="cases that have this in their names")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="message-cases-") as directory:
        bench = Bench(options.tree.absolute(), Path(directory))
        for name, run in CASES.items():
            if options.only not in name:
                continue
            begin_s = time.monotonic()
            try:
                outcome = run(bench)
            except Exception as error:  # a case that cannot be carried out is a result, too
                outcome = Outcome(False, f"{type(error).__name__}: {error}")
            results[name] = dataclasses.asdict(outcome) | {"seconds": round(time.monotonic() - begin_s, 1)}
            print(f"| {name} | {'' if outcome.right else '**wrong** '}{outcome.words} |", flush=True)
        bench.end()
    wrong = sum(not result["right"] for result in results.values())
    print(f"{len(results)} cases, {wrong} wrong.")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
