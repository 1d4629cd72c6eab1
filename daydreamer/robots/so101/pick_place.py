"""`ArmPickPlace` of the SO-101."""

from __future__ import annotations

from collections.abc import Sequence

from daydreamer.config import SessionConfig
from daydreamer.contract.task import Task
from daydreamer.robots.arm.pick_place import ArmPickPlace
from daydreamer.robots.so101.constants import SO101
from daydreamer.robots.so101.embodiment import make_embodiment


class PickPlace(ArmPickPlace):
    """The SO-101 over its two trays."""

    def __init__(self, seed: int, extra_cameras: Sequence[str] = ()) -> None:
        """`seed` as of `ArmPickPlace`, `extra_cameras` as of `make_embodiment`."""
        super().__init__(SO101, make_embodiment(extra_cameras), seed)


def make(config: SessionConfig) -> Task:
    """The task of a session."""
    return PickPlace(config.seed, config.twin.extra_cameras)
