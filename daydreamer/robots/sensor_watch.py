"""Wrong numbers noticed before they are learned from: units that are not SI, and feet that are always or never loaded.

What can be taken rightly is (a charge of 100, a temperature of 300, feet that read 15 N in the air); the rest is named.
Nothing here changes a number that is plausible.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.frames import GRAVITY_M_S2, rotation_matrix
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    FOOT_FORCE,
    JOINT_POSITION,
    JOINT_VELOCITY,
    LINEAR_ACCELERATION,
    ORIENTATION,
    Measurement,
)
from daydreamer.spec import RobotSpec

SURE = 3
"""So many reports make a unit certain; one may be a glitch."""

KELVIN = 273.15
LARGEST_CHARGE, LARGEST_PERCENT = 1.05, 105.0
"""What is beyond 1 is of 100; a calibration that is a little off may say 1.02, or 102."""

HOTTEST_C = 200.0
"""No motor is hotter and works; no motor has 200 K."""

HOT_C = 100.0
"""A motor that is really at 200 °C has been here before."""


class ChargeUnit:
    """Fractions of what BatteryState.percentage says, which is 0 to 1 by its definition and 0 to 100 in many drivers.

    Attributes:
      percent: whether the driver has been found to report 0 to 100.
    """

    def __init__(self) -> None:
        self._seen = 0

    @property
    def percent(self) -> bool:
        return self._seen > 0

    def __call__(self, reported: float) -> float:
        """0 to 1.

        Raises:
          ValueError: it is no charge in any unit.
        """
        if not 0.0 <= reported <= LARGEST_PERCENT:
            raise ValueError(f"a charge of {reported:.3g} is none; BatteryState.percentage is 0 to 1")
        if reported > LARGEST_CHARGE:
            self._seen += 1
            return min(reported / 100.0, 1.0)
        if self._seen >= SURE:
            return reported / 100.0
        self._seen = 0
        return min(reported, 1.0)


class TemperatureUnit:
    """Degrees Celsius of what Temperature says, which some drivers fill with kelvin.

    Attributes:
      kelvin: whether the driver has been found to report kelvin.
    """

    def __init__(self) -> None:
        self._high = 0
        self._colder = self._hot = False

    @property
    def kelvin(self) -> bool:
        return self._high > 0 and not self._hot and (not self._colder or self._high >= SURE)

    def __call__(self, reported: float) -> float:
        if reported > HOTTEST_C:
            self._high += 1
        else:
            self._high = 0
            self._colder = True
            self._hot |= reported > HOT_C
        return reported - KELVIN if self.kelvin else reported


SHORTEST_S, LONGEST_S = 1e-3, 0.15
"""Between two measurements whose difference is compared with a velocity."""

CERTAIN_CHANGE_RAD, CERTAIN_CHANGES = 0.01, 60
"""Smaller changes are noise; so many larger ones tell a unit."""

SMALLEST_RATIO, LARGEST_RATIO = 0.2, 5.0
"""Of a velocity to what its angle does; between them the mean of two velocities may just be a poor one."""

GRAVITY_WINDOW_S, GRAVITY_CERTAIN_S = 2.0, 6.0
LARGEST_NORM_M_S2 = 20.0
"""An impact counts as this much, so that a robot that walks hard does not seem heavier."""
GRAVITY_RANGE_M_S2 = (5.0, 16.0)

LEG_MOVES_RAD_S, LEG_SWINGS_RAD_S = 0.5, 2.0
SWUNG_S, UPRIGHT_S = 30.0, 30.0
"""So long a foot may read loaded while its leg swings, or unloaded while the robot is upright and the leg moves."""
UPRIGHT_Z, ON_BACK_Z = 0.8, -0.7
"""Of the world's up in base_link."""

UNLOADED_S = 1.0
UNLOADED_DEVIATION_N = 5.0
SMALLEST_OFFSET_N, LARGEST_OFFSET_N = 3.0, 300.0
"""Less is noise, and more is no offset of a sensor that works."""


class RatioCheck:
    """Compares what velocities promise with what angles did, element by element."""

    def __init__(self, names: Sequence[str], unit: str):
        self._names, self._unit = tuple(names), unit
        self._promised = np.zeros(len(names))
        self._square = np.zeros(len(names))
        self._count = np.zeros(len(names), int)

    def add(self, promised_rad: np.ndarray, changed_rad: np.ndarray) -> str | None:
        """Takes in one interval, both `[names]`; what is wrong by then, in words."""
        certain = np.abs(changed_rad) > CERTAIN_CHANGE_RAD
        if not certain.any():
            return None
        self._promised += np.where(certain, promised_rad * changed_rad, 0.0)
        self._square += np.where(certain, changed_rad * changed_rad, 0.0)
        self._count += certain
        judged = self._count >= CERTAIN_CHANGES
        if not judged.any():
            return None
        ratio = np.divide(self._promised, self._square, out=np.ones(len(judged)), where=judged)
        wrong = np.flatnonzero(judged & ~((ratio > SMALLEST_RATIO) & (ratio < LARGEST_RATIO)))
        for sums in (self._promised, self._square, self._count):
            sums[judged] = 0
        if not wrong.size:
            return None
        name = self._names[wrong[0]] + (f" and {wrong.size - 1} more" if wrong.size > 1 else "")
        typical = float(np.median(ratio[wrong]))
        return f"{self._unit} of {name} is {typical:.2g} times what its angle does: {ratio_words(typical)}"


def ratio_words(ratio: float) -> str:
    """What a velocity that is `ratio` times the right one probably is."""
    if abs(ratio) < SMALLEST_RATIO:
        return "it stays near zero, is in turns or kilo-units, or is of another robot: two publish on that topic"
    sign = "the sign is wrong" if ratio < 0 else ""
    unit = next(
        (
            words
            for factor, words in ((math.degrees(1.0), "degrees a second"), (60 / math.tau, "turns a minute"))
            if 0.7 < abs(ratio) / factor < 1.4
        ),
        "" if sign and abs(ratio) < LARGEST_RATIO else "another unit",
    )
    return " and ".join(filter(None, (sign, unit and f"it is in {unit}"))) + "; rad/s is wanted"


@dataclasses.dataclass(frozen=True)
class Remark:
    """Something about the sensors that an operator should know.

    Attributes:
      kind: the same for the same fault.
      text: names cause and cure.
    """

    kind: str
    text: str


class SensorWatch:
    """Looks at every measurement of a live robot. Not thread-safe.

    Attributes:
      unloaded_n: `[feet]`, what each foot reads in the air; subtracted by `feet`.
    """

    def __init__(self, spec: RobotSpec, robot: Embodiment, unloaded_n: Sequence[float] = ()):
        """`unloaded_n` is what is known of the feet, one for each or one for all; empty if they are to be measured."""
        self._spec, self._sensing = spec, robot.foot_sensing
        self._has_joints = robot.has(JOINT_POSITION, JOINT_VELOCITY)
        self._has_orientation = robot.has(ORIENTATION)
        self._has_gyroscope = robot.has(ORIENTATION, ANGULAR_VELOCITY)
        self._has_accelerometer = robot.has(LINEAR_ACCELERATION)
        self._has_feet = robot.foot_sensing is not None and robot.has(FOOT_FORCE, ORIENTATION, JOINT_VELOCITY)
        feet = len(spec.foot_names)
        self._given = len(unloaded_n) > 0
        self.unloaded_n = np.zeros(feet)
        self.unloaded_n[:] = unloaded_n if self._given else 0.0
        self._joints = RatioCheck(spec.joint_names, "the velocity")
        # A robot on wheels neither rolls nor pitches: what its angles do there is noise, which no velocity promises.
        self._turns = slice(2, 3) if robot.setpoint_kind == "twist" else slice(3)
        self._gyroscope = RatioCheck(("x", "y", "z")[self._turns], "the IMU's angular velocity")
        self._legs = [_joints_of(foot, spec.joint_names) for foot in spec.foot_names]
        self._swung_s, self._upright_s = np.zeros(feet), np.zeros(feet)
        self._norm_m_s2, self._norm_s = GRAVITY_M_S2, 0.0
        self._unloaded: list[np.ndarray] = []
        self._unloaded_since_s = math.inf
        self._last: tuple[Measurement, np.ndarray] | None = None

    def feet(self, force_n: np.ndarray) -> np.ndarray:
        """`[feet]` without what they read in the air."""
        return force_n - self.unloaded_n if self.unloaded_n.any() else force_n

    def look(self, measurement: Measurement) -> list[Remark]:
        """What is newly noticed; `measurement` has the feet as `feet` has left them."""
        rotation = rotation_matrix(measurement[ORIENTATION]) if self._has_orientation else np.eye(3)
        last, self._last = self._last, (measurement, rotation)
        if last is None:
            return []
        elapsed_s = measurement.time_s - last[0].time_s
        if not SHORTEST_S <= elapsed_s <= LONGEST_S:
            if elapsed_s > LONGEST_S:
                self._unloaded_since_s = math.inf
            return []
        remarks = self._look_at_velocities(elapsed_s, *last, measurement, rotation)
        if self._has_accelerometer:
            remarks += self._look_at_gravity(elapsed_s, measurement)
        if self._has_feet:
            remarks += self._look_at_feet(elapsed_s, measurement, float(rotation[2, 2]))
        return remarks

    def _look_at_velocities(
        self, elapsed_s: float, last: Measurement, last_rotation: np.ndarray, now: Measurement, rotation: np.ndarray
    ) -> list[Remark]:
        found = []
        if self._has_joints:
            promised = (last[JOINT_VELOCITY] + now[JOINT_VELOCITY]) * (elapsed_s / 2)
            if text := self._joints.add(promised, now[JOINT_POSITION] - last[JOINT_POSITION]):
                found.append(Remark("joint_velocity_unit", f"In joint_states {text}."))
        if not self._has_gyroscope:
            return found
        turned = last_rotation.T @ rotation
        angle = np.array((turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0], turned[1, 0] - turned[0, 1])) / 2
        promised = (last[ANGULAR_VELOCITY] + now[ANGULAR_VELOCITY]) * (elapsed_s / 2)
        if text := self._gyroscope.add(promised[self._turns], angle[self._turns]):
            found.append(Remark("gyroscope_unit", f"In imu/data {text}."))
        return found

    def _look_at_gravity(self, elapsed_s: float, measurement: Measurement) -> list[Remark]:
        norm = min(math.hypot(*measurement[LINEAR_ACCELERATION].tolist()), LARGEST_NORM_M_S2)
        self._norm_m_s2 += (1.0 - math.exp(-elapsed_s / GRAVITY_WINDOW_S)) * (norm - self._norm_m_s2)
        wrong = not GRAVITY_RANGE_M_S2[0] < self._norm_m_s2 < GRAVITY_RANGE_M_S2[1]
        self._norm_s = self._norm_s + elapsed_s if wrong else 0.0
        if self._norm_s < GRAVITY_CERTAIN_S:
            return []
        self._norm_s = 0.0
        return [Remark("accelerometer_unit", f"In imu/data {gravity_words(self._norm_m_s2)}.")]

    def _look_at_feet(self, elapsed_s: float, measurement: Measurement, up_z: float) -> list[Remark]:
        found = []
        speeds = np.abs(measurement[JOINT_VELOCITY])
        fastest = np.array([speeds[joints].max(initial=0.0) for joints in self._legs])
        loaded = measurement[FOOT_FORCE] > self._sensing.contact_n
        self._swung_s = np.where(loaded, self._swung_s + elapsed_s * (fastest > LEG_SWINGS_RAD_S), 0.0)
        tried = (fastest > LEG_MOVES_RAD_S) & (up_z > UPRIGHT_Z)
        self._upright_s = np.where(loaded, 0.0, self._upright_s + elapsed_s * tried)
        if text := self._named(self._swung_s > SWUNG_S):
            found.append(
                Remark(
                    "foot_always_loaded",
                    f"{text} has read more than {self._sensing.contact_n:.0f} N for {SWUNG_S:.0f} s in which its leg "
                    "swung: an offset? Leg odometry and reward take it for standing. Lift it and look at "
                    "foot_contacts, then set foot_force_unloaded_n.",
                )
            )
            self._swung_s[:] = 0.0
        if text := self._named(self._upright_s > UPRIGHT_S):
            found.append(
                Remark(
                    "foot_never_loaded",
                    f"{text} has not read {self._sensing.contact_n:.0f} N once in {UPRIGHT_S:.0f} s of an upright, "
                    "moving robot: a dead sensor, or newton_per_foot_force too small? Leg odometry goes without it.",
                )
            )
            self._upright_s[:] = 0.0
        if up_z < ON_BACK_Z and speeds.max(initial=0.0) < LEG_SWINGS_RAD_S:
            found += self._measure_unloaded(measurement)
        else:
            self._unloaded_since_s = math.inf
        return found

    def _measure_unloaded(self, measurement: Measurement) -> list[Remark]:
        """On its back the robot's feet are in the air."""
        if math.isinf(self._unloaded_since_s):
            self._unloaded_since_s, self._unloaded = measurement.time_s, []
        self._unloaded.append(measurement[FOOT_FORCE])
        if measurement.time_s - self._unloaded_since_s < UNLOADED_S:
            return []
        self._unloaded_since_s = math.inf
        forces_n = np.array(self._unloaded)
        offset_n = np.median(forces_n, 0)
        steady = np.ptp(forces_n, axis=0) < 2 * UNLOADED_DEVIATION_N
        wrong = steady & (np.abs(offset_n) > SMALLEST_OFFSET_N) & (np.abs(offset_n) < LARGEST_OFFSET_N)
        if not wrong.any():
            return []
        reads = ", ".join(f"{force:.1f}" for force in offset_n + self.unloaded_n)
        if self._given:
            given = ", ".join(f"{force:g}" for force in self.unloaded_n)
            return [
                Remark(
                    "foot_offset",
                    f"On its back the robot's feet read [{reads}] N, but foot_force_unloaded_n is [{given}]: set it "
                    "anew.",
                )
            ]
        self.unloaded_n = self.unloaded_n + np.where(wrong, offset_n, 0.0)
        return [
            Remark(
                "foot_offset",
                f"On its back the robot's feet read [{reads}] N, which is taken for their zero from now on; set "
                "foot_force_unloaded_n to that, so that it holds from the start.",
            )
        ]

    def _named(self, which: np.ndarray) -> str:
        return ", ".join(name for name, hit in zip(self._spec.foot_names, which, strict=True) if hit)


def gravity_words(norm_m_s2: float) -> str:
    """What an accelerometer that feels `norm_m_s2` on average probably reports."""
    if abs(norm_m_s2 - 1.0) < 0.3:
        cause = "it is in g; multiply by 9.81"
    elif norm_m_s2 < GRAVITY_RANGE_M_S2[0]:
        cause = "gravity has been taken out, or it is in another unit"
    else:
        cause = "it is in another unit"
    return f"the acceleration is {norm_m_s2:.2f} on average, and 9.81 m/s² is gravity: {cause}"


def _joints_of(foot: str, joints: Sequence[str]) -> list[int]:
    """Indices of the joints of a foot's leg, which share the name's beginning; of all, if none does."""
    leg = foot.split("_")[0] + "_"
    return [index for index, name in enumerate(joints) if name.startswith(leg)] or list(range(len(joints)))
