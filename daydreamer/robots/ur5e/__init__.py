"""Universal Robots' UR5e with a Robotiq 2F-85, with a camera before its table."""

from daydreamer.robots.arm.entry import pick_place_entry
from daydreamer.robots.registry import Interface, Robot
from daydreamer.robots.ur5e import pick_place
from daydreamer.robots.ur5e.constants import UR5E
from daydreamer.robots.ur5e.presets import OVERRIDES

ROBOT = Robot(
    name="ur5e",
    summary="Universal Robots UR5e, an arm with a gripper, with a camera",
    tasks={"pick_place": pick_place_entry(UR5E, pick_place.make, OVERRIDES)},
    twin="daydreamer.robots.ur5e.twin:make_twin",
    interfaces={
        "ros2_control": Interface(
            driver="daydreamer.robots.ur5e.driver_node", executable="ur5e_node", parameters="ur5e.yaml"
        ),
    },
    tried="its twin; the driver on controllers that were played over ROS 2, not on an arm",
)
