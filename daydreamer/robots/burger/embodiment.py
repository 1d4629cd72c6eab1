"""The Burger as every task of it has it: what it senses on its own topics, what it is told, and what keeps it whole."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from daydreamer.contract.embodiment import Embodiment, PlausibilityCheck
from daydreamer.contract.signals import (
    CHARGE,
    JOINT_POSITION,
    JOINT_VELOCITY,
    Signal,
    camera_signal,
    health_signals,
    imu_signals,
    odometry_signals,
)
from daydreamer.robots.burger.constants import LIMITS
from daydreamer.robots.burger.plausibility import OdometryCheck, WheelsCheck
from daydreamer.robots.camera_check import CameraCheck
from daydreamer.safety.twist_limiter import TwistLimiter

ABOVE = "above"
"""Signal of the camera above the arena: it sends on `above/image_raw`, or `above/image_raw/compressed`."""


def make_embodiment(camera: str, stale_s: float) -> Embodiment:
    """The robot with one camera.

    Args:
      camera: its signal.
      stale_s: age beyond which a picture says nothing any more.
    """
    return Embodiment(
        name="burger",
        signals={
            # Wheels turn on: in an hour by some 24,000 rad.
            JOINT_POSITION: Signal((2,), largest=1e9),
            JOINT_VELOCITY: Signal((2,), largest=1e3),
            **imu_signals(),
            **odometry_signals(),
            CHARGE: health_signals()[CHARGE],
            camera: camera_signal(stale_s),
        },
        setpoint_kind="twist",
        setpoint_names=("forward", "turn"),
        limits=LIMITS,
        make_guard=TwistLimiter,
        make_checks=functools.partial(_make_checks, camera),
        # turtlebot3_node has metres per second where rad/s belong.
        joint_velocity_reported=False,
    )


def _make_checks(camera: str, config: object) -> Sequence[PlausibilityCheck]:
    return WheelsCheck(), OdometryCheck(), CameraCheck(camera)
