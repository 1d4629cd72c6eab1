"""Checks a robot's driver against the robot's folder, over live topics; `daydreamer check-robot` runs it.

First it only listens to a robot that is left alone. With --move it then moves one joint after the other by a few
degrees and looks at what is reported: the robot must hang or lie so that its legs are free, with an operator at the
emergency stop. It does not move a robot that has failed a check.

Of the node's parameters there is foot_force_unloaded_n, as the actor's: what each foot reads in the air.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import rclpy
from rclpy.node import Node
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daydreamer.config import SessionConfig
from daydreamer.contract.frames import rotation_matrix
from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import CAMERA, Signal
from daydreamer.contract.task import Task
from daydreamer.errors import UserError
from daydreamer.robots import checks, sensor_checks
from daydreamer.robots.checks import Check, GuidedMotion, TopicRecord, Verdict
from daydreamer.robots.registry import make_task
from daydreamer.robots.sensor_watch import ON_BACK_Z
from daydreamer.scheduling import missing_permissions
from daydreamer.session.new import configure
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import runtime, topics
from ros_nodes.camera import TRANSPORTS, Camera
from ros_nodes.commands import CommandPublisher
from ros_nodes.graph_checks import check_listeners, why_silent_here
from ros_nodes.graph_watch import others_than_twin, publishers_of
from ros_nodes.parameters import declare_foot_forces
from ros_nodes.recorder import Recorder, listen

COMMAND_PERIOD_S = 0.05
MOVE_S = 0.4
HOLD_S = 0.2
SILENT_S = 1.0
"""A robot that is being moved may say nothing of its joints for so long."""
FAILED_STATUS = 1
SHORTEST_S, LONGEST_S = 0.2, 3600.0


class Judge:
    """What can be said of a robot that is left alone."""

    def __init__(self, node: Node, recorder: Recorder, task: Task, config: SessionConfig):
        self._node, self._recorder, self._task, self._config = node, recorder, task, config
        for record in recorder.records:
            record.publishers = tuple(publishers_of(node, record.topic))

    def all(self, hangs: bool, known_forces_n: Sequence[float]) -> list[Check]:
        """Every row.

        Args:
          hangs: the feet are known to be in the air.
          known_forces_n: what they are known to read there.
        """
        recorder, timeout_s = self._recorder, self._config.actor.state_timeout_s
        results: list[Check] = []
        if recorder.joints in recorder.required:
            results += self._joints()
        if recorder.imu in recorder.required:
            results += self._imu()
        if recorder.feet in recorder.required:
            results += self._feet(hangs, known_forces_n)
        if recorder.odometry is not None:
            results += self._odometry(recorder.odometry)
        for record in recorder.required:
            results += [
                checks.check_rate(record, self._task.spec, timeout_s),
                checks.check_latency(record, self._task.spec),
                checks.check_stamps(record),
            ]
        results += self._cameras()
        results.append(sensor_checks.check_temperature(recorder.temperature, self._task.embodiment.limits))
        results.append(sensor_checks.check_charge(recorder.battery, self._task.embodiment.limits))
        results += self._others()
        results.append(checks.check_permissions(missing_permissions()))
        return results

    def _why(self, record: TopicRecord, message_type: type) -> str:
        return "" if record.received_s else why_silent_here(self._node, record.topic, message_type)

    def _joints(self) -> Iterator[Check]:
        spec, joints = self._task.spec, self._recorder.joints
        names = checks.check_names(joints, spec.joint_names, "joint", self._why(joints, topics.JointState))
        yield names
        yield checks.check_publishers(joints, spec.joint_names)
        position, velocity = joints.field("position"), joints.field("velocity")
        if names.verdict is not Verdict.FAIL and len(position):
            if isinstance(self._task.embodiment.limits, JointLimits):
                yield checks.check_joint_ranges(position, spec, self._task.embodiment.limits)
            yield checks.check_rest(velocity, spec)
            frozen = checks.check_frozen(joints, ("position", "velocity"), "all angles and velocities are")
            if frozen:
                yield frozen

    def _imu(self) -> Iterator[Check]:
        imu = self._recorder.imu
        fields = [imu.field(name) for name in ("orientation", "angular_velocity", "linear_acceleration")]
        yield from checks.check_imu(*fields, imu.frame, self._why(imu, topics.Imu))
        yield checks.check_publishers(imu)
        frozen = checks.check_frozen(
            imu, ("angular_velocity", "linear_acceleration"), "gyroscope and accelerometer are"
        )
        if frozen:
            yield frozen

    def _odometry(self, odometry: TopicRecord) -> Iterator[Check]:
        why = "" if odometry.received_s else why_silent_here(self._node, odometry.topic, topics.odometry_type())
        yield sensor_checks.check_odometry(odometry.field("twist"), odometry.field("position"), why)
        yield checks.check_publishers(odometry)

    def _feet(self, hangs: bool, known_forces_n: Sequence[float]) -> Iterator[Check]:
        spec, feet = self._task.spec, self._recorder.feet
        names = checks.check_names(feet, spec.foot_names, "foot", self._why(feet, topics.JointState))
        yield names
        yield checks.check_publishers(feet, spec.foot_names)
        if names.verdict is Verdict.FAIL or not feet.received_s:
            return
        on_back = self._up_z() < ON_BACK_Z
        unloaded = "it lies on its back" if on_back else "its feet hang free" if hangs else ""
        sensing = self._task.embodiment.foot_sensing
        yield from sensor_checks.check_foot_forces(
            feet.field("effort"), spec.foot_names, sensing, unloaded, known_forces_n
        )

    def _up_z(self) -> float:
        orientation = self._recorder.imu.field("orientation")
        usable = len(orientation) and np.isfinite(orientation).all() and np.median(orientation, 0).any()
        return float(rotation_matrix(np.median(orientation, 0))[2, 2]) if usable else math.nan

    def _cameras(self) -> Iterator[Check]:
        for name, camera in self._recorder.cameras.items():
            signal = self._task.embodiment.cameras[name]
            yield from self._camera(camera, signal, self._recorder.unreadable[name])
        if not self._recorder.cameras:
            for topic in (topics.image_topic(CAMERA), topics.compressed_topic(CAMERA)):
                name = self._node.resolve_topic_name(topic)
                if who := publishers_of(self._node, name):
                    detail = (
                        f"published by {', '.join(who)}, but this policy looks at none; --set twin.camera=true does"
                    )
                    yield Check(f"camera {name}", Verdict.NOTE, detail)

    def _camera(self, camera: Camera, signal: Signal, unreadable: Sequence[str]) -> Iterator[Check]:
        name = camera.topic_names[0]
        why = "" if camera.arrivals_s else why_silent_here(self._node, name, topics.Image)
        yield sensor_checks.check_camera(
            name,
            camera.looks_like,
            camera.arrivals_s,
            unreadable,
            self._task.spec.control_rate_hz,
            signal.stale_s or self._config.actor.image_timeout_s,
            why,
        )
        yield checks.check_publishers(TopicRecord(name, publishers=tuple(publishers_of(self._node, name))))

    def _others(self) -> Iterator[Check]:
        """Topics that others speak on to the actor, or to the robot."""
        gamepads = publishers_of(self._node, self._node.resolve_topic_name(topics.GAMEPAD))
        if len(gamepads) > 1:
            detail = (
                f"{len(gamepads)} publishers: {', '.join(gamepads)}; one operator acts at a time, so stop the others"
            )
            yield Check(f"publishers of {self._node.resolve_topic_name(topics.GAMEPAD)}", Verdict.NOTE, detail)


class Guide:
    """Moves one joint after the other."""

    def __init__(self, recorder: Recorder, commands: CommandPublisher, spinner: runtime.Spinner, task: Task):
        self._recorder, self._commands, self._spinner = recorder, commands, spinner
        self._spec, self._limits = task.spec, task.embodiment.limits
        self._measured_rad = np.array(recorder.joints.values["position"][-1])

    def measured(self) -> np.ndarray:
        """`[joints]`, the newest that was ever said."""
        said = self._recorder.joints.values.get("position")
        return np.array(said[-1]) if said else self._measured_rad

    def move_all(self, stop: StopRequest) -> list[Check]:
        """What came of each joint's motion; of those before `stop`, once it says so.

        Raises:
          UserError: the robot has fallen silent.
        """
        results: list[Check] = []
        with contextlib.suppress(_Stopped):
            pose = np.clip(self.measured(), self._limits.lower_rad, self._limits.upper_rad)
            self._follow(pose, pose, MOVE_S, stop)
            for joint in range(len(self._spec.joint_names)):
                results.append(checks.check_motion(self._move(joint, pose, stop), self._spec))
        return results

    def _move(self, joint: int, pose: np.ndarray, stop: StopRequest) -> GuidedMotion:
        middle = (self._limits.lower_rad[joint] + self._limits.upper_rad[joint]) / 2
        target = pose.copy()
        target[joint] += checks.MOTION_RAD if pose[joint] < middle else -checks.MOTION_RAD
        wanted_rad = target[joint] - pose[joint]
        self._measured_rad = self.measured()  # which the recorder forgets
        self._recorder.clear()
        begin_s = time.monotonic()
        before = self._follow(pose, target, MOVE_S, stop)
        record = self._recorder.joints
        positions, velocities = record.field("position"), record.field("velocity")
        times_s = np.array(record.received_s)
        steps_s = np.diff(times_s, prepend=begin_s)[:, None]
        reached = np.flatnonzero((positions[:, joint] - before[joint]) / wanted_rad > 0.1)
        motion = GuidedMotion(
            joint=joint,
            wanted_rad=float(wanted_rad),
            moved_rad=np.mean(positions[-5:], 0) - before,
            speed_integral_rad=(velocities * steps_s).sum(0),
            delay_s=float(times_s[reached[0]] - begin_s) if reached.size else None,
        )
        self._follow(target, pose, MOVE_S, stop)
        return motion

    def _follow(self, start: np.ndarray, end: np.ndarray, seconds: float, stop: StopRequest) -> np.ndarray:
        """Commands a straight way and holds its end; returns the measured angles at its beginning."""
        record = self._recorder.joints
        begin_s = time.monotonic()
        while not record.received_s:
            self._go_on(begin_s, stop)
            self._spinner.once(0.01)
        before = self.measured()
        begin_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begin_s) < seconds + HOLD_S:
            self._go_on(record.received_s[-1], stop)
            self._commands.send(start + (end - start) * min(1.0, elapsed_s / seconds), before)
            self._spinner.until(time.monotonic() + COMMAND_PERIOD_S)
        return before

    def _go_on(self, heard_s: float, stop: StopRequest) -> None:
        if stop:
            raise _Stopped
        if time.monotonic() - heard_s > SILENT_S:
            raise UserError(
                f"{self._recorder.joints.topic} has fallen silent while the joints were moved: see whether the driver "
                "still runs, and check again. The joints are damped now."
            )


class _Stopped(Exception):
    """Somebody has asked for an end in the middle of a motion."""


def show(results: Sequence[Check], robot: str) -> None:
    table = Table("check", "verdict", "what was found", title=f"Driver of '{robot}'")
    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAIL: "bold red"}
    for check in results:
        # As plain text: names from the robot are not markup.
        table.add_row(Text(check.name), Text(check.verdict, colours[check.verdict]), Text(check.detail))
    # A pipe or a file gets whole lines, too.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
    failed = sum(check.verdict is Verdict.FAIL for check in results)
    console.print(f"{failed} failed." if failed else "Nothing failed.")


def strangers(node: Node, recorder: Recorder) -> Iterator[Check]:
    """Who else speaks for the twin: nothing is moved that may be a robot."""
    for record in recorder.required:
        if others := others_than_twin(node, record.topic):
            detail = f"{record.topic} is published by {', '.join(others)}, which is not the twin: stop that one first"
            yield Check("who speaks", Verdict.FAIL, detail)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not SHORTEST_S <= seconds <= LONGEST_S:  # false for what is not a number
        raise argparse.ArgumentTypeError(f"takes {SHORTEST_S:g} to {LONGEST_S:g} s")
    return seconds


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    parser = argparse.ArgumentParser(
        prog="check_node", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--robot", default="a1", help="whose folder says what is right")
    parser.add_argument("--task", help="which of its tasks, as they may use other cameras")
    parser.add_argument("--twin", action="store_true", help="the robot is its twin")
    parser.add_argument("--move", action="store_true", help="move each joint by a few degrees")
    parser.add_argument("--hanging", action="store_true", help="the feet are in the air: find out what they read there")
    parser.add_argument("--seconds", type=_seconds, default=3.0, help="how long to listen")
    parser.add_argument("--command-interface", help="what the driver takes; default: what is usual for the robot")
    parser.add_argument("--image-transport", choices=TRANSPORTS, default=TRANSPORTS[0])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of daydreamer walk")
    options = runtime.parse_options(parser, arguments)
    body = "twin" if options.twin else "hardware"
    config = configure(robot=options.robot, task=options.task, body=body, minutes=1.0, seed=0, overrides=options.set)
    task = make_task(config)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: rclpy.create_node("check_robot"), arguments))
        began_s = time.monotonic()
        forces_n = declare_foot_forces(node, len(task.spec.foot_names))
        runtime.refuse_unknown_parameters(node)
        spinner = stack.enter_context(runtime.Spinner(node))
        recorder = stack.enter_context(Recorder(node, task, options.image_transport))
        print(
            f"Listening to '{options.robot}' on {', '.join(record.topic for record in recorder.records)}.", flush=True
        )
        listen(recorder, spinner, options.seconds, stop)
        results = Judge(node, recorder, task, config).all(options.hanging or options.move, forces_n)
        if options.twin:
            if options.move:  # all who speak are known by then
                spinner.until(began_s + runtime.DISCOVERY_S)
            results += strangers(node, recorder)
        interface = options.command_interface or topics.actor_interfaces(task.embodiment.setpoint_kind)[0]
        results += check_listeners(node, task.embodiment, interface, must=options.move)
        if options.move and not isinstance(task.embodiment.limits, JointLimits):
            results.append(Check("motions", Verdict.NOTE, "not tried: this robot is not told joint positions"))
        elif options.move and not checks.safe_to_move(results):
            results.append(Check("motions", Verdict.FAIL, "not tried, because of what failed above"))
        elif options.move:
            topic = node.resolve_topic_name(topics.command_topic(task.embodiment))
            runtime.refuse_second_publisher(node, spinner.once, topic, stop, began_s, before_own=True)
            commands = CommandPublisher(node, task.embodiment, interface)
            guide = Guide(recorder, commands, spinner, task)
            # Again, while the driver discovers this one: two who begin at once see each other only now.
            runtime.refuse_second_publisher(node, spinner.once, topic, stop)
            stack.callback(lambda: commands.let_go_surely(guide.measured()))
            results += guide.move_all(stop)
    show(results, options.robot)
    return 0 if checks.safe_to_move(results) else FAILED_STATUS


if __name__ == "__main__":
    sys.exit(run_process(main))
