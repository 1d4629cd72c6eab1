"""A robot's twin behind a robot's topics, in real time.

Publishes what the robot senses, as joint_states, imu/data, foot_contacts, odom and the pictures of its cameras, and
temperature and battery_state; obeys joint_command, or cmd_vel. Parameter `command_interface` as in the actor node. What
only a simulator can know goes to the session's status and metrics, never to a topic. Incidents that the configuration
asks for happen to the robot and to its messages, and are recorded as events.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import queue
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import rclpy

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import CHARGE, TEMPERATURE
from daydreamer.pacer import Pacer
from daydreamer.periodic import Schedule, periodically
from daydreamer.robots.registry import find_robot
from daydreamer.scheduling import DRIVER_PRIORITY, ROBOT_NICENESS, be_nice, put_robot_first
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import StatusWriter, TwinStatus
from daydreamer.spec import RobotSpec
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.telemetry.metrics import MetricsWriter, truth_tag
from ros_nodes import runtime, topics
from ros_nodes.command_intake import CommandIntake
from ros_nodes.state_publishers import StatePublishers
from sim.incidents import IncidentChange, IncidentPlayer
from sim.reactions import ReactionClock
from sim.rehearsal import measure
from sim.twin import Twin

MAX_CATCH_UP_S = 0.1
"""A twin that was held up by more than this lets the time go, as a burst of physics would only hold it up again."""

FULL_BATTERY = 1.0
"""The twin's battery does not run down."""

SLOW_REPORT_PERIOD_S = 0.1
"""Between two reports of temperature and charge. Every message costs the actor, which takes it in, a millisecond."""

STATUS_PERIOD_S = 0.5
TRUTH_MEAN_S = 10.0


class TwinNode:
    """Advances the physics by the time that has passed, and publishes the state.

    Attributes:
      events: (kind, fields) of incidents that have begun or ended, for another thread to record.
    """

    def __init__(self, node, spec: RobotSpec, robot: Embodiment, twin: Twin, player: IncidentPlayer):
        self.events: queue.SimpleQueue[tuple[str, dict]] = queue.SimpleQueue()
        self._node = node
        self._spec = spec
        self._twin = twin
        self._player = player
        self._reactions = ReactionClock()
        self._begin_robot_s = twin.time_s
        self._simulated_until_s = time.monotonic()
        self._commanded_s: float | None = None
        self._published_images: dict[str, np.ndarray] = {}
        self._slow_reports = Schedule(SLOW_REPORT_PERIOD_S, at_once=True)
        interface = node.declare_parameter("command_interface", topics.INTERFACES[robot.setpoint_kind][0]).value
        self.intake = CommandIntake(node, interface, robot, self._on_command)
        self._publishers = StatePublishers(node, spec, robot)
        self._cameras = tuple(robot.cameras)

    @property
    def command_age_s(self) -> float | None:
        """Time since the last command arrived; None before the first."""
        return None if self._commanded_s is None else time.monotonic() - self._commanded_s

    @property
    def robot_s(self) -> float:
        """Simulated time since the node began; the clock of incidents."""
        return self._twin.time_s - self._begin_robot_s

    def begin(self) -> None:
        """The physics goes on from now."""
        self._simulated_until_s = time.monotonic()

    def tick(self) -> None:
        """Catches up with the clock and publishes."""
        self._catch_up()
        for change in self._player.update(self.robot_s):
            self._report(change)
        self._obey()
        if self._twin.driver.damping:
            self._reactions.driver_damps(self.robot_s)
        self._player.from_robot.send(self._state(), self.robot_s)
        for messages in self._player.from_robot.receive(self.robot_s):
            self._publishers.publish(messages)

    def _state(self) -> dict[str, object]:
        """Messages by topic."""
        measurement = measure(self._twin, self._player)
        values = dict(measurement.values)
        if not self._slow_reports.due():
            values = {name: value for name, value in values.items() if name not in (TEMPERATURE, CHARGE)}
        else:
            values.setdefault(CHARGE, FULL_BATTERY)
        for camera in self._cameras:
            image = values.get(camera)
            if image is self._published_images.get(camera):
                values.pop(camera, None)
            else:
                self._published_images[camera] = image
        return self._publishers.messages(values)

    def _on_command(self, target_rad: np.ndarray | None) -> None:
        # A command takes effect when it arrives, not at the next publication.
        self._catch_up()
        self._commanded_s = time.monotonic()
        self._player.to_robot.send(target_rad, self.robot_s)
        self._obey()

    def _obey(self) -> None:
        for target_rad in self._player.to_robot.receive(self.robot_s):
            self._reactions.command(target_rad, self.robot_s)
            self._twin.command(target_rad)

    def _report(self, change: IncidentChange) -> None:
        incident = change.incident
        if change.began:
            self._reactions.begin(incident)
            fields = dataclasses.asdict(incident)
            del fields["kind"]  # an event has one of its own
            self.events.put(("incident", {"wall_s": time.time(), "incident": incident.kind} | fields))
        else:
            reaction = self._reactions.end(incident)
            self.events.put(("incident_end", {"wall_s": time.time(), "incident": incident.kind} | reaction.as_fields()))

    def _catch_up(self) -> None:
        now_s = time.monotonic()
        self._twin.advance(min(now_s - self._simulated_until_s, MAX_CATCH_UP_S))
        self._simulated_until_s = now_s


class TwinReport:
    """Status and metrics of the twin, the simulator's truth among them.

    Attributes:
      truth: quantities of the last `TRUTH_MEAN_S`, newest last; the main loop appends to it.
    """

    def __init__(self, session: Session, twin_node: TwinNode, twin: Twin):
        config = session.config
        self.truth: collections.deque[dict[str, float]] = collections.deque(
            maxlen=round(TRUTH_MEAN_S * config.twin.state_rate_hz)
        )
        self._twin_node = twin_node
        self._twin = twin
        self._status = StatusWriter(session, "twin")
        self._events = EventLog(session.events)
        self._metrics_directory = session.metrics / "twin"
        self._metrics = Schedule(config.learner.metrics_period_s, at_once=True)
        self._begin_s = time.monotonic()
        self._begin_simulated_s = twin.time_s

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Reports inside the block, on a thread: a busy disk can hold up a file for longer than a robot may wait."""
        self._write("running")
        if self._twin.drawn:
            self._events.attempt("robot_drawn", "twin", **dataclasses.asdict(self._twin.drawn))
        with contextlib.closing(MetricsWriter(self._metrics_directory)) as metrics:
            with periodically(lambda: self._report(metrics), STATUS_PERIOD_S, "twin-report"):
                yield
            self._record_events()
            self._write("stopped")

    def _report(self, metrics: MetricsWriter) -> None:
        self._write("running")
        self._record_events()
        if self.truth and self._metrics.due():
            for quantity, mean in self._true_means().items():
                metrics.add_scalar(truth_tag(quantity), mean, round(self._twin.time_s))

    def _record_events(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                kind, fields = self._twin_node.events.get_nowait()
                self._events.attempt(kind, "twin", **fields)

    def _write(self, state: str) -> None:
        simulated_s = self._twin.time_s - self._begin_simulated_s
        status = TwinStatus(
            state=state,
            robot_seconds=self._twin.time_s,
            real_time_factor=simulated_s / max(time.monotonic() - self._begin_s, 1e-3),
            command_age_s=self._twin_node.command_age_s,
            forward_velocity_m_s=self._true_means().get("info/forward_velocity_m_s"),
        )
        self._status.attempt(status)

    def _true_means(self) -> dict[str, float]:
        rows = list(self.truth)
        return {quantity: sum(row[quantity] for row in rows) / len(rows) for quantity in (rows[0] if rows else ())}


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    be_nice(ROBOT_NICENESS)
    options = runtime.parse_arguments(argparse.ArgumentParser(prog="twin_node", description=__doc__), arguments)
    session = Session.open(options.session)
    config = session.config
    with contextlib.ExitStack() as stack:
        stack.enter_context(session.lock("twin"))
        robot = find_robot(config.robot, session.record.robot_package)
        twin = stack.enter_context(contextlib.closing(robot.make_twin(config.twin, config.seed)))
        node = stack.enter_context(runtime.ros_node(lambda: rclpy.create_node("twin"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        player = IncidentPlayer(twin, config.seed, config.twin.incidents, config.twin.random_incidents_per_minute)
        embodiment = robot.task(config.task).make(config).embodiment
        topic = node.resolve_topic_name(topics.topics_of(embodiment)[0])
        runtime.refuse_second_publisher(node, spinner.once, topic, stop, before_own=True)
        twin_node = TwinNode(node, session.spec, embodiment, twin, player)
        runtime.refuse_unknown_parameters(node)
        if not config.twin.camera:  # drawn in software, its pictures would take the machine from everybody else
            twin_node.events.put(("scheduling", dataclasses.asdict(put_robot_first(DRIVER_PRIORITY))))
        twin_node.begin()
        report = TwinReport(session, twin_node, twin)
        stack.enter_context(report.running())
        pacer = Pacer(1.0 / config.twin.state_rate_hz, time.monotonic())
        while not stop:
            spinner.until(pacer.tick_s)
            pacer.begin(time.monotonic())
            twin_node.tick()
            report.truth.append(twin.truth().quantities)
            pacer.finish(time.monotonic())
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
