"""Records the topics of a robot, to be judged later."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.contract.task import Task
from daydreamer.robots.checks import TopicRecord
from daydreamer.stop_request import StopRequest
from daydreamer.texts import printable_line
from ros_nodes import runtime, topics
from ros_nodes.camera import Camera

WAIT_S = 10.0
RECORDED = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Best effort accepts every publisher. Deeper than one, so that a message is not lost to the next at once."""

LONGEST_WAIT_S = 10.0
"""A message that has waited longer to be taken has not: the clock was set."""

LARGEST_NAMES = 200
"""Of one topic, that are kept."""


def _note_unreadable(errors: list[str], _: str, error: Exception, __: float) -> None:
    errors.append(str(error))


class Recorder:
    """Keeps the messages of the robot's topics. A context manager."""

    def __init__(self, node: Node, task: Task, image_transport: str):
        spec = task.spec
        self._node = node
        self._stack = contextlib.ExitStack()
        self._robot = task.embodiment
        self.joints = self._record_named(topics.JOINT_STATES, spec.joint_names, ("position", "velocity"))
        self.imu = self._record(topics.Imu, topics.IMU, _imu_fields)
        self.feet = self._record_named(topics.FOOT_CONTACTS, spec.foot_names, ("effort",))
        self.odometry = None
        if topics.ODOMETRY in topics.topics_of(self._robot):
            self.odometry = self._record(topics.odometry_type(), topics.ODOMETRY, _odometry_fields)
        self.temperature = self._record(Temperature, topics.TEMPERATURE, lambda report: {"value": [report.temperature]})
        self.battery = self._record(BatteryState, topics.BATTERY, lambda report: {"value": [report.percentage]})
        self.unreadable: dict[str, list[str]] = {}
        self.cameras = {}
        for name, signal in self._robot.cameras.items():
            errors: list[str] = []
            self.unreadable[name] = errors
            camera = Camera(
                node,
                name,
                signal.shape,
                image_transport,
                spec.control_period_s,
                functools.partial(_note_unreadable, errors),
            )
            self._stack.callback(camera.close)
            self.cameras[name] = camera

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def records(self) -> tuple[TopicRecord, ...]:
        return *self.required, self.temperature, self.battery

    @property
    def required(self) -> tuple[TopicRecord, ...]:
        """Those of the topics that the robot must have, cameras apart."""
        states = {topics.JOINT_STATES: self.joints, topics.IMU: self.imu, topics.FOOT_CONTACTS: self.feet}
        if self.odometry is not None:
            states[topics.ODOMETRY] = self.odometry
        wanted = topics.topics_of(self._robot)
        return tuple(record for topic, record in states.items() if topic in wanted)

    def clear(self) -> None:
        """Forgets all messages."""
        for record in self.records:
            record.clear()
        for errors in self.unreadable.values():
            errors.clear()

    def _record(self, message_type: type, topic: str, fields: Callable[[object], Mapping]) -> TopicRecord:
        record = TopicRecord(self._node.resolve_topic_name(topic))

        def receive(message, info: Mapping[str, object]) -> None:
            self._keep(record, message, info, fields(message))

        self._node.create_subscription(message_type, topic, receive, RECORDED)
        return record

    def _record_named(self, topic: str, wanted: Sequence[str], fields: Sequence[str]) -> TopicRecord:
        """Of a topic whose messages may each have some of the wanted names."""
        record = TopicRecord(self._node.resolve_topic_name(topic))
        newest = {field: dict.fromkeys(wanted, math.nan) for field in fields}
        known: dict[bytes, list[str]] = {}

        def receive(message, info: Mapping[str, object]) -> None:
            sender = runtime.identity_of(info.get("publisher_gid")) or b""  # the same for all where it is not told
            if known.get(sender) != message.name:
                known[sender] = message.name
                _keep_names(record, sender, message.name)
            here = [(name, index) for index, name in enumerate(message.name[:LARGEST_NAMES]) if name in wanted]
            if not here:
                return
            for field in fields:
                values = getattr(message, field)
                if len(values) == len(message.name):
                    newest[field].update((name, values[index]) for name, index in here)
                elif len(values):
                    record.misfits += 1
            self._keep(record, message, info, {field: list(newest[field].values()) for field in fields})

        self._node.create_subscription(topics.JointState, topic, receive, RECORDED)
        return record

    def _keep(
        self, record: TopicRecord, message, info: Mapping[str, object], fields: Mapping[str, Sequence[float]]
    ) -> None:
        now_s, stamp = time.time(), message.header.stamp
        # When the middleware had it, if it tells: a busy machine of ours is not the driver's fault.
        arrived_s = 1e-9 * (info.get("received_timestamp") or 0)
        arrived_s = arrived_s if 0.0 <= now_s - arrived_s < LONGEST_WAIT_S else now_s
        stamp_s = stamp.sec + 1e-9 * stamp.nanosec
        record.received_s.append(time.monotonic() - (now_s - arrived_s))
        record.stamp_s.append(stamp_s)
        record.latency_s.append(arrived_s - stamp_s)
        record.frame = printable_line(message.header.frame_id)
        for name, row in fields.items():
            record.values.setdefault(name, []).append(row)


def _keep_names(record: TopicRecord, sender: bytes, names: Sequence[str]) -> None:
    clean = [printable_line(name) for name in names[:LARGEST_NAMES]]
    record.names = tuple(dict.fromkeys((*record.names, *clean)))[:LARGEST_NAMES]
    record.senders.setdefault(sender, set()).update(clean)
    if len(set(clean)) < len(clean):
        record.repeated = tuple(sorted({name for name in clean if clean.count(name) > 1}))


def _imu_fields(message: topics.Imu) -> dict[str, Sequence[float]]:
    orientation = message.orientation
    return {
        "orientation": [orientation.w, orientation.x, orientation.y, orientation.z],
        "angular_velocity": topics.vector_of(message.angular_velocity),
        "linear_acceleration": topics.vector_of(message.linear_acceleration),
    }


def _odometry_fields(message) -> dict[str, Sequence[float]]:
    twist, position = message.twist.twist, message.pose.pose.position
    return {"twist": [twist.linear.x, twist.angular.z], "position": [position.x, position.y]}


def listen(recorder: Recorder, spinner: runtime.Spinner, seconds: float, stop: StopRequest) -> None:
    """Waits for the topics, then records for `seconds`."""
    end_s = time.monotonic() + WAIT_S

    def missing() -> bool:
        blind = any(
            camera.newest is None and not recorder.unreadable[name] for name, camera in recorder.cameras.items()
        )
        return blind or not all(record.received_s for record in recorder.required)

    while not stop and time.monotonic() < end_s and missing():
        spinner.once(0.05)
    recorder.clear()
    end_s = time.monotonic() + seconds
    while not stop and time.monotonic() < end_s:
        spinner.once(0.01)
