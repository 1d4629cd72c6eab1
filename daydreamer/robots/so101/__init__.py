"""TheRobotStudio's SO-101, an arm with a gripper, with a camera before its table."""

from daydreamer.config import merge
from daydreamer.robots.arm.entry import pick_place_entry
from daydreamer.robots.arm.portrayal import portrayal
from daydreamer.robots.arm.presets import OVERRIDES as ARM_OVERRIDES
from daydreamer.robots.arm.presets import TINY
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.registry import Interface, Robot, TaskEntry
from daydreamer.robots.so101 import pick_place, pick_place_fine
from daydreamer.robots.so101.constants import ENDING_S, SO101
from daydreamer.robots.so101.presets import OVERRIDES, PICK_PLACE_FINE_DEFAULT

ROBOT = Robot(
    name="so101",
    summary="SO-101, an arm with a gripper, with a camera",
    tasks={
        "pick_place": pick_place_entry(SO101, pick_place.make, OVERRIDES),
        "pick_place_fine": TaskEntry(
            make=pick_place_fine.make,
            summary="the same by small motions of the tool, ten times a second; a placement ends the episode",
            overrides=merge(ARM_OVERRIDES, OVERRIDES),
            presets={"default": PICK_PLACE_FINE_DEFAULT, "tiny": TINY},
            portrayal=portrayal(SO101),
            teacher="daydreamer.robots.so101.fine_teacher:make_teacher",
            recorded="daydreamer.robots.so101.recorded:make_recorded",
            success_camera=ABOVE,
            leader="daydreamer.robots.so101.leader:open_leader",
        ),
    },
    twin="daydreamer.robots.so101.twin:make_twin",
    interfaces={
        "feetech": Interface(
            driver="daydreamer.robots.so101.driver_node",
            executable="so101_node",
            parameters="so101.yaml",
            stop_timeout_s=ENDING_S + 5.0,
        ),
        # As so101-ros-physical-ai brings the arm up.
        "ros2_control": Interface(
            parameters="so101_ros2_control.yaml", remappings=(("joint_command", "forward_controller/commands"),)
        ),
    },
    tried="its twin; the driver on servos that were played on a pseudo-terminal, not on an arm",
)
