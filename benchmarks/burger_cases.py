"""What a live actor of the Burger does about cameras, odometry and other nodes that are not as they should be.

    PYTHONPATH=. python benchmarks/burger_cases.py [--only WORD] [--json FILE]

The robot is a stand-in: its twin behind the topics that turtlebot3_node has, as ROBOTIS' driver fills them (20 Hz,
wheel speeds in m/s, no command timeout, Twist or TwistStamped), and a camera whose pictures each case may spoil. The
actor is a process of its own, set out by its service. The table says what it noticed, whether the robot stood, how many
steps were logged, and what the last command was. Exit status 1 if a case comes out wrong.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import msgspec
import numpy as np
import rclpy
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from PIL import Image as Picture
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image, Imu, JointState
from std_srvs.srv import Trigger

from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    JOINT_POSITION,
    JOINT_VELOCITY,
    LINEAR_ACCELERATION,
    ODOMETRY_POSE,
    ODOMETRY_TWIST,
    ORIENTATION,
)
from daydreamer.experience.tail import ExperienceTail
from daydreamer.robots.burger.constants import WHEEL_JOINTS, WHEEL_RADIUS_M
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session
from ros_nodes import topics

DOMAIN = 39
STATE_PERIOD_S = 0.05
TIMEOUT_S = 120.0
DRIVE_S, FAULT_S, AFTER_S = 4.0, 5.0, 5.0
STANDS_M_S, STANDS_RAD_S = 0.01, 0.05


@dataclasses.dataclass
class Fault:
    """How the stand-in differs from a Burger that works.

    Attributes:
      picture: what becomes of a picture, RGB `[64, 64, 3]`: a message, or None for none.
      picture_period_s: between two pictures.
      picture_behind_s: they are stamped, and were taken, so long ago.
      pose: of the odometry, what becomes of it.
      state_stops: joint_states, odom and imu are silent.
      wheels_stop: the motors have no power.
    """

    picture: Callable[[np.ndarray], Any] | None = None
    picture_period_s: float = 0.1
    picture_behind_s: float = 0.0
    pose: Callable[[np.ndarray], np.ndarray] | None = None
    state_stops: bool = False
    wheels_stop: bool = False


class StandIn:
    """A twin behind a TurtleBot3's topics; time is the machine's.

    Attributes:
      fault: of now.
      commands: (time, forward speed, turn rate) of each that came.
    """

    def __init__(self, command_type: type) -> None:
        config = configure(robot="burger", task="reach", minutes=1.0, seed=1)
        self.fault = Fault()
        self.commands: list[tuple[float, float, float]] = []
        self._twin = find_robot("burger").make_twin(config.twin, 1)
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=DOMAIN)
        self.node = rclpy.create_node("turtlebot3_node", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        make = self.node.create_publisher
        self._joints, self._imu = make(JointState, "joint_states", 10), make(Imu, "imu", 10)
        self._odometry = make(Odometry, "odom", 10)
        self._pictures = {
            Image: make(Image, "camera/image_raw", 10),
            CompressedImage: make(CompressedImage, "camera/image_raw/compressed", 10),
        }
        self.node.create_subscription(command_type, "cmd_vel", self._on_command, 10)
        self._delayed: collections.deque[tuple[float, np.ndarray]] = collections.deque()
        self._simulated_s = self._state_s = self._picture_s = time.monotonic()

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Lets time pass; whether `until` came true."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=0.005)
            self._live()
            if until():
                return True
        return False

    def speed(self) -> tuple[float, float]:
        """What the robot truly does now: forward in m/s, turning in rad/s."""
        return float(self._twin.truth().velocity_m_s[0]), float(self._twin.data.qvel[5])

    @property
    def stands(self) -> bool:
        forward_m_s, turn_rad_s = self.speed()
        return abs(forward_m_s) < STANDS_M_S and abs(turn_rad_s) < STANDS_RAD_S

    def close(self) -> None:
        self._twin.close()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.shutdown()

    def _on_command(self, message: Any) -> None:
        twist = getattr(message, "twist", message)
        self.commands.append((time.monotonic(), twist.linear.x, twist.angular.z))
        self._twin.command(np.array((twist.linear.x, twist.angular.z)))

    def _live(self) -> None:
        now_s = time.monotonic()
        self._twin.driver.strength[:] = 0.0 if self.fault.wheels_stop else 1.0
        self._twin.advance(min(now_s - self._simulated_s, 0.1))
        self._simulated_s = now_s
        if now_s - self._state_s >= STATE_PERIOD_S:
            self._state_s = now_s
            if not self.fault.state_stops:
                self._say_state(self._twin.read())
        if now_s - self._picture_s >= self.fault.picture_period_s:
            self._picture_s = now_s
            self._say_picture(self._twin.read()[CAMERA])

    def _say_state(self, signals: Mapping[str, np.ndarray]) -> None:
        stamp = self.node.get_clock().now().to_msg()
        # In m/s, as turtlebot3_node has it.
        speeds = WHEEL_RADIUS_M * signals[JOINT_VELOCITY]
        self._joints.publish(topics.joint_state_message(stamp, WHEEL_JOINTS, signals[JOINT_POSITION], speeds))
        self._imu.publish(
            topics.imu_message(stamp, *(signals[name] for name in (ORIENTATION, ANGULAR_VELOCITY, LINEAR_ACCELERATION)))
        )
        pose = signals[ODOMETRY_POSE] if self.fault.pose is None else self.fault.pose(signals[ODOMETRY_POSE])
        self._odometry.publish(topics.odometry_message(stamp, signals[ODOMETRY_TWIST], pose))

    def _say_picture(self, picture: np.ndarray) -> None:
        now_s = time.time()
        self._delayed.append((now_s, picture))
        while len(self._delayed) > 1 and self._delayed[1][0] <= now_s - self.fault.picture_behind_s:
            self._delayed.popleft()
        _, picture = self._delayed[0]
        message = as_rgb(picture) if self.fault.picture is None else self.fault.picture(picture)
        if message is None:
            return
        taken_s = now_s - self.fault.picture_behind_s
        message.header.stamp.sec, message.header.stamp.nanosec = int(taken_s), int(1e9 * (taken_s % 1.0))
        self._pictures[type(message)].publish(message)


def as_rgb(picture: np.ndarray) -> Image:
    height, width, _ = picture.shape
    return Image(height=height, width=width, encoding="rgb8", step=3 * width, data=picture.tobytes())


def large_bgr(picture: np.ndarray) -> Image:
    """640x480, as a webcam has it."""
    large = np.asarray(Picture.fromarray(picture).resize((640, 480)))[..., ::-1]
    return Image(height=480, width=640, encoding="bgr8", step=1920, data=large.tobytes())


def as_jpeg(picture: np.ndarray) -> CompressedImage:
    data = io.BytesIO()
    Picture.fromarray(picture).resize((320, 240)).save(data, "JPEG", quality=80)
    return CompressedImage(format="jpeg", data=data.getvalue())


class Frozen:
    """The picture that came first, again and again."""

    def __init__(self) -> None:
        self._message: Image | None = None

    def __call__(self, picture: np.ndarray) -> Image:
        self._message = self._message or as_rgb(picture)
        return self._message


class Actor:
    """The actor's process, of a session on hardware."""

    def __init__(self, directory: Path, words: tuple[str, ...] = ()) -> None:
        # Random actions for all of it: there is no learner here, whose silence is another matter.
        overrides = ["actor.random_s=100000", "safety.learner_silent_s=3600", "safety.policy_old_s=3600"]
        config = configure(
            robot="burger", task="reach", body="hardware", minutes=10.0, seed=1, preset="tiny", overrides=overrides
        )
        self.session: Session = new_session(directory / "session", config)
        self.log = directory / "actor.log"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ros_nodes.actor_node", "--session", str(self.session.path)),
                *("--ros-args", "-r", "imu/data:=imu", *words),
            ],
            env=os.environ | {"ROS_DOMAIN_ID": str(DOMAIN)},
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )

    def set_out(self, robot: StandIn) -> str:
        """Asks it to, until it does; what it said last."""
        client = robot.node.create_client(Trigger, "actor/resume")
        end_s, said = time.monotonic() + TIMEOUT_S, "no answer"
        while time.monotonic() < end_s and self.process.poll() is None:
            if client.service_is_ready():
                future = client.call_async(Trigger.Request())
                robot.spin(5.0, future.done)
                if future.done():
                    said = future.result().message
                    if future.result().success:
                        break
            robot.spin(0.5)
        robot.node.destroy_client(client)
        return said

    def steps(self) -> int:
        return len(ExperienceTail(self.session.experience, self.session.spec).read())

    def problems(self) -> list[str]:
        """What is wrong with the log; empty where each step is there once."""
        tail = ExperienceTail(self.session.experience, self.session.spec)
        steps = tail.read()
        wrong = [problem.text for problem in tail.problems]
        numbers = [step.sequence for step in steps]
        return wrong + ([] if numbers == list(range(len(numbers))) else [f"sequence numbers {numbers}"])

    def noticed(self) -> list[str]:
        """Watchdogs that were raised and messages that were complained of, once each."""
        said: dict[str, None] = {}
        for event in read_events(self.session.events):
            if event["event"] == "watchdog":
                subject = event.get("subject")
                said[f"{event['name']} ({subject})" if subject else event["name"]] = None
            elif event["event"] == "message":
                said[f"message: {event['fault']}"] = None
        return list(said)

    def stop(self, robot: StandIn) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        robot.spin(TIMEOUT_S, lambda: self.process.poll() is not None)
        if self.process.poll() is None:
            self.process.kill()
        robot.spin(0.3)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
      name: for the table.
      fault: from `DRIVE_S` on, for `FAULT_S`.
      stands: the robot is to stand by the end of it; otherwise it is to go on.
      goes_on: it is to go on by itself once that is over.
      expected: what is to be noticed, as a part of it; empty where nothing is.
      command_type: what the stand-in obeys.
      words: for the actor.
      stranger: another node publishes cmd_vel meanwhile.
    """

    name: str
    fault: Callable[[], Fault] = Fault
    stands: bool = False
    goes_on: bool = True
    expected: str = ""
    command_type: type = TwistStamped
    words: tuple[str, ...] = ()
    stranger: bool = False
    during_s: float = FAULT_S
    after_s: float = AFTER_S


def reset_pose() -> Fault:
    offset: list[np.ndarray] = []

    def reset(pose: np.ndarray) -> np.ndarray:
        offset[:] = offset or [pose]
        return pose - offset[0] + np.array((0.0, 0.0, 0.0))

    return Fault(pose=reset)


CASES = (
    Case("nothing wrong"),
    Case("Twist instead of TwistStamped", command_type=Twist),
    Case("Twist, as the parameter says", command_type=Twist, words=("-p", "command_interface:=twist")),
    Case("camera silent", lambda: Fault(picture=lambda picture: None), stands=True, expected="image_stale"),
    Case(
        "camera frozen",
        lambda: Fault(picture=Frozen()),
        stands=True,
        expected="the same picture again",
        after_s=8.0,
    ),
    Case(
        "camera black",
        lambda: Fault(picture=lambda picture: as_rgb(np.zeros_like(picture))),
        stands=True,
        expected="are black",
        after_s=8.0,
    ),
    Case("camera 640x480 bgr8", lambda: Fault(picture=large_bgr)),
    Case("camera JPEG on the compressed topic", lambda: Fault(picture=as_jpeg), during_s=10.0, expected="image_stale"),
    Case("camera at 5 Hz", lambda: Fault(picture_period_s=0.2)),
    Case(
        "camera 10 s behind",
        lambda: Fault(picture_behind_s=10.0),
        stands=True,
        expected="message: behind",
    ),
    Case("odometry reset to zero", reset_pose, expected="has leapt", during_s=8.0),
    Case("state silent", lambda: Fault(state_stops=True), stands=True, goes_on=False, expected="state_lost"),
    Case(
        "wheels without power",
        lambda: Fault(wheels_stop=True),
        stands=True,
        expected="does not turn as it is told",
        after_s=8.0,
    ),
    Case("cmd_vel with another publisher", stranger=True, stands=True, goes_on=False, expected="commanded_by_others"),
)


@dataclasses.dataclass
class Result:
    """A row of the table; `right` if all is as the case wants it."""

    case: str
    right: bool
    drove: bool
    stood: bool
    went_on: bool
    noticed: list[str]
    steps: int
    last_command: list[float]
    wrong: list[str]


def play(case: Case, directory: Path) -> Result:
    robot = StandIn(case.command_type)
    with contextlib.closing(robot):
        actor = Actor(directory, case.words)
        try:
            said = actor.set_out(robot)
            robot.spin(10.0, lambda: not robot.stands)
            drove = moved(robot, DRIVE_S)
            robot.fault = case.fault()
            with stranger(robot) if case.stranger else contextlib.nullcontext():
                robot.spin(case.during_s - 1.0)
                stood = not moved(robot, 1.0)
            steps_before = actor.steps()
            robot.fault = Fault()
            robot.spin(case.after_s)
            went_on = actor.steps() > steps_before + 3
            alive = actor.process.poll() is None
        finally:
            actor.stop(robot)
    wrong = actor.problems()
    if not drove:
        wrong.append(f"it did not set out: {said}; {actor.log.read_text()[-300:]}")
    if not alive:
        wrong.append(f"the actor ended: {actor.log.read_text()[-300:]}")
    if stood != case.stands and case.expected != "has leapt" and not (case.name.startswith("camera JPEG")):
        wrong.append("it stood" if stood else "it did not stand")
    if went_on != case.goes_on:
        wrong.append("it went on by itself" if went_on else "it did not go on")
    noticed = actor.noticed()
    if case.expected and not any(case.expected in each for each in noticed):
        wrong.append(f"'{case.expected}' was not noticed")
    if not case.expected and noticed:
        wrong.append("something was noticed where nothing is wrong")
    last = [round(value, 3) for value in robot.commands[-1][1:]] if robot.commands else []
    if any(last):
        wrong.append("the last command is no stop")
    return Result(case.name, not wrong, drove, stood, went_on, noticed, actor.steps(), last, wrong)


def moved(robot: StandIn, seconds: float) -> bool:
    """Whether the robot moves within `seconds`, all of which pass."""
    moves = False

    def look() -> bool:
        nonlocal moves
        moves |= not robot.stands
        return False

    robot.spin(seconds, look)
    return moves


@contextlib.contextmanager
def stranger(robot: StandIn) -> Iterator[None]:
    """Somebody else who stops the robot, ten times a second."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = rclpy.create_node("teleop", context=context)
    publisher = node.create_publisher(TwistStamped, "cmd_vel", 1)
    timer = robot.node.create_timer(0.1, lambda: publisher.publish(TwistStamped()))
    try:
        yield
    finally:
        robot.node.destroy_timer(timer)
        node.destroy_node()
        context.shutdown()


def without_opengl() -> Result:
    """The twin on a machine that cannot draw: a sentence, before anything moves."""
    with tempfile.TemporaryDirectory() as directory:
        result = subprocess.run(
            [
                *(sys.executable, "-m", "daydreamer.cli.main", "train", "burger", "reach", "--preset", "tiny"),
                *("--steps", "10", "--out", f"{directory}/session"),
            ],
            env=os.environ | {"MUJOCO_GL": "none_such"},
            capture_output=True,
            text=True,
            timeout=600,
        )
    said = result.stderr.strip().splitlines()[-1:]
    right = result.returncode == 2 and bool(said) and "MUJOCO_GL" in said[0] and "Traceback" not in result.stderr
    wrong = [] if right else [result.stderr[-300:]]
    return Result("no OpenGL for the twin", right, False, True, False, said, 0, [], wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    for case in (case for case in CASES if options.only in case.name):
        with tempfile.TemporaryDirectory(prefix="burger-") as directory:
            results.append(play(case, Path(directory)))
        show(results[-1])
    if options.only in "no OpenGL for the twin":
        results.append(without_opengl())
        show(results[-1])
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    return 0 if all(result.right for result in results) else 1


def show(result: Result) -> None:
    verdict = "ok   " if result.right else "WRONG"
    print(f"{verdict} {result.case}: {'; '.join(result.noticed) or 'nothing noticed'}", flush=True)
    print(
        f"      drove {result.drove}, stood {result.stood}, went on {result.went_on}, {result.steps} steps, "
        f"last command {result.last_command}",
        flush=True,
    )
    for text in result.wrong:
        print(f"      {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
