"""Messages that name what they measure, put together by name: each may be foreign, partial, or wrong in places."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LARGEST_NAMES = 1000
"""In one message; one that has more is not of a robot."""

SHORTEST_S, LONGEST_S = 5e-4, 1.0
"""Between two stamps of a driver that are believed when velocities are made of them."""

ARRIVAL_WINDOW_S = 0.04
"""Where stamps say nothing, velocities are made of when messages arrived, over this time at least: by messages that
come all at once joints would leap from one angle to the next."""


class Unusable(ValueError):
    """Raised for a message that cannot be taken for a measurement; says why.

    Attributes:
      kind: the same for all messages that are wrong in the same way, to count them by.
    """

    def __init__(self, kind: str, detail: str = ""):
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


class NameFinder:
    """Finds the wanted names in messages that mostly have the same names in the same order."""

    def __init__(self, wanted: Sequence[str]):
        self._wanted = {name: index for index, name in enumerate(wanted)}
        self._names: list[str] | None = None
        self._here = self._there = np.zeros(0, int)

    def __call__(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the wanted names that are here, in the message and among those wanted.

        Raises:
          Unusable: a wanted name stands there twice, or there are far too many.
        """
        if names != self._names:
            if len(names) > LARGEST_NAMES:
                raise Unusable("too many names", str(len(names)))
            found = [(index, self._wanted[name]) for index, name in enumerate(names) if name in self._wanted]
            here, there = (np.array(column, int) for column in (zip(*found, strict=True) if found else ((), ())))
            if len(set(there.tolist())) < len(there):
                raise Unusable("a name stands in it twice")
            self._names, self._here, self._there = list(names), here, there
        return self._here, self._there


def values_of(names: Sequence[str], values: Sequence[float], field: str) -> np.ndarray:
    """`values`, one for each name.

    Raises:
      Unusable: there are more or fewer of them.
    """
    if len(values) != len(names):
        raise Unusable(f"'{field}' does not fit 'name'", f"{len(names)} names, {len(values)} values")
    return np.asarray(values, np.float64)


class NamedValues:
    """The newest value of each wanted name, merged over messages.

    Attributes:
      wanted: names.
      value: `[wanted]`, 0 where none has come.
      received_s: `[wanted]`, on the steady clock; minus infinity where none has come.
    """

    def __init__(self, wanted: Sequence[str], field: str, largest: float):
        """Args:
        field: of the message, for errors.
        largest: beyond it, or not finite, a value is no measurement.
        """
        self.wanted = tuple(wanted)
        self.value = np.zeros(len(wanted))
        self.received_s = np.full(len(wanted), -math.inf)
        self._field = field
        self._largest = largest
        self._find = NameFinder(wanted)

    @property
    def newest_s(self) -> float:
        """When anything came last."""
        return float(self.received_s.max())

    def missing(self, older_s: float) -> list[str]:
        """Names of which nothing has come, or nothing for `older_s` up to the newest."""
        since_s = self.newest_s - older_s
        return [
            name for name, at_s in zip(self.wanted, self.received_s, strict=True) if not at_s >= since_s > -math.inf
        ]

    def take(self, names: Sequence[str], values: Sequence[float], now_s: float) -> None:
        """Takes what can be taken of a message; what is foreign is passed over.

        Raises:
          Unusable: the rest cannot be.
        """
        here, there = self._find(names)
        if not here.size:
            return
        taken = values_of(names, values, self._field)[here]
        good = np.abs(taken) <= self._largest  # false for what is not a number
        self._merge(there[good], taken[good], now_s)
        if not good.all():
            wrong = int(np.flatnonzero(~good)[0])
            name = self.wanted[there[wrong]]
            raise Unusable(f"'{self._field}' of {name} is impossible", f"{taken[wrong]:.3g}")

    def _merge(self, indices: np.ndarray, values: np.ndarray, now_s: float) -> None:
        # New arrays: a measurement may still hold the old ones.
        self.value, self.received_s = self.value.copy(), self.received_s.copy()
        self.value[indices] = values
        self.received_s[indices] = now_s


class JointReadings:
    """Angles and velocities by joint; a velocity that is not reported is the change of the angle over time.

    Attributes:
      position: see `NamedValues`; in rad.
      velocity_rad_s: `[joints]`.
      by_differences: whether any velocity has been made so.
    """

    def __init__(self, joints: Sequence[str], largest_rad: float, largest_rad_s: float):
        """Args:
        largest_rad, largest_rad_s: beyond them a value is no measurement.
        """
        self.position = NamedValues(joints, "position", largest_rad)
        self.velocity_rad_s = np.zeros(len(joints))
        self.by_differences = False
        self._largest_rad_s = largest_rad_s
        self._find = NameFinder(joints)
        self._stamp_s = np.full(len(joints), math.nan)
        self._window_rad, self._window_s = np.zeros(len(joints)), np.full(len(joints), math.nan)
        self._by_arrival_rad_s = np.zeros(len(joints))

    def take(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp_s: float,
        now_s: float,
    ) -> bool:
        """Takes what can be taken of a message; whether it was about any of the joints.

        Args:
          stamp_s: of the sender's clock, which is only compared with itself.
          now_s: on the steady clock.

        Raises:
          Unusable: the rest cannot be.
        """
        here, there = self._find(names)
        if not here.size:
            return False
        reported = np.full(len(here), np.nan)
        if len(velocities):
            reported = values_of(names, velocities, "velocity")[here]
        if not (np.abs(reported[np.isfinite(reported)]) <= self._largest_rad_s).all() or np.isinf(reported).any():
            raise Unusable("'velocity' is impossible", f"{np.nanmax(np.abs(reported)):.3g} rad/s")
        before_rad = self.position.value
        try:
            self.position.take(names, positions, now_s)
        finally:
            fresh = self.position.received_s[there] == now_s
            self._set_velocities(there[fresh], reported[fresh], before_rad, stamp_s, now_s)
        return True

    def _set_velocities(
        self,
        joints: np.ndarray,
        reported: np.ndarray,
        before_rad: np.ndarray,
        stamp_s: float,
        now_s: float,
    ) -> None:
        unknown = np.isnan(reported)
        if unknown.any():
            self.by_differences = True
            elapsed_s = stamp_s - self._stamp_s[joints]
            # If not, the driver does not stamp, or its clock was set.
            believed = (elapsed_s >= SHORTEST_S) & (elapsed_s <= LONGEST_S)
            change_rad = self.position.value[joints] - before_rad[joints]
            by_stamps_rad_s = np.divide(change_rad, elapsed_s, out=np.zeros(len(joints)), where=believed)
            made_rad_s = np.where(believed, by_stamps_rad_s, self._velocities_by_arrival(joints, now_s))
            reported = np.where(unknown, made_rad_s, reported)
        self._stamp_s[joints] = stamp_s
        self.velocity_rad_s = self.velocity_rad_s.copy()
        self.velocity_rad_s[joints] = reported

    def _velocities_by_arrival(self, joints: np.ndarray, now_s: float) -> np.ndarray:
        """These joints' velocities over the last `ARRIVAL_WINDOW_S` or longer, rad/s; 0 until there is one."""
        since_s = now_s - self._window_s[joints]
        due = ~(since_s < ARRIVAL_WINDOW_S)
        position_rad = self.position.value[joints]
        made_rad_s = (position_rad - self._window_rad[joints]) / since_s
        begun = joints[due]
        self._by_arrival_rad_s[begun] = np.where(np.isfinite(since_s), made_rad_s, 0.0)[due]
        self._window_rad[begun], self._window_s[begun] = position_rad[due], now_s
        return self._by_arrival_rad_s[joints]
