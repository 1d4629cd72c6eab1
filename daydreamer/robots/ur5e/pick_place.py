"""`ArmPickPlace` of the UR5e."""

from __future__ import annotations

from daydreamer.config import SessionConfig
from daydreamer.contract.task import Task
from daydreamer.errors import UserError
from daydreamer.robots.arm.pick_place import ArmPickPlace
from daydreamer.robots.ur5e.constants import UR5E
from daydreamer.robots.ur5e.embodiment import make_embodiment


def make(config: SessionConfig) -> Task:
    """The task of a session.

    Raises:
      UserError: it is to have further cameras.
    """
    if config.twin.extra_cameras:
        raise UserError("The UR5e has no further camera for twin.extra_cameras; leave it out.")
    return ArmPickPlace(UR5E, make_embodiment(), config.seed)
