"""A gamepad in `daydreamer dream`, beside the keys. As on a robot, it drives for as long as its button is held."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from daydreamer.actor.gamepad import LAYOUTS
from daydreamer.cli.dream_keys import DreamKeys
from daydreamer.cli.hands import GamepadHand, how_to_drive, open_gamepad
from daydreamer.contract.task import Task
from daydreamer.demonstration.by_hand import HandRequest
from daydreamer.instrument.dreaming import Dream

_KEYS = {HandRequest.KEEP: "b", HandRequest.DISCARD: "r"}
"""What its other buttons are to the keyboard."""


class DreamGamepad(DreamKeys):
    """What a gamepad says, and what is typed. The gamepad is heard on the thread that obeys."""

    def __init__(self, hand: GamepadHand):
        super().__init__()
        self._hand = hand
        self._drives = False

    def obey(self, dream: Dream) -> Iterator[str]:
        """See `DreamKeys`; while the gamepad drives it has the last word."""
        self._hand.wait(0.0)
        self._typed.extend(_KEYS[request] for request in self._hand.requests())
        yield from super().obey(dream)
        stick = self._hand.stick()
        if stick is not None:
            if not dream.operated:
                yield "You drive."
            dream.stick[:], dream.operated = stick, True
        elif self._drives:
            dream.stick[:], dream.operated = 0.0, False
            yield "The policy drives."
        self._drives = stick is not None


@contextlib.contextmanager
def dreaming_gamepad(layout: str, task: Task, say: Callable[[str], None]) -> Iterator[DreamGamepad]:
    """The gamepad of that layout, inside the block; `say` is told how it drives.

    Raises:
      UserError: see `open_gamepad`.
    """
    with open_gamepad(layout, task, "dream") as hand:
        deadman, what_if, rewind = LAYOUTS[layout].buttons
        say(
            f"{how_to_drive(task, LAYOUTS[layout])}; the policy drives while {deadman} is let go. {what_if} = branch "
            f"(what if), {rewind} = rewind; the rest by keys."
        )
        yield DreamGamepad(hand)
