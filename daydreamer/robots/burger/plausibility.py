"""Whether wheels and odometry of the Burger can be believed; each check is a `PlausibilityCheck`."""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.embodiment import Finding
from daydreamer.contract.signals import JOINT_VELOCITY, ODOMETRY_POSE, ODOMETRY_TWIST, Measurement
from daydreamer.robots.burger.constants import LIMITS, WHEEL_JOINTS, WHEELS_OF_TWIST

WHEELS_S = 1.5
"""So long a wheel may turn otherwise than it is told. Speeding up takes 0.9 s at most."""

WHEELS_CURE = "See whether the motors have power, the wheels are free and not swapped, and nothing holds the robot."

WHEEL_MARGIN_RAD_S, WHEEL_MARGIN_SHARE = 1.5, 0.5
"""How far off it may be: 0.05 m/s, and half of what it is told."""

ODOMETRY_S = 1.0
POSE_MARGIN_M, POSE_MARGIN_RAD = 0.05, 0.3
"""Beyond what the robot can drive and turn by in the time between two measurements."""

LEAP_CURE = "It goes on by itself; do not reset the odometry while the robot learns, nor let two nodes publish it."
STILL_CURE = "Start the node that publishes the odometry again."

MOVES_M = 0.1
"""So far by its own speed the robot goes before a pose that stands still is held against it."""


class WheelsCheck:
    """Finds a wheel that does not turn as it is told: a motor without power, swapped wheels, a hand."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """See `PlausibilityCheck.forget`."""
        self._off_s = np.zeros(2)

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        told = WHEELS_OF_TWIST @ (np.zeros(2) if commanded is None else commanded)
        off = np.abs(measurement[JOINT_VELOCITY] - told) > WHEEL_MARGIN_RAD_S + WHEEL_MARGIN_SHARE * np.abs(told)
        self._off_s = np.where(off, self._off_s + elapsed_s, 0.0)
        worst = int(self._off_s.argmax())
        longest_s = float(self._off_s[worst])
        subject = f"{WHEEL_JOINTS[worst]} does not turn as it is told"
        return Finding(longest_s > WHEELS_S, longest_s, WHEELS_S, subject, WHEELS_CURE)


class OdometryCheck:
    """Finds a pose that leaps, as one that is reset, and one that stands still while the robot drives."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """See `PlausibilityCheck.forget`."""
        self._before: np.ndarray | None = None
        self._unchanged_m = self._unchanged_s = 0.0

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        pose, before = measurement[ODOMETRY_POSE], self._before
        self._before = pose
        if before is None:
            return Finding(False, 0.0, POSE_MARGIN_M, "odometry")
        moved_m = math.hypot(*(pose[:2] - before[:2]))
        # A message may have been missed, and the newer of two may have come late.
        farthest_m = 2.0 * float(LIMITS.forward_m_s) * elapsed_s + POSE_MARGIN_M
        turned_rad = abs(math.remainder(pose[2] - before[2], math.tau))
        most_rad = 2.0 * float(LIMITS.turn_rad_s) * elapsed_s + POSE_MARGIN_RAD
        if moved_m > farthest_m:
            return Finding(True, moved_m, farthest_m, "the place in the odometry has leapt", LEAP_CURE)
        if turned_rad > most_rad:
            return Finding(True, turned_rad, most_rad, "the heading in the odometry has leapt", LEAP_CURE)
        if moved_m > 0.0:
            self._unchanged_m = self._unchanged_s = 0.0
        else:
            self._unchanged_m += abs(measurement[ODOMETRY_TWIST][0]) * elapsed_s
            self._unchanged_s += elapsed_s
        stands = self._unchanged_s > ODOMETRY_S and self._unchanged_m > MOVES_M
        return Finding(stands, self._unchanged_m, MOVES_M, "the place in the odometry does not change", STILL_CURE)
