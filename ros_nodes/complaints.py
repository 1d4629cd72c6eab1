"""What a node finds wrong with what it is sent: counted, and said now and then instead of every time."""

from __future__ import annotations

import collections
from collections.abc import Callable

from rclpy.node import Node

from daydreamer.texts import printable_line

PERIOD_S = 5.0
LONGEST_TEXT = 200


class Complaints:
    """Says the first of each kind at once, and what came since every `PERIOD_S`. Not thread-safe.

    Attributes:
      counts: by kind.
    """

    def __init__(self, node: Node, clock: Callable[[], float]):
        """`clock` gives steady seconds."""
        self._logger = node.get_logger()
        self._clock = clock
        self._said_s: dict[str, float] = {}
        self._unsaid: collections.Counter[str] = collections.Counter()
        self.counts: collections.Counter[str] = collections.Counter()

    def add(self, kind: str, text: Callable[[], str] = str) -> None:
        """Counts one of `kind`, of which there are few. `text` says more if it is said; it may hold anybody's words."""
        self.counts[kind] += 1
        self._unsaid[kind] += 1
        now_s = self._clock()
        if now_s - self._said_s.get(kind, -PERIOD_S) < PERIOD_S:
            return
        since = self._unsaid.pop(kind)
        self._said_s[kind] = now_s
        number = f" ({since} since the last time this was said, {self.counts[kind]} in all)" if since > 1 else ""
        more = printable_line(text(), LONGEST_TEXT)
        self._logger.warning(f"{kind}: {more}{number}." if more else f"{kind}{number}.")
