"""Makes any request a command that joints may be sent: the last word on positions, rates and torques."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.embodiment import Command
from daydreamer.contract.limits import JointLimits, Limits
from daydreamer.errors import UserError
from daydreamer.safety.filter import LowPassFilter
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.workspace import ROUNDING_M, ToolPath, beyond_m

POSITION_MARGIN_RAD = 0.01
"""Commands stay this far inside the mechanical limits, so that tracking errors do not hit the end stops."""

TORQUE_SHARE = 0.9
"""Of what a motor can give, the most that a command may ask for."""


def check_limits(limits: JointLimits, joints: int) -> None:
    """Makes sure that every limit is stated and makes sense.

    Raises:
      UserError: one is missing, not a number, of the wrong size or the wrong way round.
    """
    arrays = {name: getattr(limits, name) for name in (*_POSITIVE, "lower_rad", "upper_rad")}
    if (gains := limits.gains) is not None:
        arrays["gains.stiffness_n_m_rad"] = gains.stiffness_n_m_rad
        arrays["gains.max_target_error_rad"] = gains.max_target_error_rad
    if limits.following_rad is not None:
        arrays["following_rad"] = limits.following_rad
    for name, values in arrays.items():
        if values is None or np.shape(values) != (joints,) or np.isnan(values).any():
            raise UserError(f"The robot's folder does not state the limit {name} for each of its {joints} joints.")
        if name not in ("lower_rad", "upper_rad") and np.any(values <= 0):
            raise UserError(f"The robot's folder states {name} = {values}; it must be above 0.")
    check_health_limits(limits)
    if np.any(limits.upper_rad - limits.lower_rad <= 2 * POSITION_MARGIN_RAD):
        raise UserError("The robot's folder states an upper_rad that is not above lower_rad.")


def check_health_limits(limits: Limits) -> None:
    """Makes sure that temperature and charge are limited, on purpose or not.

    Raises:
      UserError: one is not stated.
    """
    for name in ("temperature_c", "battery_fraction"):
        value = getattr(limits, name)
        if value is None or np.isnan(value):
            raise UserError(f"The robot's folder does not state the limit {name}; infinity means that there is none.")


def stated(limit: float | None) -> float:
    """A limit that the robot's guard has found stated, with one of the checks above."""
    assert limit is not None, "the guard refuses a robot whose folder does not state it"
    return limit


_POSITIVE = ("command_rate_rad_s", "velocity_rad_s", "torque_n_m")


class CommandLimiter:
    """The guard of joints that are told positions. Not thread-safe.

    Whatever is requested, a position command lies within the joint limits, and no further from the previous command
    than the rate limit allows. Nearer to it, it gives way where the motor would have to give more than its share of
    torque. The first one departs from where the joints are believed to be. An arm's tool stays within its workspace, or
    comes nearer to it, but on the way to a named pose, which only ever keeps it above the workspace's floor.

    Attributes:
      interventions: commands that carried a safety flag.
      counts: commands by the name of each safety flag they carried.
    """

    def __init__(self, limits: JointLimits, low_pass_cutoff_hz: float, control_rate_hz: float):
        """Raises UserError as `check_limits` does."""
        check_limits(limits, len(limits.lower_rad))
        self._lower_rad = limits.lower_rad + POSITION_MARGIN_RAD
        self._upper_rad = limits.upper_rad - POSITION_MARGIN_RAD
        self._largest_change_rad = limits.command_rate_rad_s / control_rate_hz
        self._largest_error_rad = _largest_error_rad(limits)
        self._limits_torque = bool(np.isfinite(self._largest_error_rad).any())
        self._workspace = limits.workspace
        self._path = None
        if limits.workspace is not None and limits.workspace.joints_for_tool is not None:
            self._path = ToolPath(
                limits.workspace, self._lower_rad, self._upper_rad, self._largest_change_rad, control_rate_hz
            )
        self._filter = LowPassFilter(low_pass_cutoff_hz, control_rate_hz)
        self._previous_rad: NDArray[np.float64] | None = None
        self.interventions = 0
        self.counts = dict.fromkeys(SAFETY_FLAGS, 0)

    @property
    def has_setpoint(self) -> bool:
        """Whether there is a commanded pose to hold."""
        return self._previous_rad is not None

    @property
    def setpoint(self) -> NDArray[np.float64]:
        """`[joints]` in rad, the pose that `hold` commands. Only when `has_setpoint`."""
        return self._held_rad.copy()

    @property
    def _held_rad(self) -> NDArray[np.float64]:
        """The previous command itself. Only when `has_setpoint`."""
        assert self._previous_rad is not None, "whoever asks has departed from somewhere"
        return self._previous_rad

    def forget(self) -> None:
        """Forgets the previous command; call when the robot may have moved without being commanded."""
        self._previous_rad = None

    def inside(self, pose_rad: NDArray[np.float64]) -> NDArray[np.float64]:
        """The nearest pose that may be commanded, `[joints]`."""
        return np.clip(pose_rad, self._lower_rad, self._upper_rad)

    def depart(self, measured_rad: NDArray[np.float64]) -> None:
        """The next command departs from this pose, which is finite."""
        self._set(self.inside(measured_rad))

    def command(self, requested_rad: NDArray[np.float64], measured_rad: NDArray[np.float64]) -> Command:
        """The nearest command to a request that the robot may be sent.

        Args:
          requested_rad: `[joints]` wanted targets, any values, even not finite ones.
          measured_rad: `[joints]` measured angles, finite.
        """
        if self._previous_rad is None:
            self.depart(measured_rad)
        if not np.all(np.isfinite(requested_rad)):
            return self.hold(SAFETY_FLAGS["action_not_finite"])
        inside = np.clip(requested_rad, self._lower_rad, self._upper_rad)
        flags = SAFETY_FLAGS["position_clipped"] if np.any(inside != requested_rad) else 0
        # The filter overshoots, so limits come after it as well.
        wanted_rad = np.clip(self._filter(inside), self._lower_rad, self._upper_rad)
        if self._path is not None:
            wanted_rad, outside = self._path.towards(self._held_rad, wanted_rad)
            flags |= SAFETY_FLAGS["workspace_clipped"] if outside else 0
        return self._limited(wanted_rad, measured_rad, flags, self._leaves_workspace)

    def follow(self, pose_rad: NDArray[np.float64], measured_rad: NDArray[np.float64]) -> Command:
        """Like `command`, without the filter: for a path that is smooth by itself."""
        if self._previous_rad is None:
            self.depart(measured_rad)
        wanted_rad = np.clip(pose_rad, self._lower_rad, self._upper_rad)
        command = self._limited(wanted_rad, measured_rad, 0, self._sinks)
        self._filter.reset(self._held_rad)
        return command

    def hold(self, flags: int = 0) -> Command:
        """The previous command again. Only when `has_setpoint`."""
        # The filter starts again from the held pose: what it remembers would otherwise jerk at the next good action.
        self._set(self._held_rad)
        return self._counted(self._held_rad.copy(), flags | SAFETY_FLAGS["holding"])

    def relax(self, flags: int = 0) -> Command:
        """Takes the torque off, but for viscous damping; the next command departs from the measured pose."""
        self.forget()
        return self._counted(np.full(self._lower_rad.shape, np.nan), flags | SAFETY_FLAGS["damping"], relaxes=True)

    def _set(self, pose_rad: NDArray[np.float64]) -> None:
        self._previous_rad = pose_rad
        self._filter.reset(pose_rad)

    def _limited(
        self,
        wanted_rad: NDArray[np.float64],
        measured_rad: NDArray[np.float64],
        flags: int,
        is_wrong: Callable[[NDArray[np.float64], NDArray[np.float64]], bool],
    ) -> Command:
        """The command nearest to `wanted_rad`; the one before it again where it `is_wrong`, see `_leaves_workspace`."""
        previous_rad = self._held_rad
        change = wanted_rad - previous_rad
        limited = np.clip(change, -self._largest_change_rad, self._largest_change_rad)
        if np.any(limited != change):
            flags |= SAFETY_FLAGS["rate_clipped"]
        # Two poses that are inside the position limits have only such poses between them.
        position = previous_rad + limited
        if self._limits_torque:
            reachable = np.clip(
                position, measured_rad - self._largest_error_rad, measured_rad + self._largest_error_rad
            )
            reachable = np.clip(reachable, self._lower_rad, self._upper_rad)
            # Also where the joint is said to be somewhere else all of a sudden.
            reachable = np.clip(
                reachable, previous_rad - self._largest_change_rad, previous_rad + self._largest_change_rad
            )
            if np.any(reachable != position):
                flags |= SAFETY_FLAGS["torque_clipped"]
                position = reachable
        if is_wrong(previous_rad, position):
            flags |= SAFETY_FLAGS["workspace_clipped"]
            position = previous_rad
        self._previous_rad = position
        return self._counted(position.copy(), flags)

    def _leaves_workspace(self, previous_rad: NDArray[np.float64], position_rad: NDArray[np.float64]) -> bool:
        """Whether the tool would be outside the workspace, and no nearer to it than with the command before."""
        box = self._workspace
        if box is None or (beyond := beyond_m(box, position_rad)) <= ROUNDING_M:
            return False
        return beyond > beyond_m(box, previous_rad)

    def _sinks(self, previous_rad: NDArray[np.float64], position_rad: NDArray[np.float64]) -> bool:
        """Whether the tool would be below the workspace's floor, and lower than with the command before."""
        box = self._workspace
        if box is None or (height_m := box.tool_position_m(position_rad)[2]) >= box.lower_m[2]:
            return False
        return bool(height_m < box.tool_position_m(previous_rad)[2])

    def _counted(self, position_rad: NDArray[np.float64], flags: int, relaxes: bool = False) -> Command:
        if flags:
            self.interventions += 1
            count_flags(self.counts, flags)
        return Command(position_rad, flags, relaxes)


def count_flags(counts: dict[str, int], flags: int) -> None:
    """Adds a command that carries `flags` to `counts`, by name."""
    for name, bit in SAFETY_FLAGS.items():
        if flags & bit:
            counts[name] += 1


def _largest_error_rad(limits: JointLimits) -> NDArray[np.float64]:
    """Distance `[joints]` of a target from the measured angle at which the motor's share of torque is reached.

    Infinite where the driver keeps targets nearer than that, or keeps its gains to itself.
    """
    if limits.gains is None:
        return np.full(limits.torque_n_m.shape, np.inf)
    error_rad = TORQUE_SHARE * limits.torque_n_m / limits.gains.stiffness_n_m_rad
    return np.where(limits.gains.max_target_error_rad <= error_rad, np.inf, error_rad)
