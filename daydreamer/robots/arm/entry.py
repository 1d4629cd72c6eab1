"""What arms have in common in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from daydreamer.config import SessionConfig, merge
from daydreamer.contract.task import Task
from daydreamer.robots.arm.description import Arm
from daydreamer.robots.arm.portrayal import portrayal
from daydreamer.robots.arm.presets import OVERRIDES, PICK_PLACE_DEFAULT, TINY
from daydreamer.robots.registry import TaskEntry


def pick_place_entry(arm: Arm, make: Callable[[SessionConfig], Task], overrides: Mapping[str, Any]) -> TaskEntry:
    """The task of `ArmPickPlace`, for one of them; `overrides` are of the configuration, beside those that all have."""
    return TaskEntry(
        make=make,
        summary="carry a cube from tray to tray, by a camera, as DayDreamer's arms did",
        overrides=merge(OVERRIDES, overrides),
        presets={"default": PICK_PLACE_DEFAULT, "tiny": TINY},
        portrayal=portrayal(arm),
        teacher="daydreamer.robots.arm.teacher:make_teacher",
    )
