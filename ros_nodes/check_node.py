"""Checks a robot's driver against the robot's folder, over live topics; `daydreamer check-robot` runs it.

First it only listens to a robot that is left alone. With --move it then moves one joint after the other by a few
degrees and looks at what is reported: the robot must hang or lie so that its legs are free, with an operator at the
emergency stop. It does not move a robot that has failed a check.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.time import Time
from rich.console import Console
from rich.table import Table
from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.config import ActorConfig
from daydreamer.robots import checks, find_robot
from daydreamer.robots.base import Task
from daydreamer.robots.checks import Check, GuidedMotion, TopicRecord, Verdict
from daydreamer.scheduling import missing_permissions
from daydreamer.session.new import configure
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import runtime, topics
from ros_nodes.commands import CommandPublisher

WAIT_S = 10.0
COMMAND_PERIOD_S = 0.05
MOVE_S = 0.4
HOLD_S = 0.2
FAILED_STATUS = 1


class Recorder:
    """Keeps the messages of the robot's topics."""

    def __init__(self, node: Node):
        self._node = node
        self.joints = self._record(topics.JointState, topics.JOINT_STATES, self._joint_fields)
        self.imu = self._record(topics.Imu, topics.IMU, self._imu_fields)
        self.feet = self._record(topics.JointState, topics.FOOT_CONTACTS, self._joint_fields)
        self.temperature = self._record(Temperature, topics.TEMPERATURE, lambda report: {"value": [report.temperature]})
        self.battery = self._record(BatteryState, topics.BATTERY, lambda report: {"value": [report.percentage]})

    def clear(self) -> None:
        """Forgets all messages."""
        for record in (self.joints, self.imu, self.feet, self.temperature, self.battery):
            record.received_s.clear()
            record.latency_s.clear()
            record.values.clear()

    def _record(self, message_type: type, topic: str, fields: Callable) -> TopicRecord:
        record = TopicRecord(topic)

        def receive(message) -> None:
            stamp = message.header.stamp
            record.received_s.append(time.monotonic())
            record.latency_s.append(1e-9 * (self._node.get_clock().now() - Time.from_msg(stamp)).nanoseconds)
            record.names = tuple(getattr(message, "name", ()))
            record.frame = message.header.frame_id
            for name, row in fields(message).items():
                record.values.setdefault(name, []).append(row)

        subscription = self._node.create_subscription(message_type, topic, receive, topics.LATEST_ONLY)
        record.topic = subscription.topic_name
        return record

    @staticmethod
    def _joint_fields(message) -> dict[str, list[float]]:
        return {"position": message.position, "velocity": message.velocity, "effort": message.effort}

    @staticmethod
    def _imu_fields(message) -> dict[str, list[float]]:
        orientation = message.orientation
        return {
            "orientation": [orientation.w, orientation.x, orientation.y, orientation.z],
            "angular_velocity": topics.vector_of(message.angular_velocity),
            "linear_acceleration": topics.vector_of(message.linear_acceleration),
        }


def ordered(record: TopicRecord, field: str, wanted: Sequence[str]) -> np.ndarray:
    """`[n, wanted]` of a named field, in the order of the specification; empty if it is not filled."""
    values = record.field(field)
    if values.shape[1:] != (len(record.names),):
        return np.zeros((0, len(wanted)))
    return values[:, [record.names.index(name) for name in wanted]]


def listen(recorder: Recorder, spinner: runtime.Spinner, seconds: float, stop: StopRequest) -> None:
    """Waits for the topics, then records for `seconds`."""
    end_s = time.monotonic() + WAIT_S
    required = (recorder.joints, recorder.imu, recorder.feet)
    while not stop and time.monotonic() < end_s and not all(record.received_s for record in required):
        spinner.once(0.05)
    recorder.clear()
    end_s = time.monotonic() + seconds
    while not stop and time.monotonic() < end_s:
        spinner.once(0.01)


def judge(recorder: Recorder, task: Task, state_timeout_s: float) -> list[Check]:
    """What can be said of a robot that is left alone."""
    spec, joints, imu = task.spec, recorder.joints, recorder.imu
    results = [checks.check_names(joints, spec.joint_names, "joint")]
    if results[0].verdict is not Verdict.FAIL:
        position = ordered(joints, "position", spec.joint_names)
        results.append(checks.check_joint_ranges(position, spec, task.limits))
        results.append(checks.check_rest(ordered(joints, "velocity", spec.joint_names), spec))
    results += checks.check_imu(
        *(imu.field(name) for name in ("orientation", "angular_velocity", "linear_acceleration")), imu.frame
    )
    watched = [joints, imu]
    if spec.foot_names:
        watched.append(recorder.feet)
        names = checks.check_names(recorder.feet, spec.foot_names, "foot")
        results.append(names)
        if names.verdict is not Verdict.FAIL:
            results.append(checks.check_foot_forces(ordered(recorder.feet, "effort", spec.foot_names), spec.foot_names))
    for record in watched:
        results += [checks.check_rate(record, spec, state_timeout_s), checks.check_latency(record, spec)]
    for record, unit, scale in ((recorder.temperature, "°C", 1.0), (recorder.battery, "% charge", 100.0)):
        values = record.field("value")
        detail = f"{scale * values[-1, 0]:.0f} {unit}" if values.size else "not reported, so not watched"
        results.append(Check(record.topic, Verdict.OK if values.size else Verdict.NOTE, detail))
    results.append(checks.check_permissions(missing_permissions()))
    return results


class Guide:
    """Moves one joint after the other."""

    def __init__(self, recorder: Recorder, commands: CommandPublisher, spinner: runtime.Spinner, task: Task):
        self._recorder, self._commands, self._spinner = recorder, commands, spinner
        self._spec, self._limits = task.spec, task.limits

    def measured(self) -> np.ndarray:
        """`[joints]`, the newest."""
        return ordered(self._recorder.joints, "position", self._spec.joint_names)[-1]

    def move_all(self, stop: StopRequest) -> list[Check]:
        pose = np.clip(self.measured(), self._limits.lower_rad, self._limits.upper_rad)
        self._follow(pose, pose, MOVE_S)
        results = []
        for joint in range(len(self._spec.joint_names)):
            if stop:
                break
            results.append(checks.check_motion(self._move(joint, pose), self._spec))
        return results

    def _move(self, joint: int, pose: np.ndarray) -> GuidedMotion:
        middle = (self._limits.lower_rad[joint] + self._limits.upper_rad[joint]) / 2
        target = pose.copy()
        target[joint] += checks.MOTION_RAD if pose[joint] < middle else -checks.MOTION_RAD
        wanted_rad = target[joint] - pose[joint]
        self._recorder.clear()
        begin_s = time.monotonic()
        before = self._follow(pose, target, MOVE_S)
        record = self._recorder.joints
        positions = ordered(record, "position", self._spec.joint_names)
        velocities = ordered(record, "velocity", self._spec.joint_names)
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
        self._follow(target, pose, MOVE_S)
        return motion

    def _follow(self, start: np.ndarray, end: np.ndarray, seconds: float) -> np.ndarray:
        """Commands a straight way and holds its end; returns the measured angles at its beginning."""
        while not self._recorder.joints.received_s:
            self._spinner.once(0.01)
        before = self.measured()
        begin_s = time.monotonic()
        while (elapsed_s := time.monotonic() - begin_s) < seconds + HOLD_S:
            self._commands.send(start + (end - start) * min(1.0, elapsed_s / seconds), before)
            self._spinner.until(time.monotonic() + COMMAND_PERIOD_S)
        return before


def show(results: Sequence[Check], robot: str) -> None:
    table = Table("check", "verdict", "what was found", title=f"Driver of '{robot}'")
    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAIL: "bold red"}
    for check in results:
        table.add_row(check.name, f"[{colours[check.verdict]}]{check.verdict}[/]", check.detail)
    # A pipe or a file gets whole lines, too.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
    failed = sum(check.verdict is Verdict.FAIL for check in results)
    console.print(f"{failed} failed." if failed else "Nothing failed.")


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    parser = argparse.ArgumentParser(prog="check_node", description=__doc__)
    parser.add_argument("--robot", default="a1", help="whose folder says what is right")
    parser.add_argument("--move", action="store_true", help="move each joint by a few degrees")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to listen")
    parser.add_argument("--command-interface", default=topics.COMMAND_INTERFACES[0])
    options = runtime.parse_options(parser, arguments)
    task = find_robot(options.robot).make_task(configure(robot=options.robot, minutes=1.0, seed=0))
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: rclpy.create_node("check_robot"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        recorder = Recorder(node)
        listen(recorder, spinner, options.seconds, stop)
        results = judge(recorder, task, ActorConfig().state_timeout_s)
        if options.move and not checks.safe_to_move(results):
            results.append(Check("motions", Verdict.FAIL, "not tried, because of what failed above"))
        elif options.move:
            commands = CommandPublisher(node, task.spec.joint_names, options.command_interface)
            guide = Guide(recorder, commands, spinner, task)
            runtime.refuse_second_publisher(node, spinner.once, commands.topic_name, stop)
            stack.callback(lambda: commands.damp_surely(guide.measured()))
            results += guide.move_all(stop)
    show(results, options.robot)
    return 0 if checks.safe_to_move(results) else FAILED_STATUS


if __name__ == "__main__":
    sys.exit(run_process(main))
