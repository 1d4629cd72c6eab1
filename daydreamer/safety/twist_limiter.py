"""Makes any request a command that wheels may be sent: the last word on speeds and accelerations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.embodiment import Command
from daydreamer.contract.limits import TwistLimits
from daydreamer.errors import UserError
from daydreamer.safety.filter import LowPassFilter
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.limiter import check_health_limits, count_flags, stated

_POSITIVE = ("forward_m_s", "backward_m_s", "turn_rad_s", "acceleration_m_s2", "turn_acceleration_rad_s2")


def check_twist_limits(limits: TwistLimits) -> None:
    """Makes sure that every limit is stated and makes sense.

    Raises:
      UserError: one is missing or not a positive number.
    """
    for name in _POSITIVE:
        value = getattr(limits, name)
        if value is None or np.isnan(value):
            raise UserError(f"The robot's folder does not state the limit {name}; infinity means that there is none.")
        if value < 0 or (value == 0 and name != "backward_m_s"):
            raise UserError(f"The robot's folder states {name} = {value}; it must be above 0.")
    check_health_limits(limits)


class TwistLimiter:
    """The guard of a robot on wheels. Not thread-safe.

    Whatever is requested, forward speed and turn rate lie within their limits, and no further from the command before
    than the accelerations allow. To hold is to slow down to a stop at those accelerations; to relax is to stop at once,
    by a command of zero and not by silence, after which some robots drive on.

    Attributes:
      interventions, counts: see `Guard`.
    """

    def __init__(self, limits: TwistLimits, low_pass_cutoff_hz: float, rate_hz: float):
        """Raises UserError as `check_twist_limits` does."""
        check_twist_limits(limits)
        self._lower = np.array((-stated(limits.backward_m_s), -stated(limits.turn_rad_s)))
        self._upper = np.array((stated(limits.forward_m_s), stated(limits.turn_rad_s)))
        accelerations = (stated(limits.acceleration_m_s2), stated(limits.turn_acceleration_rad_s2))
        self._largest_change = np.array(accelerations) / rate_hz
        self._filter = LowPassFilter(low_pass_cutoff_hz, rate_hz)
        self._previous = np.zeros(2)
        self._filter.reset(self._previous)
        self.interventions = 0
        self.counts = dict.fromkeys(SAFETY_FLAGS, 0)

    @property
    def has_setpoint(self) -> bool:
        """Standing still can always be held."""
        return True

    @property
    def setpoint(self) -> NDArray[np.float64]:
        """Forward speed in m/s and turn rate in rad/s `[2]` of the last command."""
        return self._previous.copy()

    def forget(self) -> None:
        """The next command departs from standing still."""
        self._set(np.zeros(2))

    def inside(self, setpoint: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest twist within the limits, `[2]`."""
        return np.clip(setpoint, self._lower, self._upper)

    def depart(self, measured: NDArray[np.float64]) -> None:
        """The next command departs from standing still, whatever wheels that roll say."""
        self.forget()

    def command(self, requested: NDArray[np.float64], measured: NDArray[np.float64]) -> Command:
        """See `Guard.command`."""
        if not np.all(np.isfinite(requested)):
            return self.hold(SAFETY_FLAGS["action_not_finite"])
        inside = self.inside(requested)
        flags = SAFETY_FLAGS["position_clipped"] if np.any(inside != requested) else 0
        return self._limited(self.inside(self._filter(inside)), flags)

    def follow(self, setpoint: NDArray[np.float64], measured: NDArray[np.float64]) -> Command:
        """See `Guard.follow`."""
        command = self._limited(self.inside(setpoint), 0)
        self._filter.reset(self._previous)
        return command

    def hold(self, flags: int = 0) -> Command:
        """Slows down until the robot stands."""
        command = self._limited(np.zeros(2), flags | SAFETY_FLAGS["holding"])
        self._filter.reset(self._previous)
        return command

    def relax(self, flags: int = 0) -> Command:
        """Stops at once."""
        self.forget()
        return self._counted(np.zeros(2), flags | SAFETY_FLAGS["damping"], relaxes=True)

    def _set(self, twist: NDArray[np.float64]) -> None:
        self._previous = twist
        self._filter.reset(twist)

    def _limited(self, wanted: NDArray[np.float64], flags: int) -> Command:
        change = wanted - self._previous
        limited = np.clip(change, -self._largest_change, self._largest_change)
        if np.any(limited != change):
            flags |= SAFETY_FLAGS["rate_clipped"]
        self._previous = self._previous + limited
        return self._counted(self._previous.copy(), flags)

    def _counted(self, twist: NDArray[np.float64], flags: int, relaxes: bool = False) -> Command:
        if flags:
            self.interventions += 1
            count_flags(self.counts, flags)
        return Command(twist, flags, relaxes)
