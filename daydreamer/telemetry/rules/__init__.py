"""Rules that find what is wrong with a session: each takes its telemetry and gives `Advice`, or None if all is well."""

from __future__ import annotations

from typing import Literal

import msgspec


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    Attributes:
      rule: the name of the rule that found it, for programs.
      level: 'bad' is in the way of learning now, or of safety; 'warn' costs time.
      title: a few words.
      finding: what the data show, and the likely cause.
      cure: what to do.
    """

    rule: str
    level: Literal["warn", "bad"]
    title: str
    finding: str
    cure: str

    @property
    def sentence(self) -> str:
        """Finding and cure."""
        return f"{self.finding} {self.cure}"
