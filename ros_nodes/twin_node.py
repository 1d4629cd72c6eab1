"""The MuJoCo twin behind a robot's topics, in real time.

Publishes joint_states, imu/data, foot_contacts and, with the camera on, camera/image_raw; obeys joint_command.
Parameter `command_interface` as in the actor node. What only a simulator can know goes to the session's status
and metrics, never to a topic.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import rclpy

from daydreamer.actor.pacer import Pacer
from daydreamer.errors import UserError
from daydreamer.periodic import periodically
from daydreamer.session.directory import Session
from daydreamer.session.status import StatusWriter, TwinStatus
from daydreamer.spec import RobotSpec
from daydreamer.stop_request import StopRequest
from daydreamer.telemetry.metrics import MetricsWriter
from ros_nodes import runtime, topics
from sim.twin import Twin

MAX_CATCH_UP_S = 0.1
"""A twin that was held up by more than this lets the time go, as a burst of physics would only hold it up again."""

STATUS_PERIOD_S = 0.5
VELOCITY_MEAN_S = 10.0


class TwinNode:
    """Advances the physics by the time that has passed, and publishes the state."""

    def __init__(self, node, spec: RobotSpec, twin: Twin):
        self._node = node
        self._spec = spec
        self._twin = twin
        self._simulated_until_s = time.monotonic()
        self._commanded_s: float | None = None
        self._order = topics.NameOrder(topics.JOINT_COMMAND, "joint", spec.joint_names)
        self._published_image: np.ndarray | None = None
        interface = node.declare_parameter("command_interface", topics.COMMAND_INTERFACES[0]).value
        command_type = topics.command_type(interface)
        node.create_subscription(command_type, topics.JOINT_COMMAND, self._on_command, topics.LATEST_ONLY)
        self.joint_states = node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
        self._imu = node.create_publisher(topics.Imu, topics.IMU, topics.RELIABLE)
        self._foot_contacts = node.create_publisher(topics.JointState, topics.FOOT_CONTACTS, topics.RELIABLE)
        self._image = node.create_publisher(topics.Image, topics.IMAGE, topics.RELIABLE)

    @property
    def command_age_s(self) -> float | None:
        """Time since the last command arrived; None before the first."""
        return None if self._commanded_s is None else time.monotonic() - self._commanded_s

    def begin(self) -> None:
        """The physics goes on from now."""
        self._simulated_until_s = time.monotonic()

    def tick(self) -> None:
        """Catches up with the clock and publishes."""
        self._catch_up()
        measurement = self._twin.measure()
        stamp = self._node.get_clock().now().to_msg()
        spec = self._spec
        self.joint_states.publish(
            topics.joint_state_message(
                stamp, spec.joint_names, measurement.joint_position_rad, measurement.joint_velocity_rad_s
            )
        )
        self._imu.publish(
            topics.imu_message(
                stamp,
                measurement.orientation_wxyz,
                measurement.angular_velocity_rad_s,
                measurement.linear_acceleration_m_s2,
            )
        )
        self._foot_contacts.publish(topics.foot_contacts_message(stamp, spec.foot_names, measurement.foot_force_n))
        if measurement.image is not None and measurement.image is not self._published_image:
            self._published_image = measurement.image
            self._image.publish(topics.image_message(stamp, measurement.image))

    def _on_command(self, message) -> None:
        # A command takes effect when it arrives, not at the next publication.
        self._catch_up()
        self._commanded_s = time.monotonic()
        self._twin.command(topics.joint_command_of(message, self._order, len(self._spec.joint_names)))

    def _catch_up(self) -> None:
        now_s = time.monotonic()
        self._twin.advance(min(now_s - self._simulated_until_s, MAX_CATCH_UP_S))
        self._simulated_until_s = now_s


class TwinReport:
    """Status and metrics of the twin, the simulator's truth among them.

    Attributes:
      forward_velocity_m_s: of the last `VELOCITY_MEAN_S`, newest last; the main loop appends to it.
    """

    def __init__(self, session: Session, twin_node: TwinNode, twin: Twin):
        config = session.config
        self.forward_velocity_m_s: collections.deque[float] = collections.deque(
            maxlen=round(VELOCITY_MEAN_S * config.twin.state_rate_hz)
        )
        self._twin_node = twin_node
        self._twin = twin
        self._status = StatusWriter(session, "twin")
        self._metrics_directory = session.metrics / "twin"
        self._metrics_period_s = config.learner.metrics_period_s
        self._next_metrics_s = 0.0
        self._begin_s = time.monotonic()
        self._begin_simulated_s = twin.time_s

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Reports inside the block, on a thread: a busy disk can hold up a file for longer than a robot may wait."""
        self._write("running")
        with contextlib.closing(MetricsWriter(self._metrics_directory)) as metrics:
            with periodically(lambda: self._report(metrics), STATUS_PERIOD_S, "twin-report"):
                yield
            self._write("stopped")

    def _report(self, metrics: MetricsWriter) -> None:
        self._write("running")
        if time.monotonic() >= self._next_metrics_s and self.forward_velocity_m_s:
            self._next_metrics_s = time.monotonic() + self._metrics_period_s
            metrics.add_scalar("twin/forward_velocity_m_s", self._mean_velocity_m_s(), round(self._twin.time_s))

    def _write(self, state: str) -> None:
        simulated_s = self._twin.time_s - self._begin_simulated_s
        status = TwinStatus(
            state=state,
            robot_seconds=self._twin.time_s,
            real_time_factor=simulated_s / max(time.monotonic() - self._begin_s, 1e-3),
            command_age_s=self._twin_node.command_age_s,
            forward_velocity_m_s=self._mean_velocity_m_s(),
        )
        try:
            self._status.write(status)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)

    def _mean_velocity_m_s(self) -> float | None:
        velocities = list(self.forward_velocity_m_s)
        return sum(velocities) / len(velocities) if velocities else None


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    options = runtime.parse_arguments(argparse.ArgumentParser(prog="twin_node", description=__doc__), arguments)
    session = Session.open(options.session)
    config = session.config
    with contextlib.ExitStack() as stack:
        stack.enter_context(session.lock("twin"))
        twin = stack.enter_context(contextlib.closing(Twin(config.twin, config.seed, session.spec.robot)))
        node = stack.enter_context(runtime.ros_node(lambda: rclpy.create_node("twin"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        twin_node = TwinNode(node, session.spec, twin)
        runtime.refuse_second_publisher(node, spinner.once, twin_node.joint_states.topic_name, stop)
        twin_node.begin()
        report = TwinReport(session, twin_node, twin)
        stack.enter_context(report.running())
        pacer = Pacer(1.0 / config.twin.state_rate_hz, time.monotonic())
        while not stop:
            spinner.until(pacer.tick_s)
            pacer.begin(time.monotonic())
            twin_node.tick()
            report.forward_velocity_m_s.append(float(twin.truth().velocity_m_s[0]))
            pacer.finish(time.monotonic())
    return 0


if __name__ == "__main__":
    sys.exit(runtime.run(main))
