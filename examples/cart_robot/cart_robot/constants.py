"""Figures of the cart. Of a real one each would have its source: the drawing, the data sheet, a measurement."""

from __future__ import annotations

import math

import numpy as np

from daydreamer.contract.limits import TwistLimits

WHEEL_RADIUS_M = 0.033
WHEELBASE_M = 0.16

LIMITS = TwistLimits(
    forward_m_s=0.4,
    backward_m_s=0.2,
    turn_rad_s=2.0,
    acceleration_m_s2=1.0,
    turn_acceleration_rad_s2=8.0,
    # It measures neither: a limit that does not exist is infinite, and one that is left out is an error at start.
    temperature_c=math.inf,
    battery_fraction=-math.inf,
)

CAMERA_PERIOD_S = 0.2
CAMERA_STALE_S = 1.0
"""Five pictures that do not come."""

TWIST_OF_WHEELS = WHEEL_RADIUS_M * np.array(((0.5, 0.5), (-1.0 / WHEELBASE_M, 1.0 / WHEELBASE_M)))
"""Forward speed in m/s and turn rate in rad/s of the speeds of the left and the right wheel in rad/s."""

WHEELS_OF_TWIST = np.linalg.inv(TWIST_OF_WHEELS)
