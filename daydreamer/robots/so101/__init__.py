"""TheRobotStudio's SO-101, an arm with a gripper, with a camera before its table."""

from daydreamer.robots.registry import Interface, Robot, TaskEntry
from daydreamer.robots.so101 import pick_place
from daydreamer.robots.so101.portrayal import PORTRAYAL
from daydreamer.robots.so101.presets import OVERRIDES, PICK_PLACE_DEFAULT, TINY

ROBOT = Robot(
    name="so101",
    summary="SO-101, an arm with a gripper, with a camera",
    tasks={
        "pick_place": TaskEntry(
            make=pick_place.make,
            summary="carry a cube from tray to tray, by a camera, as DayDreamer's arms did",
            overrides=OVERRIDES,
            presets={"default": PICK_PLACE_DEFAULT, "tiny": TINY},
            portrayal=PORTRAYAL,
        ),
    },
    twin="daydreamer.robots.so101.twin:make_twin",
    interfaces={
        # A driver of its own topics is expected to run.
        "topics": Interface(parameters="so101.yaml"),
    },
    tried="its twin; not on an arm",
)
