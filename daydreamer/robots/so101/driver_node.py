"""Driver of the SO-101: Feetech's serial bus on one side, the topics of `ros_nodes.topics` on the other.

Parameters: `port` of the adapter; `calibration`, LeRobot's file of this arm, to make sure that it is this one;
`rate_hz` of bus and topics; `answer_timeout_s` in which servos answer; `command_timeout_s` without a command until the
arm lies down; `interpolate_s` from one command to the next. When nobody commands it any more the arm folds, lies down,
and only then has no torque. A driver that is killed outright cannot do that: its servos hold on, and the next one
begins by laying the arm down. A software stop is not a hardware stop: have the plug at hand. NOT YET RUN ON AN ARM.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sensor_msgs.msg import Temperature

from daydreamer.contract.signals import JOINT_EFFORT, JOINT_VELOCITY, Measurement
from daydreamer.errors import UserError
from daydreamer.pacer import Pacer
from daydreamer.robots.so101.bus import ANSWER_S, SerialPort, ServoBus
from daydreamer.robots.so101.constants import (
    ENDING_S,
    GRIPPER,
    JOINTS,
    LIMITS,
    STATE_PERIOD_S,
    STIFFNESS_N_M_RAD,
    carried,
)
from daydreamer.robots.so101.easing import Easing
from daydreamer.robots.so101.embodiment import make_embodiment
from daydreamer.robots.so101.lowering import Lowering
from daydreamer.robots.so101.plausibility import EffortCheck
from daydreamer.robots.so101.servos import ArmServos, ArmState
from daydreamer.safety.motor_guard import STATE_TIMEOUT_S, MotorGuard
from daydreamer.scheduling import DRIVER_PRIORITY, put_robot_first
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.timing import suspended_s
from ros_nodes import driver_parameters, runtime, topics
from ros_nodes.command_intake import CommandIntake
from ros_nodes.complaints import Complaints

TEMPERATURE_PERIOD_S = 0.5

HOT_MARGIN_C = 3.0
"""Beyond the limit of the safety supervisor, from which on the driver lays the arm down whatever is commanded, until
that limit is kept."""

STALL_S = 3.0
"""Likewise later than the supervisor, which says so in the session: for a commander without one."""

LOST_S = 0.5
"""Of silence on the bus, after which the arm may be anywhere."""


class ArmDriver:
    """Publishes what the servos say, and turns commands into their targets, tick by tick.

    Attributes:
      guard: has the last word on targets.
      lowers: whether the arm is on its way to rest, or lies.
    """

    def __init__(self, node, servos: ArmServos, *, rate_hz: float, command_timeout_s: float, interpolate_s: float):
        self._node, self._servos, self._period_s = node, servos, 1.0 / rate_hz
        self._complaints = Complaints(node, time.monotonic)
        self._lowering = Lowering()
        self._stopped = ""
        self._next_temperature_s = 0.0
        self._heard_s = self._effort_s = -np.inf
        self._effort, self._easing, self._gripper_rad_s = EffortCheck(STALL_S), Easing(), 0.0
        self._hot = ""
        self.lowers = True
        self.guard = MotorGuard(
            JOINTS,
            LIMITS,
            stiffness_n_m_rad=np.full(len(JOINTS), STIFFNESS_N_M_RAD),
            max_target_error_rad=1.0,
            interpolate_s=interpolate_s,
            command_timeout_s=command_timeout_s,
            period_s=self._period_s,
        )
        self.intake = CommandIntake(
            node,
            topics.COMMAND_INTERFACES[0],
            make_embodiment(),
            lambda target_rad: self.guard.command(target_rad, time.monotonic()),
            begin_anew=self.guard.begin_anew,
        )
        self.joint_states = node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
        self._temperature = node.create_publisher(Temperature, topics.TEMPERATURE, topics.RELIABLE)

    def run(self, spinner: runtime.Spinner, stop: StopRequest) -> None:
        """Works until a stop is requested; before, and at the end, an arm that its servos hold lies down.

        Raises:
          UserError: the adapter is gone, a servo does not answer, or the arm does not lie down at the beginning.
        """
        self._node.get_logger().info(f"Scheduling: {put_robot_first(DRIVER_PRIORITY)}.")
        pacer = Pacer(self._period_s, time.monotonic())

        def tick(ends: bool) -> None:
            spinner.until(pacer.tick_s)
            pacer.begin(time.monotonic())
            self.tick(ends)
            pacer.finish(time.monotonic())

        def lies_down() -> bool:
            until_s = time.monotonic() + ENDING_S
            while time.monotonic() < until_s:
                tick(ends=True)
                if self.at_rest:
                    return True
            return False

        with adapter_there():
            if self.take_over() and not lies_down():
                raise UserError("The arm was not seen to lie down: its servos hold on. Hold it, and pull its plug.")
            self._servos.prepare()
            try:
                while not stop:
                    tick(ends=False)
            except OSError:  # the adapter is gone, and nothing can be told
                raise
            except Exception:
                lies_down()
                raise
            if lies_down():
                self._servos.drive(None)
                return
        self._node.get_logger().error("The arm was not seen to lie down: its servos hold on. Have the plug at hand.")

    def tick(self, ends: bool = False) -> None:
        """Asks the servos, and tells them where to be.

        Args:
          ends: nobody commands any more.

        Raises:
          OSError: the adapter is gone.
        """
        state = self._servos.state()
        now_s = time.monotonic()
        if state is None:
            silent = ", ".join(self._servos.silent)
            self._complaints.add("Servos do not answer", lambda: f"{silent}; see their cables and power")
        else:
            self._take_in(state, now_s)
        self.guard.wake(suspended_s())
        target_rad = None if ends else self.guard.target(now_s, withheld=bool(self._hot))
        if len(self._servos.silent) < len(JOINTS):
            self._heard_s = now_s
            self._drive(target_rad, now_s)
        elif now_s - self._heard_s > LOST_S:
            # They hold on, wherever that is, and must neither leap nor fall when they are heard again.
            self._lowering.begin_anew()

    def take_over(self) -> bool:
        """Whether servos hold the arm, as a driver that was killed leaves them; it is on its way to rest then.

        Raises:
          UserError: a servo does not answer.
        """
        if not (held := self._servos.with_torque()):
            return False
        self._lowering.stand_by()
        self._node.get_logger().warning(
            f"Held since before this driver: {', '.join(held)}. The arm lies down first; keep clear of it."
        )
        return True

    @property
    def at_rest(self) -> bool:
        """Whether the arm lies, without torque."""
        return self._lowering.rests

    def _drive(self, target_rad: np.ndarray | None, now_s: float) -> None:
        self._say_stopped()
        self.lowers = target_rad is None
        if target_rad is not None:
            self._lowering.stand_by()
        elif np.isfinite(self._servos.newest_rad).all():
            target_rad = self._lowering.target(now_s, self._believed_rad(now_s))
        elif not self._lowering.rests:
            return  # held since before, and not every servo has said where: they hold on
        if target_rad is None:
            self._servos.drive(None)
            return
        asked_n_m = STIFFNESS_N_M_RAD * (target_rad[GRIPPER] - self._servos.newest_rad[GRIPPER])
        self._servos.drive(carried(target_rad), self._easing.torque_n_m(now_s, asked_n_m, self._gripper_rad_s))

    def _believed_rad(self, now_s: float) -> np.ndarray:
        """`[6]`, where the joints are: a single wrong angle moves no target. What was said last if none is believed."""
        belief = self.guard.belief
        if belief.age_s(now_s) > STATE_TIMEOUT_S:
            return self._servos.newest_rad
        return np.where(np.isfinite(belief.position_rad), belief.position_rad, self._servos.newest_rad)

    def _take_in(self, state: ArmState, now_s: float) -> None:
        believed = self.guard.measured(state.position_rad, state.velocity_rad_s, now_s)
        self._gripper_rad_s = float(state.velocity_rad_s[GRIPPER])
        self._look_at_effort(state, now_s)
        hottest = int(state.temperature_c.argmax())
        if state.temperature_c[hottest] <= LIMITS.temperature_c + (0.0 if self._hot else HOT_MARGIN_C):
            self._hot = ""
        else:
            self._hot = self._hot or f"{JOINTS[hottest]} has {state.temperature_c[hottest]:.0f} °C"
        if state.faults:
            said = "; ".join(f"{joint}: {text}" for joint, text in state.faults.items())
            self._complaints.add("A servo says that something is wrong", lambda: said)
        if not believed:
            self._complaints.add("A joint's angle does not follow from those before; such a sample is not used")
            return
        self._publish(state, now_s)

    def _look_at_effort(self, state: ArmState, now_s: float) -> None:
        elapsed_s, self._effort_s = now_s - self._effort_s, now_s
        if elapsed_s > STATE_TIMEOUT_S:
            self._effort.forget()
            return
        measured = Measurement(now_s, {JOINT_EFFORT: state.effort_n_m, JOINT_VELOCITY: state.velocity_rad_s})
        finding = self._effort.update(elapsed_s, measured, None)
        if finding.wrong:
            self.guard.stop(finding.subject)

    def _publish(self, state: ArmState, now_s: float) -> None:
        stamp = self._node.get_clock().now().to_msg()
        self.joint_states.publish(
            topics.joint_state_message(stamp, JOINTS, state.position_rad, state.velocity_rad_s, state.effort_n_m)
        )
        if now_s < self._next_temperature_s:
            return
        self._next_temperature_s = now_s + TEMPERATURE_PERIOD_S
        for name, temperature_c in zip(JOINTS, state.temperature_c.tolist(), strict=True):
            message = Temperature(temperature=temperature_c)
            message.header.stamp, message.header.frame_id = stamp, name
            self._temperature.publish(message)

    def _say_stopped(self) -> None:
        stopped = self.guard.stopped
        why = stopped or self._hot
        before, self._stopped = self._stopped, why
        if why and why != before:
            goes_on = "when whoever commands it has let go, as the actor does when it is stopped or deactivated"
            if stopped is None:
                goes_on = f"by itself once that has cooled to {LIMITS.temperature_c:.0f} °C"
            self._node.get_logger().error(f"The arm lies down: {why}. Look at it; it goes on {goes_on}.")


@contextlib.contextmanager
def adapter_there() -> Iterator[None]:
    """A block that needs the adapter of the arm.

    Raises:
      UserError: it is gone.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The adapter of the arm is gone ({error.strerror}), and its servos hold on by themselves; plug it in, and "
            "start the driver again, which lays it down."
        ) from error


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    runtime.parse_without_session("so101_node", __doc__, arguments)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: runtime.Node("so101"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        runtime.refuse_file_for_others(node, arguments)
        path = runtime.declare(node, "port", "/dev/ttyACM0")
        calibration = runtime.declare(node, "calibration", "")
        rate_hz = driver_parameters.number(node, "rate_hz", 1.0 / STATE_PERIOD_S, 10.0, 200.0)
        # Never 0: an arm must not go on by itself for ever.
        timeout_s = driver_parameters.number(node, "command_timeout_s", 0.25, 0.02, 2.0)
        interpolate_s = driver_parameters.number(node, "interpolate_s", 0.05, 0.001, 0.5)
        answer_s = driver_parameters.number(node, "answer_timeout_s", ANSWER_S, 0.002, 0.2)
        runtime.refuse_unknown_parameters(node)
        port = stack.enter_context(contextlib.closing(SerialPort(path)))
        bus = ServoBus(port, answer_s)
        with adapter_there():
            servos = ArmServos(bus, Path(calibration).expanduser() if calibration else None)
        driver = ArmDriver(node, servos, rate_hz=rate_hz, command_timeout_s=timeout_s, interpolate_s=interpolate_s)
        runtime.refuse_second_publisher(node, spinner.once, driver.joint_states.topic_name, stop)
        driver.run(spinner, stop)
        print(
            f"The bus: {bus.asked_again} requests again, {bus.damaged} packets damaged, {bus.unexpected} unexpected.",
            file=sys.stderr,
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
