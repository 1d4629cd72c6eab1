"""Unitree's Go2."""

from daydreamer.robots.go2.constants import GO2, TWIN_OVERRIDES
from daydreamer.robots.quadruped.entry import follow_entry, walk_entry
from daydreamer.robots.registry import Interface, Robot

ROBOT = Robot(
    name="go2",
    summary="Unitree Go2, a quadruped",
    tasks={"walk": walk_entry(GO2, TWIN_OVERRIDES), "follow": follow_entry(GO2, TWIN_OVERRIDES)},
    twin="daydreamer.robots.go2.twin:make_twin",
    interfaces={
        "unitree": Interface(
            driver="daydreamer.robots.go2.driver_node",
            executable="unitree_go2_node",
            parameters="go2.yaml",
        ),
    },
    tried="its twin; the driver on messages, not on a robot",
)
