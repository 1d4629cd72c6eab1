"""Whether a robot's measurements fit each other, and its motions its commands; see docs/safety.md for the figures.

Each check looks once a tick at the newest measurement. They only find something out; what is to be done about it is up
to the watchdogs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daydreamer.config import SafetyConfig
from daydreamer.contract.embodiment import Embodiment, Finding
from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.limits import JointLimits, MotorGains
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    IMU_SIGNALS,
    JOINT_POSITION,
    JOINT_VELOCITY,
    LINEAR_ACCELERATION,
    ORIENTATION,
    Measurement,
)

UNCHANGED_RAD = 1e-9
"""Two angles that differ by no more are the same number: the noise of any encoder that works is larger."""

LIVELY_RAD = 1e-5
"""A change of more is noise or motion; of less, it may be what is left where a simulator without noise settles."""

AT_COMMAND_RAD = 1e-3
"""A joint this close to its command may well stand still: a servo without load, or hardware that is only mocked."""

LIVELY_SHARE = 0.8
"""Of its samples, how many change where an encoder has noise. A coarse one flickers between two steps at most."""

LIVELY_OTHERS = 0.75
"""Of the other joints, how many must be lively for a joint that is not to be stuck: a simulator without noise that
stands still, and a driver that repeats itself, have none."""

UNREPORTED_SPEED_RAD_S = 0.2
"""Mean velocity that a joint reports while its angle does not change: beyond any noise or offset."""

FOLLOWING_MARGIN_RAD = 0.1
"""Beyond the distance from its command at which a motor gives all it can."""

DOUBT_HALF_S, DOUBT_ONE_S = 0.5, 2.0
"""Joints may have stopped following when half of them have not for the one time, or one of an upright robot for the
other: of a healthy robot that is learning, up to 0.3 % of the time."""

UPRIGHT = 0.9
"""Cosine of the tilt up to which a robot stands, rather than lies on its own legs."""

IMU_WINDOW_S = 2.0
"""Mean over which an IMU is compared with itself: speeds of 1 m/s that come or go tilt the mean by 0.05 rad."""

COMPARABLE_S = 0.1
"""Between two orientations farther apart, the mean of two angular velocities says little about the rotation."""

LARGEST_BIAS_RAD_S = 1.0
"""A larger difference counts as this one: it may be a leap of the orientation when delayed messages arrive at once."""

SPECIFIC_FORCE_M_S2 = (5.0, 15.0)
"""Samples of the accelerometer between these are taken for gravity; impacts and falls are left out."""


def joint_and_imu_checks(
    robot: Embodiment, config: SafetyConfig
) -> tuple[EncoderCheck | None, FollowingCheck | None, ImuCheck | None]:
    """The checks below, each None where the robot does not sense, or its folder does not say, what it takes."""
    senses_joints = robot.has(JOINT_POSITION, JOINT_VELOCITY)
    limits = robot.limits if senses_joints and isinstance(robot.limits, JointLimits) else None
    return (
        None if limits is None else EncoderCheck(robot.setpoint_names, config),
        None if limits is None else following_check(robot.setpoint_names, limits, config),
        ImuCheck(config) if robot.has(*IMU_SIGNALS) else None,
    )


def following_check(joint_names: tuple[str, ...], limits: JointLimits, config: SafetyConfig) -> FollowingCheck | None:
    """The check of joints whose driver's gains are known, or else how far they lag; None of others."""
    if limits.gains is not None:
        return FollowingCheck(joint_names, beyond_torque_rad(limits.torque_n_m, limits.gains), config)
    if limits.following_rad is not None:
        return FollowingCheck(joint_names, limits.following_rad, config, is_led=True)
    return None


def beyond_torque_rad(torque_n_m: NDArray[np.float64], gains: MotorGains) -> NDArray[np.float64]:
    """The distance `[joints]` from its command at which each motor must long be giving all it can."""
    explained_rad = np.minimum(torque_n_m / gains.stiffness_n_m_rad, gains.max_target_error_rad)
    return explained_rad + FOLLOWING_MARGIN_RAD


class EncoderCheck:
    """Finds a joint whose angle does not change at all, though it should.

    That is so when it reports a velocity meanwhile, or when it is away from its command while other joints show the
    noise of working encoders. A stuck encoder remains stuck until its angle changes, commanded or not.
    """

    def __init__(self, joint_names: tuple[str, ...], config: SafetyConfig):
        self._names = joint_names
        self._limit_s = config.encoder_stuck_s
        # At least one, so that a robot of a single joint is only judged by its velocity.
        self._lively_needed = max(1.0, LIVELY_OTHERS * (len(joint_names) - 1))
        self.forget()

    def forget(self) -> None:
        """Begins anew, as after a gap."""
        joints = len(self._names)
        self._position_rad: NDArray[np.float64] = np.full(joints, np.inf)
        self._unchanged_s = np.zeros(joints)
        self._liveliness = np.zeros(joints)
        self._velocity_rad_s = np.zeros(joints)
        self._stuck = np.zeros(joints, bool)

    def update(self, elapsed_s: float, measurement: Measurement, commanded_rad: NDArray[np.float64] | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        position_rad = measurement[JOINT_POSITION]
        change_rad = np.abs(position_rad - self._position_rad)
        self._position_rad[:] = position_rad
        self._unchanged_s += elapsed_s
        self._unchanged_s[change_rad > UNCHANGED_RAD] = 0.0
        weight = _weight(elapsed_s, self._limit_s)
        self._liveliness += weight * ((change_rad > LIVELY_RAD) - self._liveliness)
        self._velocity_rad_s += weight * (measurement[JOINT_VELOCITY] - self._velocity_rad_s)
        joint = int(self._unchanged_s.argmax())
        unchanged_s = float(self._unchanged_s[joint])
        if unchanged_s < self._limit_s:
            self._stuck[:] = False
            return Finding(False, unchanged_s, self._limit_s, self._names[joint])
        self._stuck = (self._unchanged_s >= self._limit_s) & (self._stuck | self._should_change(commanded_rad))
        joint = int(np.where(self._stuck, self._unchanged_s, -1.0).argmax())
        return Finding(bool(self._stuck[joint]), float(self._unchanged_s[joint]), self._limit_s, self._names[joint])

    def _should_change(self, commanded_rad: NDArray[np.float64] | None) -> NDArray[np.bool_]:
        moves = np.abs(self._velocity_rad_s) > UNREPORTED_SPEED_RAD_S
        if commanded_rad is None:
            return moves
        lively = self._liveliness > LIVELY_SHARE
        if np.count_nonzero(lively) < self._lively_needed:
            return moves
        return moves | (np.abs(commanded_rad - self._position_rad) > AT_COMMAND_RAD)


class FollowingCheck:
    """Finds a joint that stays so far from its command that its motor must long have been giving all it can.

    A dead motor does, and joints whose names are swapped. So does a leg that is caught under the robot, and nobody can
    tell the two apart: that joint is blocked. But of a robot that is upright hardly a leg does for more than two
    seconds, nor do half of all joints, unless the commands do not arrive or the motors are off: they do not follow.

    A joint that is led by a vendor's controller, which gives whatever it takes or else stops the whole robot, does not
    follow as soon as it is far away for long.

    Attributes:
      doubtful: whether that may be so, which is told long before it is certain.
    """

    def __init__(
        self, joint_names: tuple[str, ...], far_rad: NDArray[np.float64], config: SafetyConfig, is_led: bool = False
    ):
        """Makes a check of joints that are seldom `far_rad` `[joints]` away from their commands.

        Args:
          is_led: by a vendor's controller.
        """
        self._names = joint_names
        self._far_rad, self._is_led = far_rad, is_led
        self._blocked_s, self._limit_s = config.blocked_s, config.not_following_s
        self.forget()

    def forget(self) -> None:
        """Begins anew, as after a gap."""
        self._far_s = np.zeros(len(self._names))
        self._telling_s = 0.0  # that a single joint says something of the whole robot
        self.doubtful = False

    def update(
        self, elapsed_s: float, measurement: Measurement, commanded_rad: NDArray[np.float64] | None
    ) -> tuple[Finding, Finding]:
        """See `PlausibilityCheck.update`; whether a joint does not follow, and whether one is blocked."""
        if commanded_rad is None:
            self.forget()
        else:
            self._far_s += elapsed_s
            self._far_s[np.abs(commanded_rad - measurement[JOINT_POSITION]) <= self._far_rad] = 0.0
            tells = self._is_led or _is_upright(measurement)
            self._telling_s = self._telling_s + elapsed_s if tells else 0.0
        joint = int(self._far_s.argmax())
        far_s, name = float(self._far_s[joint]), self._names[joint]
        certain_s = one_s = min(far_s, self._telling_s)
        half_s = 0.0
        if far_s > DOUBT_HALF_S:
            half_s = float(np.sort(self._far_s)[len(self._names) // 2])
            certain_s = max(one_s, half_s)
        self.doubtful = half_s > DOUBT_HALF_S or one_s > DOUBT_ONE_S
        return (
            Finding(certain_s > self._limit_s, certain_s, self._limit_s, name),
            Finding(far_s > self._blocked_s, far_s, self._blocked_s, name),
        )


def _is_upright(measurement: Measurement) -> bool:
    """Whether the robot stands; one that does not know which way is up counts as lying, where less is told for sure."""
    orientation_wxyz = measurement.get(ORIENTATION)
    if orientation_wxyz is None:
        return False
    _, x, y, _ = orientation_wxyz.tolist()
    return bool(1.0 - 2.0 * (x * x + y * y) > UPRIGHT)


class ImuCheck:
    """Finds an IMU whose orientation disagrees with its accelerometer or with its gyroscope.

    Averaged over `IMU_WINDOW_S` in the world that the orientation claims, what the accelerometer feels is gravity: a
    robot that stays on the ground gains no speed worth mentioning. And the gyroscope's mean is the rotation from each
    orientation to the next.
    """

    def __init__(self, config: SafetyConfig):
        self._tilt_limit_rad, self._bias_limit_rad_s = config.imu_tilt_rad, config.imu_bias_rad_s
        self.forget()

    def forget(self) -> None:
        """Begins anew, as after a gap."""
        self._force_m_s2: tuple[float, ...] = (0.0, 0.0, GRAVITY_M_S2)
        self._bias_rad_s: tuple[float, ...] = (0.0, 0.0, 0.0)
        self._last: tuple[list[float], list[float]] | None = None

    def update(self, elapsed_s: float, measurement: Measurement, commanded: NDArray[np.float64] | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        # Plain numbers: on vectors of three, numpy is the slower.
        orientation, gyroscope = measurement[ORIENTATION].tolist(), measurement[ANGULAR_VELOCITY].tolist()
        force = measurement[LINEAR_ACCELERATION].tolist()
        weight = _weight(elapsed_s, IMU_WINDOW_S)
        if SPECIFIC_FORCE_M_S2[0] < math.hypot(*force) < SPECIFIC_FORCE_M_S2[1]:
            self._force_m_s2 = _towards(self._force_m_s2, _rotated(orientation, force), weight)
        if self._last is not None and elapsed_s <= COMPARABLE_S:
            last_orientation, last_gyroscope = self._last
            turned = _rotation_vector(last_orientation, orientation)
            differences = [
                max(-LARGEST_BIAS_RAD_S, min((before + now) / 2 - angle / elapsed_s, LARGEST_BIAS_RAD_S))
                for before, now, angle in zip(last_gyroscope, gyroscope, turned, strict=True)
            ]
            self._bias_rad_s = _towards(self._bias_rad_s, differences, weight)
        self._last = orientation, gyroscope
        east, north, up = self._force_m_s2
        tilt_rad, bias_rad_s = math.atan2(math.hypot(east, north), up), math.hypot(*self._bias_rad_s)
        if tilt_rad / self._tilt_limit_rad > bias_rad_s / self._bias_limit_rad_s:
            return Finding(tilt_rad > self._tilt_limit_rad, tilt_rad, self._tilt_limit_rad, "tilt_rad")
        return Finding(bias_rad_s > self._bias_limit_rad_s, bias_rad_s, self._bias_limit_rad_s, "gyroscope_bias_rad_s")


def _weight(elapsed_s: float, window_s: float) -> float:
    """Of a sample in the exponential mean over a window."""
    return 1.0 - math.exp(-elapsed_s / window_s)


def _towards(mean: tuple[float, ...], sample: list[float], weight: float) -> tuple[float, ...]:
    return tuple(old + weight * (new - old) for old, new in zip(mean, sample, strict=True))


def _rotated(orientation_wxyz: list[float], vector: list[float]) -> list[float]:
    """`vector` of base_link in the world."""
    w, x, y, z = orientation_wxyz
    a, b, c = vector
    s, t, u = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return [a + w * s + y * u - z * t, b + w * t + z * s - x * u, c + w * u + x * t - y * s]


def _rotation_vector(before_wxyz: list[float], after_wxyz: list[float]) -> list[float]:
    """From one orientation to the next, in base_link."""
    w, x, y, z = before_wxyz
    d, a, b, c = after_wxyz
    real = w * d + x * a + y * b + z * c
    vector = (w * a - d * x - (y * c - z * b), w * b - d * y - (z * a - x * c), w * c - d * z - (x * b - y * a))
    # A quaternion and its negative are the same orientation.
    real, sign = abs(real), math.copysign(2.0, real)
    length = math.hypot(*vector)
    scale = sign * (math.atan2(length, real) / length if length > 1e-9 else 1.0)
    return [scale * value for value in vector]
