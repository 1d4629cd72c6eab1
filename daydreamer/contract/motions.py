"""Motions that a robot has found to help, and how they have fared."""

from __future__ import annotations

from typing import Annotated, Protocol, runtime_checkable

import msgspec
from msgspec import Meta

_Part = Annotated[float, Meta(ge=-1.0, le=1.0)]
_Count = Annotated[float, Meta(ge=0.0, le=1e9)]


class KnownMotion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way for a robot to get out of trouble.

    Attributes:
      actions: one after the other, each `[action]` in [-1, 1]; None leaves it to the policy.
      successes, failures: of its trials, recent ones in full.
    """

    actions: Annotated[tuple[tuple[_Part, ...], ...], Meta(min_length=1, max_length=64)] | None
    successes: _Count
    failures: _Count


@runtime_checkable
class RemembersMotions(Protocol):
    """A behaviour that finds such motions; the session keeps them for its later lives, and hands them down.

    Attributes:
      known_motions: what is known now; replaced as a whole when something has been learned.
    """

    known_motions: tuple[KnownMotion, ...]

    def recall(self, motions: tuple[KnownMotion, ...]) -> None:
        """Begins with what an earlier life has known; called before the first step."""
