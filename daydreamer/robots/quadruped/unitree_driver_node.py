"""What drivers of Unitree's quadrupeds have in common: our topics on one side, a motor for each joint on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from sensor_msgs.msg import BatteryState, Temperature

from daydreamer.pacer import Pacer
from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINT_NAMES, Quadruped
from daydreamer.robots.quadruped.task import embodiment
from daydreamer.robots.quadruped.unitree import POSSIBLE_TEMPERATURE_C, DriverState, impossible_imu, impossible_joints
from daydreamer.safety.motor_guard import MotorGuard
from daydreamer.scheduling import DRIVER_PRIORITY, put_robot_first
from daydreamer.stop_request import StopRequest
from daydreamer.timing import suspended_s
from ros_nodes import driver_parameters, runtime, topics
from ros_nodes.command_intake import CommandIntake
from ros_nodes.complaints import PERIOD_S, Complaints

DAMPING_REPEATS = 10

SILENT_S = 3.0
"""A robot of which nothing has come for so long is said to be silent."""


class UnitreeDriver:
    """Publishes states, and turns commands into motor targets at the motors' rate.

    Parameters: `rate_hz` of the motor commands, `state_rate_hz` of the topics, `command_timeout_s` without a command
    until the joints are damped, `interpolate_s` from one command to the next, `max_target_error_rad` from the measured
    angle, `stiffness_n_m_rad` and `damping_n_m_s_rad` (one value for each of hip, thigh and calf), and
    `newton_per_foot_force`, which has to be found by putting the robot on a scale.

    Attributes:
      stiffness_n_m_rad, damping_n_m_s_rad: `[12]`.
      rate_hz: see above.
      guard: has the last word on targets.
      complaints: about what the robot reports.
    """

    def __init__(self, node, robot: Quadruped, damping_n_m_s_rad: Sequence[float]):
        """Makes the driver.

        Args:
          node: rclpy node.
          robot: whose limits are kept, and whose gains are the defaults of the parameters.
          damping_n_m_s_rad: of hip, thigh and calf, likewise.

        Raises:
          UserError: a parameter cannot be used.
        """
        gains = robot.limits.gains
        self._node = node
        self._limits = robot.limits
        self.rate_hz = driver_parameters.number(node, "rate_hz", 250.0, 50.0, 1000.0)
        self._state_period_s = 1.0 / driver_parameters.number(node, "state_rate_hz", 100.0, 10.0, 1000.0)
        self._newton_per_foot_force = driver_parameters.number(node, "newton_per_foot_force", 1.0, 1e-6, 1e6)
        # Neither is ever 0: a robot must not go on by itself for ever, and without damping it would fall at each stop.
        command_timeout_s = driver_parameters.number(node, "command_timeout_s", 0.25, 0.02, 2.0)
        self.stiffness_n_m_rad = _each_leg(node, "stiffness_n_m_rad", gains.stiffness_n_m_rad[:3].tolist(), 0.0, 500.0)
        self.damping_n_m_s_rad = _each_leg(node, "damping_n_m_s_rad", damping_n_m_s_rad, 0.1, 50.0)
        self.guard = MotorGuard(
            JOINT_NAMES,
            robot.limits,
            stiffness_n_m_rad=self.stiffness_n_m_rad,
            max_target_error_rad=driver_parameters.number(
                node, "max_target_error_rad", float(gains.max_target_error_rad.min()), 0.001, 1.0
            ),
            interpolate_s=driver_parameters.number(node, "interpolate_s", 0.05, 0.001, 0.5),
            command_timeout_s=command_timeout_s,
            period_s=1.0 / self.rate_hz,
        )
        self.complaints = Complaints(node, time.monotonic)
        self._next_state_s = 0.0
        self._heard_s = time.monotonic()
        self._said_silent_s = -np.inf
        self._said_stopped: str | None = None
        self.intake = CommandIntake(
            node,
            "joint_state",
            embodiment(robot),
            self._on_command,
            begin_anew=self.guard.begin_anew,
        )
        self.joint_states = node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
        self._imu = node.create_publisher(topics.Imu, topics.IMU, topics.RELIABLE)
        self._foot_contacts = node.create_publisher(topics.JointState, topics.FOOT_CONTACTS, topics.RELIABLE)
        self._temperature = node.create_publisher(Temperature, topics.TEMPERATURE, topics.RELIABLE)
        self._battery = node.create_publisher(BatteryState, topics.BATTERY, topics.RELIABLE)

    def motor_targets(self) -> np.ndarray | None:
        """`[12]` targets at this moment; None for damping."""
        self.guard.wake(suspended_s())
        target_rad = self.guard.target(time.monotonic())
        if self.guard.stopped != self._said_stopped:
            self._said_stopped = self.guard.stopped
            if self._said_stopped:
                self._node.get_logger().error(
                    f"The joints are damped: {self._said_stopped}. They stay so until whoever commands them lets go, "
                    "as the actor does when it is stopped or deactivated; look at the robot before."
                )
        return target_rad

    def take_in(self, state: DriverState) -> None:
        """Takes in what the robot reports, and publishes what of it can be believed, at most at the topics' rate."""
        now_s = self._heard_s = time.monotonic()
        if impossible := impossible_joints(state, self._limits):
            self._complain(impossible)
            believed = False
        else:
            glitches = self.guard.belief.glitches
            believed = self.guard.measured(state.joint_position_rad, state.joint_velocity_rad_s, now_s)
            if self.guard.belief.glitches > glitches:
                self.complaints.add("A joint's angle does not follow from those before; such a sample is not used")
        if now_s < self._next_state_s:
            return
        self._next_state_s = max(self._next_state_s + self._state_period_s, now_s)
        self._publish(state, believed)

    def run(
        self,
        spinner: runtime.Spinner,
        tick: Callable[[], None],
        damp: Callable[[], None],
        silence: Callable[[], str],
        stop: StopRequest,
    ) -> None:
        """Works until a stop is requested; at the end, however it comes, the robot is told to damp.

        Args:
          tick: is called at the motors' rate.
          damp: tells the robot to damp.
          silence: a sentence about from whom nothing comes, and why that may be.
          stop: is looked at before each tick.
        """
        self._node.get_logger().info(f"Scheduling: {put_robot_first(DRIVER_PRIORITY)}.")
        pacer = Pacer(1.0 / self.rate_hz, time.monotonic())
        self._heard_s = time.monotonic()
        try:
            while not stop:
                spinner.until(pacer.tick_s)
                pacer.begin(time.monotonic())
                tick()
                self._look_for_silence(silence)
                pacer.finish(time.monotonic())
        finally:
            self._damp_surely(damp)

    def _damp_surely(self, damp: Callable[[], None]) -> None:
        failure: Exception | None = None
        for _ in range(DAMPING_REPEATS):
            try:
                damp()
            except Exception as error:  # the others may arrive
                failure = error
            time.sleep(1.0 / self.rate_hz)
        if failure is not None:
            self._node.get_logger().error(f"A command to damp could not be sent: {failure!r}.")

    def _look_for_silence(self, silence: Callable[[], str]) -> None:
        now_s = time.monotonic()
        silent_s = now_s - self._heard_s
        if silent_s > SILENT_S and now_s - self._said_silent_s > PERIOD_S:
            self._said_silent_s = now_s
            self._node.get_logger().warning(f"For {silent_s:.0f} s nothing has come {silence()}")

    def _publish(self, state: DriverState, believed: bool) -> None:
        stamp = self._node.get_clock().now().to_msg()
        if believed:
            self.joint_states.publish(
                topics.joint_state_message(stamp, JOINT_NAMES, state.joint_position_rad, state.joint_velocity_rad_s)
            )
        if impossible := impossible_imu(state):
            self._complain(impossible)
        else:
            self._imu.publish(
                topics.imu_message(
                    stamp, state.orientation_wxyz, state.angular_velocity_rad_s, state.linear_acceleration_m_s2
                )
            )
        force_n = self._newton_per_foot_force * state.foot_force
        self._foot_contacts.publish(topics.foot_contacts_message(stamp, FOOT_NAMES, force_n))
        if POSSIBLE_TEMPERATURE_C[0] <= state.temperature_c <= POSSIBLE_TEMPERATURE_C[1]:
            temperature = Temperature(temperature=state.temperature_c)
            temperature.header.stamp = stamp
            self._temperature.publish(temperature)
        else:
            self._complain(f"a temperature is outside of {POSSIBLE_TEMPERATURE_C} °C")
        if state.battery_fraction is None:
            return
        if 0.0 <= state.battery_fraction <= 1.0:
            battery = BatteryState(percentage=state.battery_fraction)
            battery.header.stamp = stamp
            self._battery.publish(battery)
        else:
            self._complain("the charge is not between 0 and 100 %")

    def _complain(self, impossible: str) -> None:
        self.complaints.add(f"The robot reports what cannot be, which is not used: {impossible}")

    def _on_command(self, target_rad: np.ndarray | None) -> None:
        self.guard.command(target_rad, time.monotonic())


def _each_leg(node, name: str, default: Sequence[float], lowest: float, highest: float) -> np.ndarray:
    return np.tile(driver_parameters.numbers(node, name, default, "hip, thigh and calf", lowest, highest), 4)
