"""What sensor_msgs/Joy says, by the layout of a gamepad: which axis is which, and which button is which."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from daydreamer.contract.task import OPERATOR_AXES

Axis = int | tuple[int, int]
"""Index of an axis, or of two buttons that pull either way: left or up first."""


@dataclasses.dataclass(frozen=True)
class GamepadLayout:
    """Where things are in a message.

    Attributes:
      axes: as `Task.operator_action` has them, or the first of these.
      deadman: button that is held to drive.
      keep, discard: buttons of an operator who shows something: that ends an episode, that forgets it.
      buttons: these, in words, in the same order.
    """

    axes: tuple[Axis, ...]
    deadman: int
    keep: int = 0
    discard: int = 1
    buttons: tuple[str, str, str] = ("LB", "A", "B")

    def stick(self, axes: Sequence[float], buttons: Sequence[int]) -> np.ndarray:
        """`[6]` in [-1, 1]; what the message lacks, and what is not finite, counts as let go."""
        stick = np.zeros(OPERATOR_AXES)
        for number, where in enumerate(self.axes):
            if isinstance(where, tuple):
                stick[number] = self.pressed(where[0], buttons) - self.pressed(where[1], buttons)
            elif where < len(axes):
                stick[number] = axes[where]
        return np.clip(np.nan_to_num(stick, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)

    def pressed(self, button: int, buttons: Sequence[int]) -> bool:
        """Whether the message says so."""
        return button < len(buttons) and bool(buttons[button])

    def fits(self, axes: Sequence[float], buttons: Sequence[int]) -> bool:
        """Whether the message has all that it is to have."""
        of_axes = [where for where in self.axes if isinstance(where, int)]
        of_buttons = [button for where in self.axes if isinstance(where, tuple) for button in where]
        return max(of_axes) < len(axes) and max(self.deadman, self.keep, self.discard, *of_buttons) < len(buttons)


LAYOUTS: Mapping[str, GamepadLayout] = {
    "xbox": GamepadLayout(axes=(0, 1, 3, 4, 6, 7), deadman=4),
    "directinput": GamepadLayout(axes=(0, 1, 2, 3, 4, 5), deadman=4, keep=1, discard=2),
    "game_controller": GamepadLayout(axes=(0, 1, 2, 3, (13, 14), (11, 12)), deadman=9),
}
"""By name: joy_node with an Xbox controller, or with one that says where both sticks are before all else, as Logitech's
with its switch at D; and game_controller_node of the same package, with any controller that it knows."""
