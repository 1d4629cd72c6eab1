"""The actor behind ROS topics: at every tick it answers the newest state with a command.

Everything runs on the main thread, which spins between two ticks. Parameter `command_interface`: 'joint_state'
(sensor_msgs/JointState, the default) or 'forward_position' (std_msgs/Float64MultiArray).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
import time
from collections.abc import Sequence

# The actor belongs on the CPU, next to the robot, whatever device the learner has. NPROC is what XLA sizes its
# thread pool by; at batch size 1 a second thread gains nothing and takes a core from the learner.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["NPROC"] = "1"

import numpy as np

from daydreamer.actor import garbage
from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.loader import PolicyLoader, warm_up
from daydreamer.actor.pacer import Pacer
from daydreamer.actor.policy import Policy
from daydreamer.actor.telemetry import ActorTelemetry
from daydreamer.compilation import keep_compilations
from daydreamer.experience.log import next_actor_life
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.robots import find_robot
from daydreamer.robots.base import Task
from daydreamer.session.directory import Session
from daydreamer.session.progress import logged_steps, total_steps
from daydreamer.session.status import read_status
from daydreamer.stop_request import StopRequest
from daydreamer.telemetry.milestones import Milestones
from ros_nodes import runtime, topics
from ros_nodes.robot_state import RobotState

WAITING_MESSAGE_PERIOD_S = 3.0
DAMPING_REPEATS = 5
DAMPING_PERIOD_S = 0.02


class CommandPublisher:
    """Publishes joint commands through the interface that the driver wants."""

    def __init__(self, node, joint_names: Sequence[str]):
        self._node = node
        self._joint_names = joint_names
        self._interface = node.declare_parameter("command_interface", topics.COMMAND_INTERFACES[0]).value
        message_type = topics.command_type(self._interface)
        self._publisher = node.create_publisher(message_type, topics.JOINT_COMMAND, topics.RELIABLE)

    @property
    def topic_name(self) -> str:
        """Resolved."""
        return self._publisher.topic_name

    def send(self, position_rad: np.ndarray, measured_rad: np.ndarray) -> None:
        """See `topics.joint_command_message`."""
        stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(
            topics.joint_command_message(self._interface, stamp, self._joint_names, position_rad, measured_rad)
        )

    def damp(self, measured_rad: np.ndarray) -> None:
        """Damps the joints, several times over in case a message is lost. Takes 0.1 s."""
        for _ in range(DAMPING_REPEATS):
            self.send(np.full(len(self._joint_names), np.nan), measured_rad)
            time.sleep(DAMPING_PERIOD_S)


def wait_for_state(state: RobotState, spinner: runtime.Spinner, stop: StopRequest) -> None:
    """Returns when every topic has delivered, or on a stop request; says every few seconds which has not."""
    begin_s = time.monotonic()
    next_message_s = begin_s + WAITING_MESSAGE_PERIOD_S
    while (silent := state.silent_topics(begin_s)) and not stop:
        spinner.once(0.05)
        if time.monotonic() > next_message_s:
            next_message_s += WAITING_MESSAGE_PERIOD_S
            print(f"Waiting for a message on {', '.join(silent)}; is the robot's driver running?", flush=True)


def control(
    loop: ControlLoop,
    state: RobotState,
    commands: CommandPublisher,
    spinner: runtime.Spinner,
    telemetry: ActorTelemetry,
    loader: PolicyLoader,
    pacer: Pacer,
    total_steps: int,
    stop: StopRequest,
) -> None:
    """Runs the control loop until `total_steps` of the session are logged or a stop is requested."""
    ticks = 0
    while not stop and loop.statistics.env_steps < total_steps:
        spinner.until(pacer.tick_s)
        pacer.begin(time.monotonic())
        tick_s = pacer.tick_s
        measurement = state.measurement()
        command = loop.step(measurement, tick_s)
        commands.send(command.position_rad, measurement.joint_position_rad)
        sent_s = time.monotonic()
        pacer.finish(sent_s)
        telemetry.step_latency.add(sent_s - tick_s)
        ticks += 1
        # Once a second, only with most of the period left, and not amid the many objects of a policy in the making.
        idle = pacer.tick_s - time.monotonic() > pacer.period_s / 2 and not loader.busy
        if idle and ticks % round(1.0 / pacer.period_s) == 0:
            garbage.collect()


def act(session: Session, task: Task, node, steps_in_all: int, stop: StopRequest) -> None:
    """Everything from the first look at the topics to the last damping command."""
    spec, config = task.spec, session.config
    commands = CommandPublisher(node, spec.joint_names)
    state = RobotState(node, spec)
    with contextlib.ExitStack() as stack:
        spinner = stack.enter_context(runtime.Spinner(node))
        runtime.refuse_second_publisher(node, spinner, commands.topic_name, stop)
        life = next_actor_life(session.experience)
        earlier_steps, earlier = logged_steps(session), read_status(session)
        writer = stack.enter_context(
            RollingExperienceWriter(
                session.experience, spec, life, config.actor.fsync_period_s, config.actor.log_roll_bytes
            )
        )
        milestones = Milestones(spec.control_period_s, earlier_steps * spec.control_period_s, earlier["milestones_s"])
        telemetry = ActorTelemetry(session, life, writer, milestones)
        loop = ControlLoop(
            task,
            config.actor,
            writer,
            actor_life=life,
            seed=config.seed,
            earlier_steps=earlier_steps,
            earlier_episodes=earlier["episodes"] or 0,
            on_event=telemetry.event,
            on_step=telemetry.on_step,
        )
        loader = PolicyLoader(
            session.policy,
            spec,
            functools.partial(Policy.load, seed=config.seed),
            on_policy=loop.set_policy,
            on_event=telemetry.event,
            poll_s=config.actor.snapshot_poll_s,
        )
        # Compiling holds up every thread of Python; afterwards a new snapshot only brings other parameters.
        warm_up(Policy.untrained(spec, config.model), spec)
        loader.poll()
        garbage.take_over()
        pacer = Pacer(spec.control_period_s, time.monotonic())
        stack.enter_context(telemetry.running(loop, pacer))
        stack.enter_context(loader.running())
        wait_for_state(state, spinner, stop)
        if stop:
            return
        # Registered last so that it comes first, whatever ends the loop.
        stack.callback(lambda: commands.damp(state.measurement().joint_position_rad))
        telemetry.state = "running"
        pacer.restart(time.monotonic())
        control(loop, state, commands, spinner, telemetry, loader, pacer, steps_in_all, stop)


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    parser = argparse.ArgumentParser(prog="actor_node", description=__doc__)
    parser.add_argument("--minutes", type=float, help="robot time of the whole session; default: as configured")
    options = runtime.parse_arguments(parser, arguments)
    keep_compilations()
    session = Session.open(options.session)
    task = find_robot(session.config.robot).make_task(session.config)
    session.require_spec(task.spec)
    with session.lock("actor"), runtime.ros_node("actor", arguments) as node:
        act(session, task, node, total_steps(session, options.minutes), stop)
    return 0


if __name__ == "__main__":
    sys.exit(runtime.run(main))
