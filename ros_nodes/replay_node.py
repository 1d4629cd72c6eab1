"""Plays a session's experience back as topics, for RViz, PlotJuggler or a look at what the robot felt.

Publishes joint_states, imu/data, joint_command and reward, or what else the robot has, in the namespace /replay, so
that no robot obeys them; the heading is 0, as the policy does not observe it. Parameters: `speed` (1 is real time),
`life` (which life of the actor; 0 for all, one after the other).
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from std_msgs.msg import Float64

from daydreamer.errors import UserError
from daydreamer.experience.header import CorruptLog
from daydreamer.experience.log import list_logs
from daydreamer.experience.step import Step
from daydreamer.experience.tail import LogTail
from daydreamer.robots.registry import TaskEntry
from daydreamer.session.directory import Session
from daydreamer.session.new import entry_of
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import runtime, topics
from ros_nodes.commands import CommandPublisher
from ros_nodes.state_publishers import StatePublishers

NAMESPACE = "replay"

FLUSH_TIMEOUT = Duration(seconds=1.0)

LONGEST_PAUSE_S = 1.0
"""Between two steps, as where the robot was held, or between two lives."""

READ_STEPS = 200
"""So many steps of a log are read at a time."""


class Player:
    """Publishes steps."""

    def __init__(self, node: Node, session: Session, entry: TaskEntry):
        self._node = node
        self._replayed = entry.replayed
        self._robot = entry.make(session.config).embodiment
        self._state = StatePublishers(node, session.spec, self._robot)
        self._command = CommandPublisher(node, self._robot, topics.INTERFACES[self._robot.setpoint_kind][0])
        self._reward = node.create_publisher(Float64, "reward", topics.RELIABLE)

    def publish(self, step: Step) -> None:
        measurement = self._replayed(step.observation, 1e-9 * step.monotonic_ns)
        self._state.publish(self._state.messages(measurement.values))
        self._command.send(step.action_sent, self._robot.measured_setpoint(measurement))
        self._reward.publish(Float64(data=float(step.reward)))

    def wait_for_listeners(self, spinner: runtime.Spinner, stop: StopRequest) -> None:
        """Returns when somebody listens, or when whoever listens already would have been found."""
        end_s = time.monotonic() + runtime.DISCOVERY_S
        while not (stop or self._state.listened_to or time.monotonic() > end_s):
            spinner.once(0.05)

    def flush(self) -> None:
        """Waits until those who listen have everything."""
        for publisher in (*self._state.publishers, self._command.publisher, self._reward):
            publisher.wait_for_all_acked(FLUSH_TIMEOUT)


def logged_lives(session: Session, life: int) -> Iterator[Iterator[Step]]:
    """The steps of one life, or of each, in order; what is damaged is left out, and said.

    Raises:
      UserError: there are none.
    """
    logs = list_logs(session.experience)
    if life:
        logs = {number: path for number, path in logs.items() if number == life}
    if not logs:
        raise UserError(f"{session.path} has no experience{f' of life {life}' if life else ''} to play.")
    for path in logs.values():
        yield logged_steps(LogTail(path, session.spec))


def logged_steps(tail: LogTail) -> Iterator[Step]:
    """All steps of a log, some at a time: nobody knows how many there are."""
    while True:
        try:
            steps = tail.read(READ_STEPS)
        except CorruptLog as error:
            print(error, flush=True)
            if not tail.skip_damage():
                return
            continue
        if not steps:
            return
        yield from steps


def play(player: Player, steps: Iterable[Step], speed: float, spinner: runtime.Spinner, stop: StopRequest) -> None:
    due_s, previous_ns = time.monotonic(), None
    for step in steps:
        previous_ns = step.monotonic_ns if previous_ns is None else previous_ns
        due_s += min(1e-9 * (step.monotonic_ns - previous_ns), LONGEST_PAUSE_S) / speed
        previous_ns = step.monotonic_ns
        spinner.until(due_s)
        if stop:
            return
        player.publish(step)


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    options = runtime.parse_arguments(argparse.ArgumentParser(prog="replay_node", description=__doc__), arguments)
    session = Session.open(options.session)
    entry = entry_of(session)
    if entry.replayed is None:
        raise UserError(
            f"Sessions of '{session.config.robot}' cannot be played back: its folder does not say what its sensors "
            "must have said (TaskEntry.replayed)."
        )
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(
            runtime.ros_node(lambda: rclpy.create_node("replay", namespace=NAMESPACE), arguments)
        )
        spinner = stack.enter_context(runtime.Spinner(node))
        speed = node.declare_parameter("speed", 1.0).value
        life = node.declare_parameter("life", 0).value
        runtime.refuse_unknown_parameters(node)
        if not speed > 0:
            raise UserError(f"Parameter speed is {speed}; it must be above 0.")
        player = Player(node, session, entry)
        player.wait_for_listeners(spinner, stop)
        for steps in logged_lives(session, life):
            play(player, steps, speed, spinner, stop)
        player.flush()
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
