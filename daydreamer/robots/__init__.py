"""The robots that a session can run, by the name of `daydreamer walk --robot`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from daydreamer.config import SessionConfig, merge
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.base import Task
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import Quadruped
from daydreamer.robots.quadruped.presets import OVERRIDES, PRESETS
from daydreamer.robots.quadruped.task import QuadrupedWalkTask


@dataclasses.dataclass(frozen=True)
class RobotEntry:
    """A robot as the command line knows it.

    Attributes:
      folder: of this package in which the robot is described.
      make_task: the task for a session's configuration.
      presets: named overrides of the configuration.
      starts_twin: the session starts the MuJoCo twin; otherwise the robot's own driver is expected on the topics.
      overrides: of the configuration, whatever the preset.
    """

    folder: str
    make_task: Callable[[SessionConfig], Task]
    presets: Mapping[str, Mapping[str, Any]]
    starts_twin: bool
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)


HARDWARE: Mapping[str, Any] = {
    "safety": {
        "policy_old_action": "hold",
        "command_late_action": "hold",
        "not_following_action": "damp",
        "imu_action": "hold",
        "trips": 5,
        "latching": ("joint_not_following", "joint_outside", "commanded_by_others", "state_lost"),
    }
}
"""What is only worth a warning in a twin; and a robot that was silent may have been switched off by somebody."""


def _walking(robot: Quadruped, starts_twin: bool = False) -> RobotEntry:
    def make_task(config: SessionConfig) -> Task:
        return QuadrupedWalkTask(robot, camera=config.twin.camera)

    overrides = OVERRIDES if starts_twin else merge(OVERRIDES, HARDWARE)
    return RobotEntry(robot.name, make_task, PRESETS, starts_twin, overrides)


QUADRUPEDS: Mapping[str, Quadruped] = {robot.name: robot for robot in (A1, GO2)}
"""By folder."""

ROBOTS: dict[str, RobotEntry] = {
    "twin": _walking(A1, starts_twin=True),
    "a1": _walking(A1),
    "go2": _walking(GO2),
}


def find_robot(name: str) -> RobotEntry:
    """Entry of `ROBOTS`.

    Raises:
      UserError: there is no such robot; lists those there are.
    """
    if name not in ROBOTS:
        raise UserError(f"There is no robot '{name}'; choose one of {', '.join(ROBOTS)}.")
    return ROBOTS[name]


def find_preset(robot: str, name: str) -> Mapping[str, Any]:
    """Overrides of the robot and of the named preset, for `daydreamer.config.resolve`.

    Raises:
      UserError: there is no such robot or preset; lists those there are.
    """
    entry = find_robot(robot)
    presets = entry.presets
    if name not in presets:
        raise UserError(f"Robot '{robot}' has no preset '{name}'; choose one of {', '.join(presets)}.")
    return merge(entry.overrides, presets[name])
