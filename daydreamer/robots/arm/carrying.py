"""What an arm carries from tray to tray, by its gripper alone."""

from __future__ import annotations

import dataclasses

from daydreamer.robots.arm.cells import Side


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What has happened since the step before.

    Attributes:
      grasped: it holds something, and did not before.
      lost: it did, and holds nothing any more.
      carried_over: and that over the other tray.
    """

    grasped: bool
    lost: bool
    carried_over: bool


class Carrying:
    """Of which tray it is what the gripper holds.

    Attributes:
      held_from: None if it holds nothing.
      let_go_in: the tray over which it held something last; None if that is not known.
    """

    def __init__(self) -> None:
        self.held_from: Side | None = None
        self.let_go_in: Side | None = None

    @property
    def note(self) -> str:
        """For an operator: what it holds."""
        return "holds nothing" if self.held_from is None else f"holds it, from the {self.held_from} tray"

    def forget(self) -> None:
        """What it holds, if anything, counts for nothing."""
        self.held_from = None

    def update(self, holds: bool, side: Side) -> Change:
        """Follows what is held through one step.

        Args:
          holds: whether the gripper holds something.
          side: the nearer tray.
        """
        held_from = self.held_from
        grasped, lost = holds and held_from is None, not holds and held_from is not None
        if grasped:
            self.held_from = side
        elif lost:
            self.held_from, self.let_go_in = None, side
        return Change(grasped, lost, lost and held_from != side)
