"""The twins there are, by the name of the robot's folder."""

from __future__ import annotations

import importlib
from importlib import resources

from daydreamer.config import TwinConfig
from daydreamer.errors import UserError
from sim.twin import Twin


def twin_names() -> tuple[str, ...]:
    """Robots whose folder has a twin: a model of the folder's name, and `twin.py` with `make_twin`."""
    folders = resources.files("daydreamer.robots").iterdir()
    found = [
        folder.name
        for folder in folders
        if (folder / "twin.py").is_file() and (folder / f"{folder.name}.xml").is_file()
    ]
    return tuple(sorted(found))


def make_twin(robot: str, config: TwinConfig, seed: int) -> Twin:
    """The twin of a robot, in the first of its initial states.

    Args:
      robot: name of the robot's folder.
      config: physics, driver and sensors.
      seed: see `Twin`.

    Raises:
      UserError: the robot has no twin; lists those that have. Or see `Twin`.
    """
    if robot not in (names := twin_names()):
        raise UserError(f"There is no twin of '{robot}'; there is one of {', '.join(names)}.")
    return importlib.import_module(f"daydreamer.robots.{robot}.twin").make_twin(config, seed)
