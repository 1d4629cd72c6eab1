"""Driver of the Unitree Go2: `unitree_go` messages on one side, the topics of `ros_nodes.topics` on the other.

Needs Unitree's message package unitree_go (github.com/unitreerobotics/unitree_ros2) and its DDS (Cyclone) set up as
described there; the robot's own motion service has to be released first. Parameters: those of `UnitreeDriver`. A
software stop is not a hardware stop: have the remote control at hand. NOT YET RUN ON A ROBOT.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.go2.low_level import fill_low_command
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.unitree import DriverState
from daydreamer.robots.quadruped.unitree_driver_node import UnitreeDriver
from daydreamer.stop_request import StopRequest, run_process
from ros_nodes import runtime, topics
from ros_nodes.graph_watch import why_silent

LOW_COMMAND = "lowcmd"
LOW_STATE = "lowstate"

# That of the twin: `daydreamer.robots.go2.constants.TWIN_OVERRIDES`.
DAMPING_N_M_S_RAD = (2.0, 2.0, 2.0)


def message_types() -> tuple[type, type]:
    """LowCmd and LowState.

    Raises:
      UserError: they are not installed.
    """
    try:
        from unitree_go.msg import LowCmd, LowState
    except ImportError as error:
        raise UserError(
            f"The messages of the Go2 are missing ({error}); build unitree_go from "
            "github.com/unitreerobotics/unitree_ros2 with colcon and source its setup.bash."
        ) from error
    return LowCmd, LowState


def driver_state(message: Any) -> DriverState:
    """Of a `unitree_go/LowState`."""
    motors = message.motor_state[:JOINTS]
    return DriverState(
        joint_position_rad=np.array([motor.q for motor in motors]),
        joint_velocity_rad_s=np.array([motor.dq for motor in motors]),
        orientation_wxyz=np.array(message.imu_state.quaternion, np.float64),
        angular_velocity_rad_s=np.array(message.imu_state.gyroscope, np.float64),
        linear_acceleration_m_s2=np.array(message.imu_state.accelerometer, np.float64),
        foot_force=np.array(message.foot_force, np.float64),
        temperature_c=float(max(motor.temperature for motor in motors)),
        battery_fraction=message.bms_state.soc / 100.0,
    )


def main(arguments: Sequence[str], stop: StopRequest) -> int:
    runtime.parse_without_session("unitree_go2_node", __doc__, arguments)
    low_command, low_state = message_types()
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(runtime.ros_node(lambda: runtime.Node("unitree_go2"), arguments))
        spinner = stack.enter_context(runtime.Spinner(node))
        runtime.refuse_file_for_others(node, arguments)
        driver = UnitreeDriver(node, GO2, DAMPING_N_M_S_RAD)
        runtime.refuse_unknown_parameters(node)
        publisher = node.create_publisher(low_command, LOW_COMMAND, topics.RELIABLE)
        reported = False
        newest: Any = None

        def on_state(message: Any) -> None:
            nonlocal reported, newest
            if message == newest:  # as of a controller that hangs: its clock stands still
                driver.complaints.add("The robot says the same again, to the last bit, which is no news")
                return
            reported, newest = True, message
            driver.take_in(driver_state(message))

        subscription = node.create_subscription(low_state, LOW_STATE, on_state, topics.LATEST_ONLY)
        runtime.refuse_second_publisher(node, spinner.once, driver.joint_states.topic_name, stop)
        runtime.refuse_second_publisher(node, spinner.once, publisher.topic_name, stop)

        def send(target_rad: np.ndarray | None) -> None:
            if reported:  # a robot that has not reported must not be told anything
                publisher.publish(
                    fill_low_command(low_command(), target_rad, driver.stiffness_n_m_rad, driver.damping_n_m_s_rad)
                )

        def silence() -> str:
            topic = subscription.topic_name
            return (
                f"from the Go2 on {topic}: {why_silent(node, topic)} The robot is another computer, which takes "
                "ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET, and its DDS is Cyclone (RMW_IMPLEMENTATION, CYCLONEDDS_URI)."
            )

        driver.run(spinner, lambda: send(driver.motor_targets()), lambda: send(None), silence, stop)
    return 0


if __name__ == "__main__":
    sys.exit(run_process(main))
