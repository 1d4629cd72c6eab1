"""ROBOTIS' TurtleBot3 Burger with a camera."""

from daydreamer.robots.burger import reach, reach_from_above
from daydreamer.robots.burger.presets import (
    FROM_ABOVE_DEFAULT,
    FROM_ABOVE_OVERRIDES,
    REACH_DEFAULT,
    REACH_OVERRIDES,
    TINY,
)
from daydreamer.robots.registry import Interface, Robot, TaskEntry

ROBOT = Robot(
    name="burger",
    summary="TurtleBot3 Burger, on two wheels, with a camera",
    tasks={
        "reach": TaskEntry(
            make=reach.make,
            summary="drive up to a red post, by its own camera",
            overrides=REACH_OVERRIDES,
            presets={"default": REACH_DEFAULT, "tiny": TINY},
        ),
        "reach_from_above": TaskEntry(
            make=reach_from_above.make,
            summary="drive to a place in an arena, by a camera above it, as DayDreamer did",
            overrides=FROM_ABOVE_OVERRIDES,
            presets={"default": FROM_ABOVE_DEFAULT, "tiny": TINY},
        ),
    },
    twin="daydreamer.robots.burger.twin:make_twin",
    interfaces={
        # ROBOTIS' own bringup is the driver.
        "turtlebot3": Interface(parameters="burger.yaml", remappings=(("imu/data", "imu"),)),
    },
    tried="its twin, and a stand-in on its topics; not on a robot",
)
