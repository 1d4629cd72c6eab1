"""How a robot is reached, by the names that operators have for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import get_args

from daydreamer.config import Body
from daydreamer.errors import UserError
from daydreamer.robots.registry import Interface, find_robot, robots


def body_of(text: str) -> Body:
    """The body of that name.

    Raises:
      UserError: there is none.
    """
    for body in get_args(Body):
        if body == text:
            return body
    raise UserError(f"There is no body '{text}'; choose {' or '.join(get_args(Body))}.")


@dataclasses.dataclass(frozen=True)
class Drive:
    """A robot, its body, and how it is reached.

    Attributes:
      robot: of the registry.
      body: twin or hardware.
      interface_name, interface: of the robot; empty and None for its twin.
    """

    robot: str
    body: Body
    interface_name: str = ""
    interface: Interface | None = None

    @property
    def driver(self) -> str | None:
        """Executable of the driver node that is started too; its node has the same name without `_node`."""
        return None if self.interface is None else self.interface.executable

    @property
    def parameters(self) -> str | None:
        """File for actor and driver, in share/<package>/config."""
        return None if self.interface is None else self.interface.parameters

    @property
    def package(self) -> str:
        """Whose driver and parameters these are."""
        return "daydreamer" if self.interface is None else self.interface.package

    @property
    def remappings(self) -> tuple[tuple[str, str], ...]:
        """Names of the actor's topics, with those that they have over this interface."""
        return () if self.interface is None else self.interface.remappings

    @property
    def ros_arguments(self) -> tuple[str, ...]:
        """What brings the actor, started without ros2 launch, to these names."""
        return tuple(word for name, there in self.remappings for word in ("-r", f"{name}:={there}"))

    @property
    def node_names(self) -> tuple[str, ...]:
        """Nodes that read the parameter file."""
        if self.driver is not None:
            return ("actor", self.driver.removesuffix("_node"))
        return ("actor", "twin") if self.body == "twin" else ("actor",)


def find_drive(robot: str, body: Body, interface: str = "") -> Drive:
    """How a robot is driven; without `interface` by its usual one.

    Raises:
      UserError: there is no such robot or interface.
    """
    entry = find_robot(robot)
    if body == "twin":
        return Drive(robot, body)
    if not entry.interfaces:
        if interface:
            raise UserError(f"Robot '{robot}' has no interfaces, so none is '{interface}'; leave it out.")
        return Drive(robot, body, "", Interface())  # its topics are all there is
    name = interface or next(iter(entry.interfaces))
    if name not in entry.interfaces:
        raise UserError(f"Robot '{robot}' has no interface '{name}'; it has {', '.join(entry.interfaces)}.")
    return Drive(robot, body, name, entry.interfaces[name])


WALKERS: Mapping[str, tuple[str, Body, str]] = {
    "twin": ("a1", "twin", ""),
    "a1": ("a1", "hardware", "unitree"),
    "go2": ("go2", "hardware", "unitree"),
    "ros2_control": ("a1", "hardware", "ros2_control"),
}
"""Robot, body and interface by the names that walk.launch.py and `daydreamer walk` have for them."""


def find_walker(name: str) -> Drive:
    """What a name of `WALKERS` means.

    Raises:
      UserError: there is no such name; lists those there are.
    """
    if name not in WALKERS:
        others = f"; others learn by 'daydreamer learn {name}'" if name in robots() else ""
        raise UserError(f"There is no robot '{name}' that walks: choose one of {', '.join(WALKERS)}{others}.")
    return find_drive(*WALKERS[name])


def words_for(drive: Drive) -> str:
    """What an operator says to `ros2 launch` to get this drive."""
    for name, (robot, body, interface) in WALKERS.items():
        if (robot, body) == (drive.robot, drive.body) and find_drive(robot, body, interface) == drive:
            return f"robot:={name}"
    return f"robot:={drive.robot} interface:={drive.interface_name}"


def drives_of(robot: str) -> list[Drive]:
    """All ways to reach the real one."""
    interfaces = find_robot(robot).interfaces
    return [find_drive(robot, "hardware", name) for name in interfaces] or [find_drive(robot, "hardware")]
