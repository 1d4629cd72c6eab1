"""What drivers of Unitree's quadrupeds have in common: our topics on one side, a motor for each joint on the other."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.actor.pacer import Pacer
from daydreamer.errors import UserError
from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINT_NAMES, Quadruped
from daydreamer.robots.target_stream import TargetStream
from daydreamer.scheduling import DRIVER_PRIORITY, put_robot_first
from daydreamer.stop_request import StopRequest
from ros_nodes import runtime, topics

DAMPING_REPEATS = 10


@dataclasses.dataclass(frozen=True)
class DriverState:
    """What a robot reports; arrays as in `Measurement`, `foot_force` in the units of its sensors."""

    joint_position_rad: np.ndarray
    joint_velocity_rad_s: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    linear_acceleration_m_s2: np.ndarray
    foot_force: np.ndarray
    temperature_c: float
    battery_fraction: float | None = None


class UnitreeDriver:
    """Publishes states, and turns commands into motor targets at the motors' rate.

    Parameters: `rate_hz` of the motor commands, `state_rate_hz` of the topics, `command_timeout_s` without a command
    until the joints are damped, `interpolate_s` from one command to the next, `max_target_error_rad` from the measured
    angle, `stiffness_n_m_rad` and `damping_n_m_s_rad` (one value for each of hip, thigh and calf), and
    `newton_per_foot_force`, which has to be found by putting the robot on a scale.

    Attributes:
      stiffness_n_m_rad, damping_n_m_s_rad: `[12]`.
      rate_hz: see above.
    """

    def __init__(self, node, robot: Quadruped, damping_n_m_s_rad: Sequence[float]):
        """Makes the driver.

        Args:
          node: rclpy node.
          robot: whose gains are the defaults of the parameters.
          damping_n_m_s_rad: of hip, thigh and calf, likewise.

        Raises:
          UserError: a parameter cannot be used.
        """
        gains = robot.limits.gains
        self._node = node
        self.rate_hz = self._positive("rate_hz", 250.0)
        self._state_period_s = 1.0 / self._positive("state_rate_hz", 100.0)
        self._newton_per_foot_force = self._positive("newton_per_foot_force", 1.0)
        self.stiffness_n_m_rad = self._each_leg("stiffness_n_m_rad", gains.stiffness_n_m_rad[:3].tolist())
        self.damping_n_m_s_rad = self._each_leg("damping_n_m_s_rad", damping_n_m_s_rad)
        self._targets = TargetStream(
            interpolate_s=self._positive("interpolate_s", 0.05),
            # Never 0: a real robot must not go on by itself for ever.
            timeout_s=self._positive("command_timeout_s", 0.25),
            max_error_rad=self._positive("max_target_error_rad", float(gains.max_target_error_rad.min())),
        )
        self._next_state_s = 0.0
        self._order = topics.NameOrder(topics.JOINT_COMMAND, "joint", JOINT_NAMES)
        node.create_subscription(topics.JointState, topics.JOINT_COMMAND, self._on_command, topics.LATEST_ONLY)
        self.joint_states = node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
        self._imu = node.create_publisher(topics.Imu, topics.IMU, topics.RELIABLE)
        self._foot_contacts = node.create_publisher(topics.JointState, topics.FOOT_CONTACTS, topics.RELIABLE)
        self._temperature = node.create_publisher(Temperature, topics.TEMPERATURE, topics.RELIABLE)
        self._battery = node.create_publisher(BatteryState, topics.BATTERY, topics.RELIABLE)

    def motor_targets(self, position_rad: np.ndarray) -> np.ndarray | None:
        """`[12]` targets at this moment for joints at `position_rad`; None for damping."""
        error = self._targets.error(time.monotonic(), position_rad)
        return None if error is None else position_rad + error

    def publish(self, state: DriverState) -> None:
        """Publishes, at most at the rate of the topics."""
        now_s = time.monotonic()
        if now_s < self._next_state_s:
            return
        self._next_state_s = max(self._next_state_s + self._state_period_s, now_s)
        stamp = self._node.get_clock().now().to_msg()
        self.joint_states.publish(
            topics.joint_state_message(stamp, JOINT_NAMES, state.joint_position_rad, state.joint_velocity_rad_s)
        )
        self._imu.publish(
            topics.imu_message(
                stamp, state.orientation_wxyz, state.angular_velocity_rad_s, state.linear_acceleration_m_s2
            )
        )
        force_n = self._newton_per_foot_force * state.foot_force
        self._foot_contacts.publish(topics.foot_contacts_message(stamp, FOOT_NAMES, force_n))
        temperature = Temperature(temperature=state.temperature_c)
        temperature.header.stamp = stamp
        self._temperature.publish(temperature)
        if state.battery_fraction is not None:
            battery = BatteryState(percentage=state.battery_fraction)
            battery.header.stamp = stamp
            self._battery.publish(battery)

    def run(self, spinner: runtime.Spinner, tick: Callable[[bool], None], stop: StopRequest) -> None:
        """Calls `tick(damp)` at the motors' rate until a stop is requested; at the end, however it comes, with True."""
        self._node.get_logger().info(f"Scheduling: {put_robot_first(DRIVER_PRIORITY)}.")
        pacer = Pacer(1.0 / self.rate_hz, time.monotonic())
        try:
            while not stop:
                spinner.until(pacer.tick_s)
                pacer.begin(time.monotonic())
                tick(False)
                pacer.finish(time.monotonic())
        finally:
            for _ in range(DAMPING_REPEATS):
                tick(True)
                time.sleep(1.0 / self.rate_hz)

    def _on_command(self, message) -> None:
        target_rad = topics.joint_command_of(message, self._order, len(JOINT_NAMES))
        if target_rad is not None and not np.isfinite(target_rad).all():
            target_rad = None
        self._targets.command(target_rad, time.monotonic())

    def _positive(self, name: str, default: float) -> float:
        value = self._node.declare_parameter(name, default).value
        if not 0 < value < np.inf:
            raise UserError(f"Parameter {name} is {value}; it must be above 0.")
        return value

    def _each_leg(self, name: str, default: Sequence[float]) -> np.ndarray:
        values = self._node.declare_parameter(name, list(default)).value
        if len(values) != 3 or not all(0 <= value < 1000 for value in values):
            raise UserError(f"Parameter {name} is {list(values)}; give hip, thigh and calf, 0 or more each.")
        return np.tile(values, 4)
