"""What a live actor of the Burger does about cameras, odometry and other nodes that are not as they should be.

    PYTHONPATH=. python benchmarks/burger_cases.py [--only WORD] [--json FILE]

The robot is a stand-in: its twin behind the topics that turtlebot3_node has, as ROBOTIS' driver fills them (20 Hz,
wheel speeds in m/s, no command timeout, Twist or TwistStamped), and a camera whose pictures each case may spoil. The
actor is a process of its own, set out by its service; its actions are random. Once it drives and logs, the fault
begins. The table says what it noticed, what `daydreamer status` told its operator, after how long the robot stood, how
many steps were logged, and what the last command was. Exit status 1 if a case comes out wrong.
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
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

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
from daydreamer.robots.burger.twin import ROOM, BurgerTwin
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session
from daydreamer.telemetry.advice import judge
from daydreamer.telemetry.session_telemetry import TelemetryReader
from ros_nodes import topics

DOMAIN = 39
STATE_PERIOD_S = 0.05
PICTURE_PERIOD_S = 0.1
BEHIND_S = 10.0

TIMEOUT_S = 120.0
BEGINS_S, BEGINS_STEPS = 60.0, 5
"""A fault begins once so many steps have been logged, within so long: an episode begins with driving off at random."""

GOES_ON_S, GOES_ON_STEPS = 30.0, 3
"""So many steps are logged within so long, once the fault is over."""

LOOK_PERIOD_S = 0.5
"""Between two looks of whoever watches `daydreamer status`."""

WAITS_S = 6.0
"""A robot that waits for its operator is watched for so long."""

STANDS_M_S, STANDS_RAD_S = 0.01, 0.05
STANDS_FOR_S, RECENT_S = 0.5, 3.0
"""Shorter stands are between two random actions; at the end of a fault the latest so many seconds are looked at."""

Outcome = Literal["drives", "pauses", "stands, then drives", "stands until resumed", "does not set out"]
"""What a fault leads to: nothing; a stop, after which the robot goes on though the fault stays; a stop for as long as
the fault is there; one that an operator has to end; or the robot is not set out at all."""


@dataclasses.dataclass
class Fault:
    """How the stand-in differs from a Burger that works.

    Attributes:
      picture: what becomes of a picture, RGB `[64, 64, 3]`: a message, or None for none.
      picture_period_s: between two pictures.
      picture_behind_s: they are stamped, and were taken, so long ago, `BEHIND_S` at most.
      pose: of the odometry, what becomes of it.
      state_stops: joint_states, odom and imu are silent.
      wheels_stop: the motors have no power, and their gears keep the wheels from turning.
    """

    picture: Callable[[np.ndarray], Any] | None = None
    picture_period_s: float = PICTURE_PERIOD_S
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
        camera = dataclasses.replace(ROOM.cameras[0], period_s=PICTURE_PERIOD_S)
        self._twin = BurgerTwin(dataclasses.replace(ROOM, cameras=(camera,)), config.twin, 1)
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
        self._taken: collections.deque[tuple[float, np.ndarray]] = collections.deque(
            maxlen=round(BEHIND_S / PICTURE_PERIOD_S)
        )
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
        if self.fault.wheels_stop:
            self._twin.command(np.zeros(2))
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
        self._taken.append((now_s, picture))
        old_enough = [taken for taken in self._taken if taken[0] <= now_s - self.fault.picture_behind_s]
        taken_s, picture = old_enough[-1] if old_enough else self._taken[0]
        message = as_rgb(picture) if self.fault.picture is None else self.fault.picture(picture)
        if message is not None:
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

    def set_out(self, robot: StandIn, patience_s: float = TIMEOUT_S) -> str:
        """Asks it to, until it does; what it said last."""
        client = robot.node.create_client(Trigger, "actor/resume")
        end_s, said = time.monotonic() + patience_s, "no answer"
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
            if event["kind"] == "watchdog":
                subject = event.get("subject")
                said[f"{event['name']} ({subject})" if subject else event["name"]] = None
            elif event["kind"] == "message":
                said[f"message: {event['fault']}"] = None
        return list(said)

    def stop(self, robot: StandIn) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        robot.spin(TIMEOUT_S, lambda: self.process.poll() is not None)
        if self.process.poll() is None:
            self.process.kill()
        robot.spin(0.3)


class Onlooker:
    """Notes what `daydreamer status` tells somebody who looks again and again.

    Attributes:
      told: sentences on what keeps the robot from moving, and on messages.
    """

    def __init__(self, session: Session) -> None:
        self.told: dict[str, None] = {}
        self._telemetry = TelemetryReader(session)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOK_PERIOD_S):
            telemetry = self._telemetry.read()
            sentences = [each.sentence for each in judge(telemetry) if each.rule == "robot_stopped"]
            usual = ("waits for", "operator", "resume by")
            sentences += [text for text in telemetry.status["notices"] or [] if not text.startswith(usual)]
            self.told |= dict.fromkeys(sentences)


@dataclasses.dataclass(frozen=True)
class Case:
    """One thing that is wrong.

    Attributes:
      name: for the table.
      outcome: see `Outcome`.
      fault: what it is.
      expected: what is to be noticed, as a part of it; empty where nothing is.
      during_s: so long the fault is watched.
      from_the_start: it is there before the actor is.
      command_type: what the stand-in obeys.
      words: for the actor.
      stranger: another node publishes cmd_vel meanwhile.
    """

    name: str
    outcome: Outcome
    fault: Callable[[], Fault] = Fault
    expected: str = ""
    during_s: float = 6.0
    from_the_start: bool = False
    command_type: type = TwistStamped
    words: tuple[str, ...] = ()
    stranger: bool = False


def reset_pose() -> Fault:
    """From now on it is counted from where the robot is now."""
    origin: list[np.ndarray] = []

    def reset(pose: np.ndarray) -> np.ndarray:
        origin[:] = origin or [pose]
        return pose - origin[0]

    return Fault(pose=reset)


def no_picture(picture: np.ndarray) -> None:
    return None


def black(picture: np.ndarray) -> Image:
    return as_rgb(np.zeros_like(picture))


CASES = (
    Case("nothing wrong", "drives"),
    Case("Twist instead of TwistStamped", "drives", command_type=Twist),
    Case("Twist, as the parameter says", "drives", command_type=Twist, words=("-p", "command_interface:=twist")),
    Case("no camera", "does not set out", lambda: Fault(picture=no_picture), "camera/image_raw", from_the_start=True),
    Case("camera silent", "stands, then drives", lambda: Fault(picture=no_picture), "image_stale"),
    Case("camera frozen", "stands, then drives", lambda: Fault(picture=Frozen()), "the same picture again"),
    Case("camera black", "stands, then drives", lambda: Fault(picture=black), "are black"),
    Case("camera 640x480 bgr8", "drives", lambda: Fault(picture=large_bgr)),
    Case("camera JPEG only", "drives", lambda: Fault(picture=as_jpeg), from_the_start=True),
    Case("camera changes to JPEG", "pauses", lambda: Fault(picture=as_jpeg), "image_stale", during_s=20.0),
    Case("camera at 5 Hz", "drives", lambda: Fault(picture_period_s=0.2)),
    Case("camera 10 s behind", "stands, then drives", lambda: Fault(picture_behind_s=BEHIND_S), "message: behind"),
    Case("odometry reset to zero", "pauses", reset_pose, "has leapt", during_s=20.0),
    Case("state silent", "stands until resumed", lambda: Fault(state_stops=True), "state_lost"),
    Case("wheels without power", "stands, then drives", lambda: Fault(wheels_stop=True), "does not turn as it is told"),
    Case("cmd_vel with another publisher", "stands until resumed", expected="commanded_by_others", stranger=True),
)


@dataclasses.dataclass
class Watched:
    """What the robot did while a fault was there.

    Attributes:
      longest_stand_s: at a time.
      stood_after_s: from the fault's beginning to the stand in which the robot was at last; None if it was driving.
      moved_lately: within the latest `RECENT_S`.
    """

    longest_stand_s: float
    stood_after_s: float | None
    moved_lately: bool


@dataclasses.dataclass
class Result:
    """A row of the table; `right` if all is as the case wants it."""

    case: str
    outcome: str
    right: bool
    stood_after_s: float | None
    noticed: list[str]
    told: list[str]
    steps: int
    last_command: list[float]
    wrong: list[str]


def play(case: Case, directory: Path) -> Result:
    robot, wrong = StandIn(case.command_type), []
    with contextlib.closing(robot):
        if case.from_the_start:
            robot.fault = case.fault()
        actor = Actor(directory, case.words)
        onlooker = Onlooker(actor.session)
        try:
            if case.outcome == "does not set out":
                said, watched = actor.set_out(robot, 15.0), watch(robot, RECENT_S)
                onlooker.told[said] = None
                robot.fault = Fault()
                wrong += [] if logs(robot, actor, BEGINS_STEPS, actor.set_out) else ["it did not set out afterwards"]
            else:
                watched = play_fault(case, robot, actor, wrong)
            if actor.process.poll() is not None:
                wrong.append("the actor ended")
        finally:
            actor.stop(robot)
            onlooker.close()
        if not robot.stands:
            wrong.append("the robot drives on at the end")
    wrong += actor.problems() + unlike(case, watched)
    noticed = actor.noticed()
    if case.expected and not any(case.expected in each for each in (*noticed, *onlooker.told)):
        wrong.append(f"'{case.expected}' was not noticed")
    if case.expected and not onlooker.told:
        wrong.append("nobody was told")
    if not case.expected and (noticed or onlooker.told):
        wrong.append("something was noticed where nothing is wrong")
    last = [round(value, 3) for value in robot.commands[-1][1:]] if robot.commands else []
    if any(last):
        wrong.append("the last command is no stop")
    if wrong:
        wrong.append(actor.log.read_text()[-500:])
    stood_after_s = None if watched.stood_after_s is None else round(watched.stood_after_s, 2)
    return Result(
        case.name, case.outcome, not wrong, stood_after_s, noticed, list(onlooker.told), actor.steps(), last, wrong
    )


def play_fault(case: Case, robot: StandIn, actor: Actor, wrong: list[str]) -> Watched:
    """From setting out to going on after the fault; adds what went wrong."""
    said = actor.set_out(robot)
    if not logs(robot, actor, BEGINS_STEPS):
        wrong.append(f"it did not set out: {said}")
    if not case.from_the_start:
        robot.fault = case.fault()
    with stranger(robot) if case.stranger else contextlib.nullcontext():
        watched = watch(robot, case.during_s)
    if case.outcome in ("drives", "pauses"):
        resumed = None
    else:
        robot.fault = Fault()
        if case.outcome == "stands until resumed" and watch(robot, WAITS_S).stood_after_s != 0.0:
            wrong.append("it did not wait for its operator")
        resumed = actor.set_out if case.outcome == "stands until resumed" else None
    if not logs(robot, actor, GOES_ON_STEPS, resumed):
        wrong.append("it did not go on")
    return watched


def logs(robot: StandIn, actor: Actor, steps: int, first: Callable[[StandIn], str] | None = None) -> bool:
    """Whether so many further steps are logged in time, once `first` has been done."""
    before = actor.steps()
    if first is not None:
        first(robot)
    end_s = time.monotonic() + max(BEGINS_S, GOES_ON_S)
    while time.monotonic() < end_s:
        robot.spin(1.0)
        if actor.steps() >= before + steps:
            return True
    return False


def unlike(case: Case, watched: Watched) -> list[str]:
    """In what the robot did otherwise than the case wants."""
    stood = watched.longest_stand_s >= STANDS_FOR_S
    match case.outcome:
        case "drives":
            return [] if watched.moved_lately else ["it stood"]
        case "pauses":
            return ([] if stood else ["it did not stand"]) + ([] if watched.moved_lately else ["it did not go on"])
    stands = watched.stood_after_s is not None and not watched.moved_lately
    return [] if stands else ["it did not stand"]


def watch(robot: StandIn, seconds: float) -> Watched:
    """Lets time pass and looks at how the robot moves."""
    begin_s = moved_s = time.monotonic()
    longest_s = 0.0
    moves = False

    def look() -> bool:
        nonlocal moved_s, longest_s, moves
        longest_s = max(longest_s, time.monotonic() - moved_s)
        if not robot.stands:
            moved_s, moves = time.monotonic(), True
        return False

    robot.spin(seconds, look)
    now_s = time.monotonic()
    stands = now_s - moved_s >= STANDS_FOR_S
    return Watched(longest_s, moved_s - begin_s if stands else None, moves and now_s - moved_s < RECENT_S)


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
    return Result("no OpenGL for the twin", "does not set out", right, None, [], said, 0, [], wrong)


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
    stood = "" if result.stood_after_s is None else f", stood after {result.stood_after_s:.2f} s"
    print(f"{verdict} {result.case}: {result.outcome}{stood}, {result.steps} steps, last {result.last_command}")
    for text in (*result.noticed, *result.told, *result.wrong):
        print(f"      {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
