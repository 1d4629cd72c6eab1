"""How old the policy at work is, by a clock that nobody sets."""

from __future__ import annotations

import time
from typing import Protocol


class Dated(Protocol):
    """What carries the time of its making, s of the wall clock."""

    created_wall_s: float


class PolicyAge:
    """Asks the wall clock once, when it first sees a policy; from then on steady time counts."""

    def __init__(self) -> None:
        self._policy: Dated | None = None
        self._created_steady_s = 0.0

    def __call__(self, policy: Dated | None) -> float | None:
        """Age in s; None without a policy."""
        if policy is None:
            return None
        if policy is not self._policy:
            self._policy = policy
            self._created_steady_s = time.monotonic() - max(0.0, time.time() - policy.created_wall_s)
        return time.monotonic() - self._created_steady_s
