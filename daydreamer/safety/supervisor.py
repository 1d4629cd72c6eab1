"""The last word on every command: it stands between whatever chooses the action and the robot."""

from __future__ import annotations

import dataclasses

import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.experience.step import SAFETY_FLAGS
from daydreamer.robots.base import JointLimits
from daydreamer.safety.filter import LowPassFilter

POSITION_MARGIN_RAD = 0.01
"""Commands stay this far inside the mechanical limits, so that tracking errors do not hit the end stops."""


@dataclasses.dataclass(frozen=True, slots=True)
class JointCommand:
    """What the robot is told.

    Attributes:
      position_rad: `[joints]` position targets, NaN where the joints are damped.
      flags: bits of SAFETY_FLAGS.
    """

    position_rad: np.ndarray
    flags: int

    @property
    def damping(self) -> bool:
        return bool(self.flags & SAFETY_FLAGS["damping"])


class SafetySupervisor:
    """Filters, limits and, when there is nothing sensible to send, holds or damps. Not thread-safe.

    Whatever is requested, a position command lies within the joint limits, and no further from the previous
    command than the rate limit allows; the first one departs from the measured pose.

    Attributes:
      interventions: commands that carried a safety flag.
      counts: commands by the name of each safety flag they carried.
    """

    def __init__(self, limits: JointLimits, config: ActorConfig, control_rate_hz: float):
        self._lower_rad = limits.lower_rad + POSITION_MARGIN_RAD
        self._upper_rad = limits.upper_rad - POSITION_MARGIN_RAD
        self._largest_change_rad = limits.command_rate_rad_s / control_rate_hz
        self._state_timeout_s = config.state_timeout_s
        self._damp_timeout_s = config.damp_timeout_s
        self._filter = LowPassFilter(config.low_pass_cutoff_hz, control_rate_hz)
        self._previous_rad: np.ndarray | None = None
        self.interventions = 0
        self.counts = dict.fromkeys(SAFETY_FLAGS, 0)

    def reset(self) -> None:
        """Forgets the previous command; call when the robot may have moved without being commanded."""
        self._previous_rad = None

    def command(self, requested_rad: np.ndarray, measured_rad: np.ndarray) -> JointCommand:
        """Safe command for a fresh state.

        Args:
          requested_rad: `[joints]` wanted targets, any values, even not finite ones.
          measured_rad: `[joints]` measured angles, finite.
        """
        if self._previous_rad is None:
            self._hold(np.clip(measured_rad, self._lower_rad, self._upper_rad))
        if not np.all(np.isfinite(requested_rad)):
            return self._holding("action_not_finite")
        flags = 0
        wanted = self._filter(np.clip(requested_rad, self._lower_rad, self._upper_rad))
        # The filter overshoots, so limits come after it; the rate limit comes last and cannot leave the position
        # limits because it only shortens the way between two poses that are inside.
        inside = np.clip(wanted, self._lower_rad, self._upper_rad)
        if np.any(requested_rad < self._lower_rad) or np.any(requested_rad > self._upper_rad):
            flags |= SAFETY_FLAGS["position_clipped"]
        change = inside - self._previous_rad
        limited = np.clip(change, -self._largest_change_rad, self._largest_change_rad)
        if np.any(limited != change):
            flags |= SAFETY_FLAGS["rate_clipped"]
        self._previous_rad = self._previous_rad + limited
        return self._counted(self._previous_rad.copy(), flags)

    def command_stale(self, state_age_s: float) -> JointCommand:
        """Safe command while the newest state is `state_age_s` old: hold the last pose, later damp."""
        if self._previous_rad is None or state_age_s > self._damp_timeout_s:
            return self.damp(SAFETY_FLAGS["state_stale"])
        return self._holding("state_stale")

    def is_stale(self, state_age_s: float) -> bool:
        """Whether a state of this age is too old to act on."""
        return state_age_s > self._state_timeout_s

    def damp(self, flags: int = 0) -> JointCommand:
        """Takes the torque off, but for viscous damping; the next command departs from the measured pose."""
        damped = np.full(self._lower_rad.shape, np.nan)
        self.reset()
        return self._counted(damped, flags | SAFETY_FLAGS["damping"])

    def _hold(self, pose_rad: np.ndarray) -> None:
        self._previous_rad = pose_rad
        self._filter.reset(pose_rad)

    def _holding(self, cause: str) -> JointCommand:
        # The filter starts again from the held pose: what it remembers would otherwise jerk at the next good action.
        self._hold(self._previous_rad)
        return self._counted(self._previous_rad.copy(), SAFETY_FLAGS[cause] | SAFETY_FLAGS["holding"])

    def _counted(self, position_rad: np.ndarray, flags: int) -> JointCommand:
        self.interventions += flags != 0
        for name, bit in SAFETY_FLAGS.items():
            if flags & bit:
                self.counts[name] += 1
        return JointCommand(position_rad, flags)
