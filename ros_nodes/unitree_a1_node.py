"""Driver of the Unitree A1: its low-level UDP packets on one side, the topics of `ros_nodes.topics` on the other.

Speaks to the motor controller directly, without Unitree's SDK. Parameters: `robot_address`, `robot_port`,
`local_port`, and those of `UnitreeDriver`. A software stop is not a hardware stop: have the remote control at hand.
NOT YET RUN ON A ROBOT.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Sequence

import numpy as np
import rclpy

from daydreamer.errors import UserError
from daydreamer.robots.a1 import low_level
from daydreamer.robots.a1.constants import A1
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import runtime
from ros_nodes.unitree_driver import DriverState, UnitreeDriver

DAMPING_N_M_S_RAD = (1.0, 2.0, 2.0)


class MotorController:
    """The A1's end of the wire. It answers each command with a state.

    Attributes:
      state: the newest; None before the first.
      refused: datagrams that were no packets.
    """

    def __init__(self, address: str, port: int, local_port: int):
        """Raises UserError if there is no such address or the port is taken."""
        self.state: low_level.LowState | None = None
        self.refused = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind(("", local_port))
            # The kernel then delivers nothing from anybody else.
            self._socket.connect((address, port))
        except OSError as error:
            self._socket.close()
            raise UserError(
                f"The A1 at {address}:{port} cannot be reached from port {local_port} ({error}); check parameters "
                "robot_address, robot_port and local_port, and that no other program of Unitree's runs."
            ) from error

    def send(self, packet: bytes) -> None:
        # A robot that is not there yet, or a full buffer, costs one packet of 250 a second.
        with contextlib.suppress(ConnectionRefusedError, BlockingIOError):
            self._socket.send(packet)

    def receive(self) -> bool:
        """Whether a new state has come since the last call."""
        fresh = False
        with contextlib.suppress(ConnectionRefusedError, BlockingIOError):
            while True:
                try:
                    self.state = low_level.decode_state(self._socket.recv(2048))
                    fresh = True
                except low_level.BadPacket:
                    self.refused += 1
        return fresh

    def close(self) -> None:
        self._socket.close()


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
        node = stack.enter_context(runtime.ros_node(lambda: rclpy.create_node("unitree_a1"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        driver = UnitreeDriver(node, A1, DAMPING_N_M_S_RAD)
        address = node.declare_parameter("robot_address", "192.168.123.10").value
        port = node.declare_parameter("robot_port", 8007).value
        local_port = node.declare_parameter("local_port", 8090).value
        runtime.refuse_unknown_parameters(node)
        controller = stack.enter_context(contextlib.closing(MotorController(address, port, local_port)))
        runtime.refuse_second_publisher(node, spinner.once, driver.joint_states.topic_name, stop)

        def tick(damp: bool) -> None:
            if controller.receive():
                driver.publish(driver_state(controller.state))
            state = controller.state
            target_rad = None if damp or state is None else driver.motor_targets(state.joint_position_rad)
            controller.send(low_level.encode_command(target_rad, driver.stiffness_n_m_rad, driver.damping_n_m_s_rad))

        driver.run(spinner, tick, stop)
        if controller.refused:
            print(f"{controller.refused} datagrams were not LowState packets.", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
