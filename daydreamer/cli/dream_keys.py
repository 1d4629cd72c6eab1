"""Keys in the terminal of `daydreamer dream`. There is no robot that could be hurt: each acts at once."""

from __future__ import annotations

import collections
from collections.abc import Iterator

from daydreamer.cli.keyboard import KeySplitter
from daydreamer.instrument.dreaming import Dream

STICK = 0.25
"""By which a key moves the stick. A terminal does not say when a key is let go, so the stick stays where it is."""
REWIND_S = 5.0

STEERING = {
    "a": (0, STICK),
    "d": (0, -STICK),
    "w": (1, STICK),
    "s": (1, -STICK),
    "j": (2, STICK),
    "l": (2, -STICK),
    "i": (3, STICK),
    "k": (3, -STICK),
    "u": (4, STICK),
    "o": (4, -STICK),
}
"""Axis of the stick, and by how much: left stick left, right, up, down; the right one alike; the cross left, right."""
_ARROWS = {"left": "a", "right": "d", "up": "w", "down": "s"}

HELP = (
    "Keys: w a s d or arrows = left stick, i j k l = right stick, u o = cross (take over), space = all to the middle, "
    f"t = take over or give back, p = pause, r = rewind {REWIND_S:g} s, b = branch (what if), c = change to the other, "
    "q = end."
)


class DreamKeys:
    """What is typed, for whoever drives: taken in on one thread, obeyed on another.

    Attributes:
      paused: the dream stands still.
      ended: nobody wants to see more.
      rewinds, branches: how many there have been.
    """

    def __init__(self) -> None:
        self.paused = self.ended = False
        self.rewinds = self.branches = 0
        self._typed: collections.deque[str] = collections.deque(maxlen=64)
        self._splitter = KeySplitter()

    def take(self, characters: str, now_s: float) -> None:
        """See `daydreamer.cli.keyboard.Reader`."""
        self._typed.extend(_ARROWS.get(key, key) for key in self._splitter.split(characters))

    def look(self, now_s: float) -> None:
        """See `daydreamer.cli.keyboard.Reader`."""

    def obey(self, dream: Dream) -> Iterator[str]:
        """Does what has been typed; sentences for the operator, of what is not seen anyway."""
        while self._typed:
            key = self._typed.popleft()
            if key in STEERING:
                if not dream.operated:
                    yield "You drive."
                dream.steer(*STEERING[key])
            elif sentence := self._obey(key, dream):
                yield sentence

    def _obey(self, key: str, dream: Dream) -> str:
        match key:
            case " ":
                dream.stick[:] = 0.0
            case "t":
                dream.operated = not dream.operated
                return "You drive." if dream.operated else "The policy drives."
            case "p":
                self.paused = not self.paused
                return "Paused." if self.paused else "On it goes."
            case "r":
                self.rewinds += 1
                return f"Rewound by {dream.rewind(REWIND_S):.1f} s."
            case "b":
                self.branches += 1
                dream.branch()
                return "What if: the orange robot goes on as this one was driven; drive this one otherwise."
            case "c" if dream.branched:
                dream.exchange()
                return "Changed to the other."
            case "q":
                self.ended = True
        return ""
