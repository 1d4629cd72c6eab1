"""Gathers the robot's topics into one measurement.

A message is evidence: what it lacks grows old, what is wrong in it is counted and named, and it never ends anything.
Only before the robot has once been heard whole, topics that go on being unusable are an error.
"""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import BatteryState, Imu, JointState, Temperature

from daydreamer.contract import signals
from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import Measurement
from daydreamer.errors import UserError
from daydreamer.robots.sensor_watch import ChargeUnit, SensorWatch, TemperatureUnit
from daydreamer.spec import RobotSpec
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.camera import TRANSPORTS, Camera
from ros_nodes.named_values import JointReadings, NamedValues, Unusable
from ros_nodes.wishes import WishedTwist

REPORT_TIMEOUT_S = 10.0
"""Temperature and charge that are older than this are not known any more."""

PARTIAL_S, FOREIGN_S = 3.0, 10.0
"""How long a topic may lack something, or all that is wanted, from its first message on until that is an error."""

REPEAT_S = 10.0
"""What goes on being wrong is said again so often."""

REMARK_REPEAT_S = 60.0
"""Likewise of what is wrong with sensors rather than with messages."""

LOWEST_C, HIGHEST_C = -60.0, 500.0
"""As they are reported, which may be in kelvin."""

NAMES_SHOWN = 40

CLOCK_MESSAGES = 8
"""Whose stamps tell what the robot's clock says."""

LOOK_S = 0.1
"""Between two pictures that are converted, at most: a policy that looks twice a second shall see what is there."""

COMES_S = 2.0
"""What has not come for so long does not come."""


class RobotState:
    """Subscribes to what a robot senses.

    Optional signals, as temperature and charge, are not waited for.

    Reception is stamped with this process's steady clock: the driver's stamps are of another clock, perhaps of
    another machine.

    Attributes:
      refused: how many messages were unusable, wholly or in part, by topic and kind of fault.
    """

    def __init__(
        self,
        node: Node,
        spec: RobotSpec,
        robot: Embodiment,
        on_notice: Callable[..., None] = lambda text, **fields: None,
        *,
        foot_unloaded_n: Sequence[float] = (),
        image_transport: str = TRANSPORTS[0],
    ):
        """Subscribes; `close` ends what works beside it.

        Args:
          spec: names joints and feet, and says how often the policy looks.
          robot: whose signals are wanted.
          on_notice: called as `on_notice(text, **fields)`, on any thread, when something about the messages is worth an
            operator's attention.
          foot_unloaded_n: see `SensorWatch`.
          image_transport: see `Camera`.

        Raises:
          UserError: there is no such transport.
        """
        self.refused: dict[tuple[str, str], int] = {}
        self._robot = robot
        self._on_notice = on_notice
        self._said_s: dict[tuple[str, str], float] = {}
        self._problems: dict[str, str] = {}
        # When the first and the newest message came, usable or not.
        self._heard_s: dict[str, tuple[float, float]] = {}
        self._joints = JointReadings(
            spec.joint_names, self._largest(signals.JOINT_POSITION), self._largest(signals.JOINT_VELOCITY)
        )
        self._efforts = NamedValues(spec.joint_names, "effort", self._largest(signals.JOINT_EFFORT))
        self._names_heard: dict[str, list[str]] = {}
        self._feet = NamedValues(spec.foot_names, "effort", self._largest(signals.FOOT_FORCE))
        # What is not named, by signal.
        self._values: dict[str, np.ndarray] = {}
        self._peak_joint_speed_rad_s = np.zeros(len(spec.joint_names))
        # When what is not named came last.
        self._received_s: dict[str, float] = {}
        # Of the newest stamped messages, how far the steady clock was ahead of the stamp.
        self._clock_s: collections.deque[float] = collections.deque(maxlen=CLOCK_MESSAGES)
        self._subscriptions: dict[str, object] = {}
        self._node = node
        wanted = topics.topics_of(robot)
        if topics.JOINT_STATES in wanted:
            self._subscribe(JointState, topics.JOINT_STATES, self._on_joint_states, topics.FROM_SEVERAL)
        if topics.IMU in wanted:
            self._subscribe(Imu, topics.IMU, self._on_imu)
        if topics.FOOT_CONTACTS in wanted:
            self._subscribe(JointState, topics.FOOT_CONTACTS, self._on_foot_contacts, topics.FROM_SEVERAL)
        if topics.ODOMETRY in wanted:
            from nav_msgs.msg import Odometry  # not needed by robots without wheels

            self._subscribe(Odometry, topics.ODOMETRY, self._on_odometry)
        self._required = dict(self._subscriptions)
        self._temperature = _Reports()
        self._battery = _Reports()
        self._subscribe(Temperature, topics.TEMPERATURE, self._on_temperature)
        self._subscribe(BatteryState, topics.BATTERY, self._on_battery)
        self._temperature_unit, self._charge_unit = TemperatureUnit(), ChargeUnit()
        self._watch = SensorWatch(spec, robot, foot_unloaded_n)
        self._wishes: WishedTwist | None = None
        if signals.WISHED_TWIST in robot.signals:
            self._wishes = WishedTwist(node, self._largest(signals.WISHED_TWIST), self._refuse_wish)
        self._cameras = {
            name: Camera(
                node,
                name,
                signal.shape,
                image_transport,
                min(spec.control_period_s, LOOK_S),
                self._refuse_image,
                self._robot_clock_s,
                self._on_behind,
            )
            for name, signal in robot.cameras.items()
        }

    def close(self) -> None:
        """Ends the cameras' threads."""
        for camera in self._cameras.values():
            camera.close()

    @property
    def camera(self) -> str | None:
        """What the cameras send, for people; None for a robot that needs none."""
        return "; ".join(camera.description() for camera in self._cameras.values()) or None

    def _largest(self, name: str) -> float:
        """Beyond it a value of this signal is a broken message."""
        signal = self._robot.signals.get(name)
        return math.inf if signal is None else signal.largest

    @property
    def topic_names(self) -> list[str]:
        """Resolved names of the topics that the robot's state comes on."""
        cameras = [name for camera in self._cameras.values() for name in camera.topic_names]
        return [subscription.topic_name for subscription in self._required.values()] + cameras

    @property
    def _blind(self) -> list[Camera]:
        """Cameras of which no picture has come yet."""
        return [camera for camera in self._cameras.values() if camera.newest is None]

    def take_waiting(self) -> None:
        """Takes in what has arrived, without an executor."""
        for subscription in self._required.values():
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, False)
            if taken is not None:
                subscription.callback(taken[0])

    def silent_topics(self, since_s: float) -> list[str]:
        """Resolved names of the topics that have not delivered all since `since_s` of `time.monotonic()`."""
        silent = [self._required[topic].topic_name for topic in self._required if self._oldest_s(topic) < since_s]
        # Later pictures have an age of their own.
        return silent + [name for camera in self._blind for name in camera.topic_names]

    def problem(self, topic_name: str) -> str | None:
        """What is wrong with the messages on a topic that `silent_topics` names; None if none come."""
        cameras = [topic for camera in self._cameras.values() for topic in camera.topics]
        topic = next(topic for topic in (*self._required, *cameras) if self._name_of(topic) == topic_name)
        comes = time.monotonic() - self._heard_s.get(topic, (0.0, -math.inf))[1] < COMES_S
        return self._problem_of(topic) if comes else None

    def require_usable(self) -> None:
        """Judges topics that deliver, but have never delivered all they should.

        Raises:
          UserError: one has been so for seconds; names it and what it lacks.
        """
        now_s = time.monotonic()
        for topic in self._required:
            if self._oldest_s(topic) > -math.inf or topic not in self._heard_s:
                continue
            foreign = topic == topics.JOINT_STATES and self._joints.position.newest_s == -math.inf
            if now_s - self._heard_s[topic][0] > (FOREIGN_S if foreign else PARTIAL_S):
                raise UserError(self._problem_of(topic))
        for topic in (topic for camera in self._blind for topic in camera.topics):
            if topic in self._problems and now_s - self._heard_s[topic][0] > FOREIGN_S:
                raise UserError(self._problem_of(topic))

    def measurement(self) -> Measurement:
        """The newest state, as old as its oldest part. Only when every topic has delivered."""
        values: dict[str, Any] = dict(self._values)
        if topics.JOINT_STATES in self._required:
            values[signals.JOINT_POSITION] = self._joints.position.value
            values[signals.JOINT_VELOCITY] = self._joints.velocity_rad_s
            values[signals.PEAK_JOINT_SPEED] = self._peak_joint_speed_rad_s
            self._peak_joint_speed_rad_s = np.abs(self._joints.velocity_rad_s)
            if self._efforts.received_s.min() > -math.inf:
                values[signals.JOINT_EFFORT] = self._efforts.value
        if topics.FOOT_CONTACTS in self._required:
            values[signals.FOOT_FORCE] = self._watch.feet(self._feet.value)
        for name, report in (
            (signals.TEMPERATURE, self._temperature.highest()),
            (signals.CHARGE, self._battery.lowest()),
        ):
            if report is not None:
                values[name] = report
        if self._wishes is not None and (wish := self._wishes.newest()) is not None:
            values[signals.WISHED_TWIST] = wish
        received_s = self._slow_s()
        for name, camera in self._cameras.items():
            if camera.newest is not None:
                values[name], received_s[name] = camera.newest
        measurement = Measurement(self._state_s(), values, received_s)
        for remark in self._watch.look(measurement):
            self._remark("sensors", remark.kind, remark.text)
        return measurement

    def _slow_s(self) -> dict[str, float]:
        """When the signals came that have a pace of their own."""
        return {
            name: self._oldest_s(topic)
            for topic in self._required
            for name in topics.signals_of(self._robot, topic)
            if self._robot.signals[name].stale_s is not None
        }

    def _state_s(self) -> float:
        """When the oldest part of the rest came; now, if all has a pace of its own."""
        fast_s = [self._oldest_s(topic) for topic in self._required if not self._is_slow(topic)]
        return min(fast_s, default=time.monotonic())

    def _is_slow(self, topic: str) -> bool:
        return all(self._robot.signals[name].stale_s is not None for name in topics.signals_of(self._robot, topic))

    def _oldest_s(self, topic: str) -> float:
        if topic == topics.JOINT_STATES:
            return float(self._joints.position.received_s.min())
        if topic == topics.FOOT_CONTACTS:
            return float(self._feet.received_s.min())
        return self._received_s.get(topic, -math.inf)

    def _problem_of(self, topic: str) -> str:
        if topic in self._problems:
            return self._problems[topic]
        # Only these can have come without a fault and still lack something.
        values, kind = (self._joints.position, "joint") if topic == topics.JOINT_STATES else (self._feet, "foot")
        missing = ", ".join(values.missing(COMES_S))
        heard = ", ".join(printable_line(name) for name in self._names_heard.get(topic, ())) or "no names at all"
        return (
            f"Topic {self._required[topic].topic_name} lacks the {kind} {missing}; it has {heard}. "
            "Rename them in the driver or in the robot's folder."
        )

    # Receiving.

    def _subscribe(self, message_type: type, topic: str, take: Callable, quality=topics.LATEST_ONLY) -> None:
        def receive(message) -> None:
            now_s = time.monotonic()
            self._heard_s[topic] = self._heard_s.get(topic, (now_s, now_s))[0], now_s
            stamp = message.header.stamp
            if stamp.sec or stamp.nanosec:
                self._clock_s.append(now_s - stamp.sec - 1e-9 * stamp.nanosec)
            try:
                take(message, now_s)
            # What a message may have in it is up to whoever sent it.
            except (Unusable, UserError, ValueError, OverflowError) as error:
                self._refuse(topic, error, now_s)
            else:
                self._problems.pop(topic, None)

        self._subscriptions[topic] = self._node.create_subscription(
            message_type, topic, receive, quality, event_callbacks=topics.UNOBSERVED
        )

    def _refuse(self, topic: str, error: Exception, now_s: float) -> None:
        key = (topic, getattr(error, "kind", type(error).__name__))
        count = self.refused[key] = self.refused.get(key, 0) + 1
        name = self._name_of(topic)
        self._problems[topic] = text = f"A message on {name} is unusable ({printable_line(str(error), 200)})."
        if self._is_time_to_say(key, now_s, REPEAT_S):
            self._on_notice(f"{text} {count} so far.", topic=name, fault=printable_line(key[1]), count=count)

    def _is_time_to_say(self, key: tuple[str, str], now_s: float, period_s: float) -> bool:
        """Whether something has not been said for so long; it counts as said then."""
        due = now_s - self._said_s.get(key, -math.inf) > period_s
        if due:
            self._said_s[key] = now_s
        return due

    def _robot_clock_s(self) -> float | None:
        """See `Camera`; the message that was the shortest under way tells. On the camera's thread."""
        return min(tuple(self._clock_s), default=None)

    def _on_behind(self, topic: str, behind_s: float) -> None:
        """On the camera's thread."""
        name = self._name_of(topic)
        text = (
            f"Pictures on {name} are {behind_s:.1f} s old when they come, by their stamps: a slow network, a queue in "
            "the camera's driver, or a clock that has to be set, as by chrony."
        )
        if self._is_time_to_say((topic, "behind"), time.monotonic(), REPEAT_S):
            self._on_notice(text, topic=name, fault="behind", behind_s=behind_s)

    def _refuse_wish(self, text: str) -> None:
        if self._is_time_to_say((topics.VELOCITY_COMMAND, "impossible"), time.monotonic(), REPEAT_S):
            self._on_notice(text, topic=self._name_of(topics.VELOCITY_COMMAND), fault="impossible")

    def _refuse_image(self, topic: str, error: Exception, now_s: float) -> None:
        """On the camera's thread."""
        first_s, _ = self._heard_s.get(topic, (now_s, now_s))
        self._heard_s[topic] = first_s, now_s
        self._refuse(topic, error, now_s)

    def _name_of(self, topic: str) -> str:
        """Resolved."""
        return self._node.resolve_topic_name(topic)

    def _remark(self, topic: str, kind: str, text: str) -> None:
        """Says what is odd about a sensor, now and then."""
        if self._is_time_to_say((topic, kind), time.monotonic(), REMARK_REPEAT_S):
            self._on_notice(text, topic=topic, fault=kind, finding=text)

    def _on_joint_states(self, message: JointState, now_s: float) -> None:
        self._names_heard[topics.JOINT_STATES] = message.name[:NAMES_SHOWN]
        stamp = message.header.stamp
        by_differences = self._joints.by_differences or not self._robot.joint_velocity_reported
        velocities = message.velocity if self._robot.joint_velocity_reported else ()
        self._joints.take(message.name, message.position, velocities, stamp.sec + 1e-9 * stamp.nanosec, now_s)
        self._peak_joint_speed_rad_s = np.maximum(self._peak_joint_speed_rad_s, np.abs(self._joints.velocity_rad_s))
        if signals.JOINT_EFFORT in self._robot.signals and len(message.effort):
            self._efforts.take(message.name, message.effort, now_s)
        if self._joints.by_differences and not by_differences:
            name = self._subscriptions[topics.JOINT_STATES].topic_name
            self._on_notice(
                f"Topic {name} has no velocities; they are made of the angles' changes.", topic=name, fault="velocity"
            )

    def _on_imu(self, message: Imu, now_s: float) -> None:
        wanted = topics.signals_of(self._robot, topics.IMU)
        for name, signal in (
            ("angular_velocity", signals.ANGULAR_VELOCITY),
            ("linear_acceleration", signals.LINEAR_ACCELERATION),
        ):
            if signal not in wanted:
                continue
            # REP-145; drivers that know no covariance are known to write the same beside a measurement.
            missing = getattr(message, f"{name}_covariance")[0] == -1.0
            if missing and not topics.vector_of(getattr(message, name)).any():
                raise Unusable(f"it has no {name.replace('_', ' ')}")
        values = {}
        if signals.ORIENTATION in wanted:
            values[signals.ORIENTATION] = topics.orientation_of(message)
        for name, vector in (
            (signals.ANGULAR_VELOCITY, message.angular_velocity),
            (signals.LINEAR_ACCELERATION, message.linear_acceleration),
        ):
            if name in wanted:
                values[name] = self._possible(name, topics.vector_of(vector))
        self._values |= values
        self._received_s[topics.IMU] = now_s

    def _on_odometry(self, message, now_s: float) -> None:
        wanted = topics.signals_of(self._robot, topics.ODOMETRY)
        twist, pose = message.twist.twist, message.pose.pose
        found = {signals.ODOMETRY_TWIST: np.array((twist.linear.x, twist.angular.z))}
        if signals.ODOMETRY_POSE in wanted:
            found[signals.ODOMETRY_POSE] = np.array((pose.position.x, pose.position.y, topics.yaw_of(pose.orientation)))
        self._values |= {name: self._possible(name, values) for name, values in found.items() if name in wanted}
        self._received_s[topics.ODOMETRY] = now_s

    def _possible(self, name: str, values: np.ndarray) -> np.ndarray:
        """The values, if any sensor can say them.

        Raises:
          Unusable: none can.
        """
        if not (np.abs(values) <= self._largest(name)).all():  # false for what is not a number
            raise Unusable(f"its {name} is impossible", np.array2string(values, precision=3))
        return values

    def _on_foot_contacts(self, message: JointState, now_s: float) -> None:
        self._names_heard[topics.FOOT_CONTACTS] = message.name[:NAMES_SHOWN]
        self._feet.take(message.name, message.effort, now_s)

    def _on_temperature(self, message: Temperature, now_s: float) -> None:
        value = message.temperature
        if not LOWEST_C <= value <= HIGHEST_C:
            raise Unusable("no temperature", f"{value:.3g} °C")
        value_c = self._temperature_unit(value)
        if self._temperature_unit.kelvin:
            said = f"Topic {self._name_of(topics.TEMPERATURE)} says {value:.0f}: taken for kelvin, {value_c:.0f} °C."
            self._once(topics.TEMPERATURE, "kelvin", said)
        # One for all motors, or one for each.
        self._temperature.receive(message.header.frame_id, value_c, now_s)

    def _on_battery(self, message: BatteryState, now_s: float) -> None:
        # Not a number is what BatteryState has where nothing is measured.
        reported = message.percentage
        if math.isnan(reported):
            return
        fraction = self._charge_unit(reported)
        if self._charge_unit.percent:
            said = (
                f"Topic {self._name_of(topics.BATTERY)} has a percentage of {reported:.3g}, where 1 is full: taken as "
                f"{100 * fraction:.0f} %."
            )
            self._once(topics.BATTERY, "percent", said)
        self._battery.receive(message.header.frame_id, fraction, now_s)

    def _once(self, topic: str, kind: str, text: str) -> None:
        if (topic, kind) not in self._said_s:
            self._said_s[topic, kind] = math.inf
            self._on_notice(text, topic=self._name_of(topic), fault=kind)


class _Reports:
    """A number that a robot may or may not report, perhaps of several parts."""

    LARGEST = 64

    def __init__(self) -> None:
        self._newest: dict[str, tuple[float, float]] = {}

    def receive(self, part: str, value: float, now_s: float) -> None:
        if part not in self._newest and len(self._newest) >= self.LARGEST:
            self._newest.clear()
        self._newest[part] = value, now_s

    def highest(self) -> float | None:
        return max(self._known(), default=None)

    def lowest(self) -> float | None:
        return min(self._known(), default=None)

    def _known(self) -> list[float]:
        now_s = time.monotonic()
        return [value for value, at_s in self._newest.values() if now_s - at_s < REPORT_TIMEOUT_S]
