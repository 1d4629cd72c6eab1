"""Unitree's A1."""

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.entry import follow_entry, walk_entry
from daydreamer.robots.registry import Interface, Robot

ROBOT = Robot(
    name="a1",
    summary="Unitree A1, a quadruped",
    tasks={"walk": walk_entry(A1), "follow": follow_entry(A1)},
    twin="daydreamer.robots.a1.twin:make_twin",
    interfaces={
        "unitree": Interface(
            driver="daydreamer.robots.a1.driver_node",
            executable="unitree_a1_node",
            parameters="a1.yaml",
        ),
        "ros2_control": Interface(
            parameters="ros2_control.yaml",
            remappings=(("joint_command", "forward_position_controller/commands"),),
        ),
    },
    tried="its twin; the driver on packets, not on a robot",
)
