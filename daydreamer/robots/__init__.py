"""The robots that a session can run, by the name of `daydreamer walk --robot`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from daydreamer.config import SessionConfig, merge
from daydreamer.errors import UserError
from daydreamer.robots.a1.presets import OVERRIDES as A1_OVERRIDES
from daydreamer.robots.a1.presets import PRESETS as A1_PRESETS
from daydreamer.robots.a1.task import A1WalkTask
from daydreamer.robots.base import Task


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


def _make_a1_task(config: SessionConfig) -> Task:
    return A1WalkTask(camera=config.twin.camera)


HARDWARE: Mapping[str, Any] = {
    "safety": {
        "policy_old_action": "hold",
        "command_late_action": "hold",
        "not_following_action": "damp",
        "imu_action": "hold",
    }
}
"""What is only worth a warning in a twin."""

ROBOTS: dict[str, RobotEntry] = {
    "twin": RobotEntry("a1", _make_a1_task, A1_PRESETS, starts_twin=True, overrides=A1_OVERRIDES),
    "a1": RobotEntry("a1", _make_a1_task, A1_PRESETS, starts_twin=False, overrides=merge(A1_OVERRIDES, HARDWARE)),
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
