"""Driver of the Unitree A1: its low-level UDP packets on one side, the topics of `ros_nodes.topics` on the other.

Speaks to the motor controller directly, without Unitree's SDK. Parameters: `robot_address`, `robot_port`,
`local_port`, and those of `UnitreeDriver`. A software stop is not a hardware stop: have the remote control at hand.
NOT YET RUN ON A ROBOT.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import sys
from collections.abc import Sequence

import numpy as np

from daydreamer.errors import UserError
from daydreamer.robots.a1 import low_level
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.unitree import DriverState
from daydreamer.robots.quadruped.unitree_driver_node import UnitreeDriver
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import driver_parameters, runtime

DAMPING_N_M_S_RAD = (1.0, 2.0, 2.0)


MOST_WAITING = 8
"""Of the datagrams that wait at a tick, the newest that are looked at; a robot that answers each command has one."""

REORDERED = 1 << 31
"""A tick that is ahead of the last by more is behind it: ticks are counted modulo twice this."""

RESTARTED = 2
"""Of so many states in a row that seem to be old the last is not: ticks began anew, or one was wrong."""


class MotorController:
    """The A1's end of the wire. It answers each command with a state.

    Attributes:
      state: the newest; None before the first.
      refused: datagrams by why they were not taken.
    """

    def __init__(self, address: str, port: int, local_port: int):
        """Raises UserError if there is no such address or the port is taken."""
        self.state: low_level.LowState | None = None
        self.refused: collections.Counter[str] = collections.Counter()
        self._seemingly_old = 0
        self._newest = b""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind(("", local_port))
            self._robot = self._connect(address, port)
        except OSError as error:
            self._socket.close()
            raise UserError(
                f"The A1 at {address}:{port} cannot be reached from port {local_port} ({error}); check parameters "
                "robot_address, robot_port and local_port, and that no other program of Unitree's runs."
            ) from error

    def send(self, packet: bytes) -> None:
        # A robot that is not there yet, a full buffer, or a cable that is out for a moment costs a packet.
        with contextlib.suppress(OSError):
            self._socket.send(packet)

    def receive(self) -> bool:
        """Whether a new state has come since the last call."""
        waiting: collections.deque[bytes] = collections.deque(maxlen=MOST_WAITING)
        with contextlib.suppress(OSError):  # nothing waits any more, or the robot's computer says that nobody is there
            # Of the kernel's buffer, which holds a few hundred.
            for _ in range(1000):
                packet, sender = self._socket.recvfrom(2048)
                if sender == self._robot:
                    waiting.append(packet)
                else:
                    self.refused[f"not from {self._robot[0]}"] += 1
        fresh = False
        for packet in waiting:
            try:
                state = low_level.decode_state(packet)
            except low_level.BadPacket as error:
                self.refused[error.kind] += 1
                continue
            if self._is_old(state):
                self.refused["older than the one before"] += 1
                continue
            if packet == self._newest:
                self.refused["the same as the one before"] += 1
                continue
            self.state, self._newest, fresh = state, packet, True
        return fresh

    def close(self) -> None:
        self._socket.close()

    def _connect(self, address: str, port: int) -> tuple[str, int]:
        """The kernel then delivers nothing from anybody else; what came before is looked at in `receive`."""
        self._socket.connect((address, port))
        return self._socket.getpeername()

    def _is_old(self, state: low_level.LowState) -> bool:
        ahead = 0 if self.state is None else (state.tick - self.state.tick) % (2 * REORDERED)
        self._seemingly_old = self._seemingly_old + 1 if ahead > REORDERED else 0
        return 0 < self._seemingly_old < RESTARTED


def driver_state(state: low_level.LowState) -> DriverState:
    return DriverState(
        joint_position_rad=state.joint_position_rad,
        joint_velocity_rad_s=state.joint_velocity_rad_s,
        orientation_wxyz=state.orientation_wxyz,
        angular_velocity_rad_s=state.angular_velocity_rad_s,
        linear_acceleration_m_s2=state.linear_acceleration_m_s2,
        foot_force=state.foot_force,
        temperature_c=float(np.max(state.temperature_c)),
    )


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    runtime.parse_without_session("unitree_a1_node", __doc__, arguments)
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: runtime.Node("unitree_a1"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        runtime.refuse_file_for_others(node, arguments)
        driver = UnitreeDriver(node, A1, DAMPING_N_M_S_RAD)
        address = runtime.declare(node, "robot_address", "192.168.123.10")
        port = driver_parameters.port(node, "robot_port", 8007)
        local_port = driver_parameters.port(node, "local_port", 8090, lowest=0)
        runtime.refuse_unknown_parameters(node)
        controller = stack.enter_context(contextlib.closing(MotorController(address, port, local_port)))
        runtime.refuse_second_publisher(node, spinner.once, driver.joint_states.topic_name, stop)

        def send(target_rad: np.ndarray | None) -> None:
            controller.send(low_level.encode_command(target_rad, driver.stiffness_n_m_rad, driver.damping_n_m_s_rad))

        def tick() -> None:
            if controller.receive():
                driver.take_in(driver_state(controller.state))
            send(driver.motor_targets())

        def silence() -> str:
            refused = f" ({_refused(controller)})" if controller.refused else ""
            return (
                f"from the A1 at {address}:{port}{refused}. Usual reasons: this computer has no address in the robot's "
                f"network, so that 'ping {address}' gets no answer either; or the robot has not been put into "
                "low-level mode, or another program of Unitree's talks to it."
            )

        driver.run(spinner, tick, lambda: send(None), silence, stop)
        if controller.refused:
            print(f"Datagrams were refused: {_refused(controller)}.", file=sys.stderr, flush=True)
    return 0


def _refused(controller: MotorController) -> str:
    return ", ".join(f"{number} {why}" for why, number in controller.refused.most_common())


if __name__ == "__main__":
    sys.exit(run_process(main))
