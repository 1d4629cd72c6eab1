"""What stands between the actor and the position controllers of an arm's ros2_control, which have no command timeout.

Commands are taken in on `joint_command`, and positions go out to controllers that forward them, as
`forward_position_controller/commands`, many times for each command: an arm that follows a position at once would jerk
from one to the next. `joint_states` come from the joint_state_broadcaster, which the actor hears, too.

When commands cease, whoever has sent them, or tell the arm to let go, which a position cannot say, it is held where it
is measured to be. When the joints' states grow old nothing more is sent, and the controllers hold what they were told
last.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY
from daydreamer.errors import UserError
from daydreamer.pacer import Pacer
from daydreamer.robots.arm.held import HeldPositions
from daydreamer.safety.motor_guard import LATE_PERIODS, STATE_TIMEOUT_S, MotorGuard
from daydreamer.scheduling import DRIVER_PRIORITY, put_robot_first
from daydreamer.stop_request import StopRequest
from daydreamer.timing import suspended_s
from ros_nodes import driver_parameters, runtime, topics
from ros_nodes.command_intake import CommandIntake
from ros_nodes.complaints import Complaints
from ros_nodes.named_values import JointReadings, Unusable
from ros_nodes.runtime import identity_of

ENDING_S = 1.0
"""Longest time in which an arm comes to be held when its driver ends."""


class PositionDriver:
    """Tells an arm's controllers where its joints are to be, tick by tick.

    Parameters: `rate_hz` of what is sent, `command_timeout_s` without a command until the arm is held, `interpolate_s`
    from one command to the next, `max_target_error_rad` of what is sent from the measured angle, but for the gripper.

    Attributes:
      rate_hz: see above.
      guard: has the last word on positions.
      topics: resolved, of the controllers.
      commanded: whether anybody has said where the arm is to be.
    """

    def __init__(self, node, robot: Embodiment, controllers: Mapping[str, Sequence[str]]):
        """Makes the driver.

        Args:
          node: rclpy node.
          robot: with limits of joints; the last joint is the gripper's.
          controllers: joints by the name of the controller that forwards their positions, in its order; together all
            of the robot's.

        Raises:
          UserError: a parameter cannot be used.
        """
        limits = robot.limits
        assert isinstance(limits, JointLimits), "an arm is told where its joints are to be"
        names = robot.setpoint_names
        self._node = node
        self._names = names
        self.rate_hz = driver_parameters.number(node, "rate_hz", 125.0, 50.0, 500.0)
        # Never 0: an arm must not go on by itself for ever.
        timeout_s = driver_parameters.number(node, "command_timeout_s", 0.25, 0.02, 2.0)
        interpolate_s = driver_parameters.number(node, "interpolate_s", 0.05, 0.001, 0.5)
        error_rad = np.full(len(names), driver_parameters.number(node, "max_target_error_rad", 0.2, 0.01, 1.0))
        error_rad[-1] = np.inf  # it presses on what it holds
        self.guard = MotorGuard(
            names,
            limits,
            stiffness_n_m_rad=np.zeros(len(names)),  # the controllers keep it to themselves
            max_target_error_rad=error_rad,
            interpolate_s=interpolate_s,
            command_timeout_s=timeout_s,
            period_s=1.0 / self.rate_hz,
        )
        self._held = HeldPositions(limits, len(names) - 1)
        self._readings = JointReadings(
            names, robot.signals[JOINT_POSITION].largest, robot.signals[JOINT_VELOCITY].largest
        )
        self._complaints = Complaints(node, time.monotonic)
        self._ticked_s = -np.inf
        self._heard = self._held_before = False
        self._stopped: str | None = None
        self.intake = CommandIntake(
            node,
            topics.COMMAND_INTERFACES[0],
            robot,
            self._on_command,
            begin_anew=self.guard.begin_anew,
        )
        self.commanded = False
        self._speakers: dict[str, tuple[bytes | None, float]] = {}
        node.create_subscription(JointState, topics.JOINT_STATES, self._on_joint_states, topics.FROM_SEVERAL)
        self._controllers = [
            (
                node.create_publisher(Float64MultiArray, f"{controller}/commands", topics.RELIABLE),
                np.array([names.index(joint) for joint in joints]),
            )
            for controller, joints in controllers.items()
        ]
        self.topics = [publisher.topic_name for publisher, _ in self._controllers]

    def run(self, spinner: runtime.Spinner, stop: StopRequest) -> None:
        """Works until a stop is requested; then the arm is held where it is."""
        self._node.get_logger().info(f"Scheduling: {put_robot_first(DRIVER_PRIORITY)}.")
        pacer = Pacer(1.0 / self.rate_hz, time.monotonic())

        def tick(ends: bool) -> bool:
            spinner.until(pacer.tick_s)
            pacer.begin(time.monotonic())
            told = self.tick(ends)
            pacer.finish(time.monotonic())
            return told

        while not stop:
            tick(ends=False)
        until_s = time.monotonic() + ENDING_S
        while tick(ends=True) and time.monotonic() < until_s:
            pass

    def tick(self, ends: bool = False) -> bool:
        """Whether the controllers were told anything.

        Args:
          ends: nobody commands any more.
        """
        now_s = time.monotonic()
        elapsed_s = min(now_s - self._ticked_s, LATE_PERIODS / self.rate_hz)
        self._ticked_s = now_s
        self.guard.wake(suspended_s())
        target_rad = self.guard.target(now_s)
        known = self.guard.belief.age_s(now_s) <= STATE_TIMEOUT_S
        measured_rad = self.guard.belief.position_rad if known else None
        told_rad = self._held.next(None if ends else target_rad, measured_rad, elapsed_s)
        self._say(known)
        if told_rad is None:
            return False
        for publisher, joints in self._controllers:
            publisher.publish(Float64MultiArray(data=told_rad[joints].tolist()))
            if not publisher.get_subscription_count():
                topic = publisher.topic_name
                self._complaints.add(f"Nobody takes positions on {topic}", lambda: "is that controller active?")
        return True

    def _say(self, known: bool) -> None:
        logger = self._node.get_logger()
        if self._heard and not known:
            lacking = ", ".join(self._readings.position.missing(STATE_TIMEOUT_S)) or "all joints"
            logger.error(
                f"Nothing believable comes of {lacking} on {topics.JOINT_STATES}: nothing more is sent, and the "
                "controllers hold what they were told last. Is the joint_state_broadcaster active?"
            )
        self._heard = known
        if self._held.holds and not self._held_before:
            logger.info("Nobody commands the arm: it is held where it is.")
        self._held_before = self._held.holds
        if self.guard.stopped is not None and self.guard.stopped != self._stopped:
            logger.error(
                f"The arm is held where it is: {self.guard.stopped}. Look at it; it goes on when whoever commands it "
                "has let go, as the actor does when it is stopped or deactivated."
            )
        self._stopped = self.guard.stopped

    def _on_command(self, target_rad: np.ndarray | None) -> None:
        self.commanded |= target_rad is not None
        self.guard.command(target_rad, time.monotonic())

    def _look_who_speaks(self, message: JointState, publisher: bytes | None, now_s: float) -> None:
        """Of two who say where a joint is nobody knows which is the arm: it is held until whoever commands lets go."""
        for joint in set(message.name) & set(self._names):
            before, said_s = self._speakers.get(joint, (publisher, now_s))
            if before != publisher and now_s - said_s < STATE_TIMEOUT_S:
                self.guard.stop(f"two publishers on {topics.JOINT_STATES} say where {joint} is")
            self._speakers[joint] = publisher, now_s

    def _on_joint_states(self, message: JointState, info: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        self._look_who_speaks(message, identity_of(info.get("publisher_gid")), now_s)
        stamp = message.header.stamp
        stamp_s = stamp.sec + 1e-9 * stamp.nanosec
        try:
            ours = self._readings.take(message.name, message.position, message.velocity, stamp_s, now_s)
        except Unusable as error:
            reason = str(error)
            self._complaints.add(f"A message on {topics.JOINT_STATES} cannot be used", lambda: reason)
            return
        position = self._readings.position
        if not ours:
            return
        if now_s - position.received_s.min() > STATE_TIMEOUT_S:
            missing = ", ".join(position.missing(STATE_TIMEOUT_S))
            self._complaints.add(f"{topics.JOINT_STATES} lacks joints", lambda: missing)
            return
        if not self.guard.measured(position.value, self._readings.velocity_rad_s, now_s):
            self._complaints.add("A joint's angle does not follow from those before; such a sample is not used")


def run_position_driver(
    robot: Embodiment,
    controllers: Mapping[str, Sequence[str]],
    description: str | None,
    arguments: Sequence[str],
    stop: StopRequest,
) -> int:
    """The process of a robot's driver; see `PositionDriver`. Its node has the name of the robot.

    Args:
      description: for --help.
    """
    runtime.parse_without_session(f"{robot.name}_node", description or "", arguments)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: runtime.Node(robot.name), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        runtime.refuse_file_for_others(node, arguments)
        driver = PositionDriver(node, robot, controllers)
        runtime.refuse_unknown_parameters(node)
        began_s = time.monotonic()
        for topic in driver.topics:
            runtime.refuse_second_publisher(node, spinner.once, topic, stop, began_s)
        if driver.commanded:
            raise UserError(
                "Somebody commands already, before there is a driver: a session with a twin, perhaps? Stop it first, "
                "or give this arm a ROS domain of its own with ROS_DOMAIN_ID=1 (any number up to 101)."
            )
        driver.run(spinner, stop)
    return 0
