"""How an episode begins: the robot leaves where it is by itself, at random, so that nobody has to carry it."""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.signals import ANGULAR_VELOCITY, ODOMETRY_TWIST, Measurement
from daydreamer.robots.burger.constants import KICK_S, KICKS, SETTLE_S, TWIST_OF_WHEELS, WHEEL_SPEED_RAD_S


class Departure:
    """Backs off from what is before it, turns by a random angle, and drives on for a random while.

    Each part also ends by time: pinned to a wall the robot neither drives nor turns.
    """

    BACK_M, BACK_M_S = 0.25, 0.15
    TURN_RAD_S = 1.5
    MOST_M, FORWARD_M_S = 0.5, 0.2
    PATIENCE = 2.0
    """Of the time that a part would take without speeding up and without walls."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self.begin()

    def begin(self) -> None:
        """Draws how to leave."""
        turn_rad = self._random.uniform(-math.pi, math.pi)
        forward_m = self._random.uniform(0.0, self.MOST_M)
        # Setpoint, how far to go by it (m, or rad), which element of what the robot does that is.
        self._parts = [
            (np.array((-self.BACK_M_S, 0.0)), self.BACK_M, 0),
            (np.array((0.0, math.copysign(self.TURN_RAD_S, turn_rad))), abs(turn_rad), 1),
            (np.array((self.FORWARD_M_S, 0.0)), forward_m, 0),
        ]
        self._before_s = self._part_s = self._done = 0.0

    def setpoint(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        """Forward speed and turn rate `[2]` in m/s and rad/s; None once it is done."""
        period_s, self._before_s = elapsed_s - self._before_s, elapsed_s
        moves = measurement[ODOMETRY_TWIST][0], measurement[ANGULAR_VELOCITY][2]
        if self._parts:
            setpoint, far, element = self._parts[0]
            self._done += abs(float(moves[element])) * period_s
            self._part_s += period_s
            if self._done >= far or self._part_s > 1.0 + self.PATIENCE * far / abs(setpoint[element]):
                self._parts.pop(0)
                self._part_s = self._done = 0.0
        return self._parts[0][0] if self._parts else None


class Kicks:
    """As DayDreamer's rolling robot: each motor at full speed in a random direction, five times, and then at rest."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self.begin()

    def begin(self) -> None:
        """Draws the kicks."""
        self._wheels_rad_s = WHEEL_SPEED_RAD_S * self._random.choice((-1.0, 1.0), (KICKS, 2))

    def setpoint(self, elapsed_s: float) -> np.ndarray | None:
        """Forward speed and turn rate `[2]` in m/s and rad/s; None once it is done."""
        kick = int(elapsed_s / KICK_S)
        if kick < KICKS:
            return TWIST_OF_WHEELS @ self._wheels_rad_s[kick]
        return np.zeros(2) if elapsed_s < KICKS * KICK_S + SETTLE_S else None
