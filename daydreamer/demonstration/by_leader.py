"""An operator drives by a leader that they move by hand, and by keys for all else."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from daydreamer.contract.leader import Lead, Leader
from daydreamer.contract.task import Task
from daydreamer.demonstration.by_hand import Hand, HandLost, HandRequest

HOLD_S = 0.5
"""For so long a leader must be near before it is followed: one that is moved past the robot is not meant."""


class LeaderHand(Hand):
    """Follows a leader, from when it has been near for a moment until it leaps, is silent, or the operator pauses.

    Attributes:
      jumps: how often it leapt while it was followed.
    """

    def __init__(
        self,
        task: Task,
        leader: Leader,
        keys: Hand,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        """Args:
        keys: by which the operator asks for what is no motion.
        say: called with a line for the operator when the leader has leapt.
        """
        self._space = task.spec.action
        self._leader = leader
        self._keys = keys
        self._say = say
        self._clock = clock
        self._lead = Lead(motion=None)
        self._follows, self._near_since_s = False, math.inf
        self.jumps = 0

    def wait(self, seconds: float) -> None:
        """See `Hand`."""
        self._keys.wait(seconds)
        try:
            self._lead = lead = self._leader.look()
        except OSError as error:
            raise HandLost(
                f"The leader is gone ({error.strerror}), and an episode that has not ended is forgotten; plug its "
                "adapter in, and show what is left as another session: --demonstrations may be repeated."
            ) from error
        if lead.leapt and self._follows:
            self.jumps += 1
            self._say(f"Jump {self.jumps} of the leader: {lead.leapt}. Nothing moves until it is near the robot again.")
        if lead.leapt or lead.motion is None or (lead.way and not self._follows):
            self.begin()
        elif self._clock() - self._near_since_s >= HOLD_S:
            self._follows = True
        else:
            self._near_since_s = min(self._near_since_s, self._clock())

    def requests(self) -> Iterator[HandRequest]:
        """See `Hand`. After a pause the leader may be anywhere."""
        for request in self._keys.requests():
            if request is HandRequest.PAUSE:
                self.begin()
            yield request

    def action(self) -> np.ndarray | None:
        """See `Hand`."""
        if not self._follows or self._lead.motion is None:
            return None
        return np.clip(self._lead.motion, self._space.low, self._space.high).astype(np.float32)

    def has_let_go(self) -> bool:
        """See `Hand`."""
        return self.action() is None

    def begin(self) -> None:
        """See `Hand`: the leader must be near the robot first."""
        self._follows, self._near_since_s = False, math.inf

    def why(self) -> str:
        """See `Hand`."""
        return "" if self._follows else f"leader: {self._lead.way or 'hold it there'}"
