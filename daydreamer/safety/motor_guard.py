"""The last word on what motors are told, in the driver: whoever commands, and whatever encoders say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daydreamer.contract.limits import JointLimits
from daydreamer.safety.belief import OUTSIDE_RAD
from daydreamer.safety.encoder_belief import EncoderBelief, named
from daydreamer.safety.limiter import POSITION_MARGIN_RAD, TORQUE_SHARE
from daydreamer.safety.target_stream import TargetStream
from daydreamer.safety.watchdogs import beyond_limits_rad

STATE_TIMEOUT_S = 0.1
"""Joints of which nothing believable is heard for this long are damped: no target is known to be near them."""

LATE_PERIODS = 2.0
"""A tick that comes late moves a target no further than so many that come in time."""


class MotorGuard:
    """Turns commands and measured angles into one target for every tick, within the robot's limits. Not thread-safe.

    The limits are those of the safety supervisor, and hold whether or not there is one: a target lies within the joint
    limits, no further from the last one than the rate limit allows, and near enough to the angle that is believed for
    the motor to give no more than its share of torque. The first one departs from that angle. Where the joint is moved
    faster than that, so that the motor would have to give more than it can, the joints are damped for a tick, and it
    departs anew. A target outside the limits, where the joint itself was found there, only ever moves inwards.

    Attributes:
      stopped: why the joints are damped whatever is commanded, naming them; None if they are not. It ends with
        `begin_anew`. Neither a command to damp nor a silence ends it: whoever commands damps and falls silent by
        itself, too, as with a sensor that is stuck or a loop that stands still, and then goes on by itself.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        limits: JointLimits,
        *,
        stiffness_n_m_rad: NDArray[np.float64],
        max_target_error_rad: float | NDArray[np.float64],
        interpolate_s: float,
        command_timeout_s: float,
        period_s: float,
    ):
        """Makes a guard that damps.

        Args:
          joint_names: for `stopped`.
          limits: of the robot.
          stiffness_n_m_rad: `[joints]` that the motors are given.
          max_target_error_rad: from the believed angle, if the torque allows as much; of all joints, or of each.
          interpolate_s, command_timeout_s: as in `TargetStream`.
          period_s: between two ticks.
        """
        self._names = joint_names
        self._limits = limits
        self._lower_rad = limits.lower_rad + POSITION_MARGIN_RAD
        self._upper_rad = limits.upper_rad - POSITION_MARGIN_RAD
        # Without stiffness there is no torque to be limited.
        full_torque_rad = limits.torque_n_m / np.maximum(stiffness_n_m_rad, 1e-9)
        self._reach_rad = np.minimum(max_target_error_rad, TORQUE_SHARE * full_torque_rad)
        self._farthest_rad = full_torque_rad
        self._period_s = period_s
        self._targets = TargetStream(
            interpolate_s=interpolate_s, timeout_s=command_timeout_s, max_error_rad=float("inf")
        )
        self.belief = EncoderBelief(limits.velocity_rad_s, STATE_TIMEOUT_S)
        self.stopped: str | None = None
        self._previous_rad: NDArray[np.float64] | None = None
        self._ticked_s = -np.inf
        self._suspended_s: float | None = None

    def command(self, target_rad: NDArray[np.float64] | None, time_s: float) -> None:
        """Takes in a command that arrives at `time_s`: finite targets `[joints]`, or None to damp."""
        if target_rad is not None:
            target_rad = np.clip(target_rad, self._lower_rad, self._upper_rad)
        self._targets.command(target_rad, time_s)

    def begin_anew(self) -> None:
        """Somebody else commands from now on, or whoever commands has let go: only an operator has them go on."""
        self.stopped = None
        self._targets.reset()

    def measured(self, position_rad: NDArray[np.float64], velocity_rad_s: NDArray[np.float64], time_s: float) -> bool:
        """Takes in the joints' state, finite, at `time_s`; whether all of it is believed."""
        believed, leapt = self.belief.update(position_rad, velocity_rad_s, time_s)
        if leapt.any():
            self.stop(f"{named(self._names, leapt)} leapt by more than a joint can move")
        return bool(believed.all())

    def wake(self, suspended_s: float) -> None:
        """Call before each tick: the joints are damped where the machine has been suspended since the last one.

        Args:
          suspended_s: see `daydreamer.timing.suspended_s`.
        """
        before_s, self._suspended_s = self._suspended_s, suspended_s
        if before_s is not None and suspended_s - before_s > STATE_TIMEOUT_S:
            self.stop(f"the machine was suspended for {suspended_s - before_s:.0f} s")
            self._targets.reset()

    def target(self, time_s: float, withheld: bool = False) -> NDArray[np.float64] | None:
        """`[joints]` targets of the tick at `time_s`, or None for damping.

        Args:
          withheld: for a reason of the driver's own there is none, and the next one departs from the joints.
        """
        elapsed_s = min(time_s - self._ticked_s, LATE_PERIODS * self._period_s)
        self._ticked_s = time_s
        target_rad = self._limited(time_s, elapsed_s)
        self._previous_rad = None if withheld else target_rad
        return None if self._previous_rad is None else self._previous_rad.copy()

    def _limited(self, time_s: float, elapsed_s: float) -> NDArray[np.float64] | None:
        believed_rad = self.belief.position_rad
        if self.belief.age_s(time_s) > STATE_TIMEOUT_S:
            self._targets.reset()  # what was commanded before belongs to the past
            return None
        error_rad = self._targets.error(time_s, believed_rad)
        if error_rad is None:
            return None
        # Looked at only where somebody wants to move the robot: a driver that is started alone may find it anywhere.
        outside = beyond_limits_rad(self._limits, believed_rad) > OUTSIDE_RAD
        if outside.any():
            self.stop(f"{named(self._names, outside)} is outside its limits by more than {OUTSIDE_RAD:g} rad")
        if self.stopped is not None:
            return None
        previous_rad = believed_rad if self._previous_rad is None else self._previous_rad
        change_rad = self._limits.command_rate_rad_s * elapsed_s
        target_rad = np.clip(believed_rad + error_rad, believed_rad - self._reach_rad, believed_rad + self._reach_rad)
        target_rad = np.clip(target_rad, self._lower_rad, self._upper_rad)
        target_rad = np.clip(target_rad, previous_rad - change_rad, previous_rad + change_rad)
        too_far = np.abs(target_rad - believed_rad) > self._farthest_rad
        return None if too_far.any() else target_rad

    def stop(self, why: str) -> None:
        """The joints are damped from now on, see `stopped`, which keeps the first reason."""
        if self.stopped is None:
            self.stopped = why
