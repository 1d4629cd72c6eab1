"""What a robot senses, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

JOINT_POSITION = "joint_position_rad"
JOINT_VELOCITY = "joint_velocity_rad_s"
JOINT_EFFORT = "joint_effort_n_m"
PEAK_JOINT_SPEED = "peak_joint_speed_rad_s"
ORIENTATION = "orientation_wxyz"
ANGULAR_VELOCITY = "angular_velocity_rad_s"
LINEAR_ACCELERATION = "linear_acceleration_m_s2"
FOOT_FORCE = "foot_force_n"
ODOMETRY_TWIST = "odometry_twist"
ODOMETRY_POSE = "odometry_pose"
WISHED_TWIST = "wished_twist"
CAMERA = "camera"
TEMPERATURE = "temperature_c"
CHARGE = "battery_fraction"

IMU_SIGNALS = (ORIENTATION, ANGULAR_VELOCITY, LINEAR_ACCELERATION)

ON_TOPICS = frozenset(
    {
        *(JOINT_POSITION, JOINT_VELOCITY, JOINT_EFFORT, PEAK_JOINT_SPEED, *IMU_SIGNALS, FOOT_FORCE),
        *(ODOMETRY_TWIST, ODOMETRY_POSE, WISHED_TWIST, TEMPERATURE, CHARGE),
    }
)
"""What a robot can be asked for over ROS 2, beside pictures, which may have any name."""


@dataclasses.dataclass(frozen=True)
class Signal:
    """One quantity that a robot senses. SI units, REP-103 axes (x forward, y left, z up), base_link unless stated.

    Attributes:
      shape: of one sample; `()` for a number.
      largest: magnitude of an element beyond which a message is broken, whatever the sensor.
      stale_s: age beyond which it says nothing any more, and the robot is held; None for what comes as often as the
        control loop asks, whose limit is `actor.state_timeout_s` (`actor.image_timeout_s` for a picture).
      optional: the robot is not waited for because of it, and it never grows stale.
    """

    shape: tuple[int, ...]
    largest: float = np.inf
    stale_s: float | None = None
    optional: bool = False

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


def joint_signals(joints: int) -> dict[str, Signal]:
    """Position and velocity of each joint `[joints]`, in the order of the specification, and the largest speed in all
    messages since the measurement before.
    """
    return {
        JOINT_POSITION: Signal((joints,), largest=1e3),
        JOINT_VELOCITY: Signal((joints,), largest=1e3),
        PEAK_JOINT_SPEED: Signal((joints,), optional=True),
    }


def effort_signal(joints: int) -> dict[str, Signal]:
    """Torque of each joint's motor `[joints]` in N m, in the order of the specification, of robots that report it."""
    return {JOINT_EFFORT: Signal((joints,), largest=1e4, optional=True)}


def imu_signals() -> dict[str, Signal]:
    """An IMU's orientation, angular velocity and linear acceleration.

    The orientation is a quaternion that rotates base_link vectors into the gravity-aligned world frame. The
    acceleration has gravity in it, as an accelerometer sees it: +9.81 on z at rest, upright.

    Gyroscopes end at 70 rad/s, the accelerometers of walking robots at 400 m/s^2, and a simulated A1 that falls feels
    150.
    """
    return {
        ORIENTATION: Signal((4,), largest=1e3),
        ANGULAR_VELOCITY: Signal((3,), largest=100.0),
        LINEAR_ACCELERATION: Signal((3,), largest=2e3),
    }


def foot_signals(feet: int) -> dict[str, Signal]:
    """Normal force of each foot `[feet]` in N, in the order of the specification."""
    return {FOOT_FORCE: Signal((feet,), largest=1e5)}


def odometry_signals() -> dict[str, Signal]:
    """Wheel odometry: forward speed in m/s and turn rate in rad/s `[2]`, and x, y in m and heading in rad `[3]` since
    the robot was switched on, all of a robot on level ground.
    """
    return {ODOMETRY_TWIST: Signal((2,), largest=100.0), ODOMETRY_POSE: Signal((3,), largest=1e6)}


def wish_signal() -> dict[str, Signal]:
    """Forward speed in m/s and turn rate in rad/s `[2]` that somebody wishes for, by `cmd_vel`.

    It is missing as long as nobody has, and 0 where nobody does so any more.
    """
    return {WISHED_TWIST: Signal((2,), largest=100.0, optional=True)}


def health_signals() -> dict[str, Signal]:
    """The hottest motor's temperature and the charge, 0 to 1, of robots that report them."""
    return {TEMPERATURE: Signal((), optional=True), CHARGE: Signal((), optional=True)}


def camera_signal(stale_s: float | None = None) -> Signal:
    """A camera's picture, RGB, as the networks take it."""
    return Signal((64, 64, 3), largest=255.0, stale_s=stale_s)


@dataclasses.dataclass(slots=True)
class Measurement:
    """The newest state of a robot, from its own sensors only.

    Attributes:
      time_s: steady clock, when the oldest part of it was received, but for what `received_s` names.
      values: by signal, an array of its shape or a number; optional ones that are not known are missing.
      received_s: steady clock, of the signals that have a rate of their own, as cameras; those that are missing here
        are as new as the rest.
    """

    time_s: float
    values: dict[str, Any]
    received_s: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __setitem__(self, name: str, value: np.ndarray | float) -> None:
        self.values[name] = value

    def get(self, name: str) -> Any:
        """The signal's value; None if it is not known."""
        return self.values.get(name)

    def with_value(self, name: str, value: np.ndarray | float) -> Measurement:
        """A copy of the measurement, with another value for one signal."""
        return Measurement(self.time_s, self.values | {name: value}, self.received_s)
