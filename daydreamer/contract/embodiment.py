"""One robot: what it senses, what it can be told, and what keeps it whole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from daydreamer.contract.limits import JointLimits, Limits
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, ODOMETRY_TWIST, Measurement, Signal
from daydreamer.errors import UserError

SetpointKind = Literal["joint_position", "twist"]
"""What a robot is told: targets `[joints]` in rad, or forward speed in m/s and turn rate in rad/s `[2]`."""

MEASURED: Mapping[SetpointKind, str] = {"joint_position": JOINT_POSITION, "twist": ODOMETRY_TWIST}
"""By kind, the signal that says where the robot is in units of its setpoints."""

SAFETY_RATE_HZ = 20.0
"""How often a robot is watched and told again what to do, at least; its policy may choose less often."""


@dataclasses.dataclass(frozen=True)
class FootSensing:
    """What is to be expected of a robot's foot sensors.

    Attributes:
      contact_n: a foot that reads more counts as standing.
      weight_n: of the robot, which its feet carry together.
    """

    contact_n: float
    weight_n: float


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """What the robot is told.

    Attributes:
      setpoint: `[setpoint]`; NaN where joints are damped, 0 where wheels are braked.
      flags: bits of `daydreamer.safety.flags.SAFETY_FLAGS`.
      relaxes: the robot is to let go, as its kind of setpoint allows: damp joints, brake wheels.
    """

    setpoint: np.ndarray
    flags: int
    relaxes: bool = False


class Guard(Protocol):
    """The last word on what a robot is told. Not thread-safe.

    Attributes:
      has_setpoint: whether there is something to hold.
      setpoint: `[setpoint]`, what `hold` tells. Only when `has_setpoint`.
      interventions: commands that carried a safety flag.
      counts: commands by the name of each safety flag they carried.
    """

    interventions: int
    counts: dict[str, int]

    @property
    def has_setpoint(self) -> bool: ...

    @property
    def setpoint(self) -> np.ndarray: ...

    def forget(self) -> None:
        """The robot may have moved without being told; the next command departs from where it is."""

    def inside(self, setpoint: np.ndarray) -> np.ndarray:
        """The nearest setpoint within the limits."""

    def depart(self, measured: np.ndarray) -> None:
        """The next command departs from here, which is finite."""

    def command(self, requested: np.ndarray, measured: np.ndarray) -> Command:
        """The nearest command to a request, which may be anything, even not finite.

        Args:
          requested: `[setpoint]`.
          measured: `[setpoint]`, where the robot is, finite.
        """

    def follow(self, setpoint: np.ndarray, measured: np.ndarray) -> Command:
        """Like `command`, for a path that is smooth by itself."""

    def hold(self, flags: int = 0) -> Command:
        """Keeps the robot where it is told to be. Only when `has_setpoint`."""

    def relax(self, flags: int = 0) -> Command:
        """Lets go; the next command departs from where the robot is then."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """How far something is from being wrong.

    Attributes:
      wrong: whether it is.
      value, threshold: what was compared.
      subject: name of the joint, or of the quantity; or in words what it does, as "the camera's pictures are black".
      cure: a sentence for the operator, where the robot's folder knows better than "see to it".
    """

    wrong: bool
    value: float
    threshold: float
    subject: str
    cure: str = ""


class PlausibilityCheck(Protocol):
    """Whether what a robot says of itself can be. Looks once at every new measurement."""

    def forget(self) -> None:
        """Begins anew, as after a gap."""

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """Takes in a measurement.

        Args:
          elapsed_s: by which it is newer than the last; 0 for the first.
          measurement: finite.
          commanded: `[setpoint]`, what the robot is told; None where it is relaxed.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Embodiment:
    """A robot, whatever it does.

    Attributes:
      name: of its folder.
      signals: what it senses, by name.
      setpoint_kind: of what it is told.
      setpoint_names: of the elements of what it is told; for joint positions the joints, as in the specification.
      limits: never exceeded.
      make_guard: the guard of `limits`, for a low-pass cutoff and the rate of commands, both in Hz.
      poses: setpoints `[setpoint]` by name; 'rest' is where the robot may be left. Every activation moves it to one of
        them first; a robot without poses starts from where it is.
      safety_rate_hz: how often the robot is watched and told again what to do, if its policy chooses less often.
      make_checks: the robot's own plausibility checks, beside those that follow from its signals; each gets the
        session's safety settings.
      foot_sensing: None for a robot without feet.
      joint_velocity_reported: False where the robot's driver reports none, or in another unit: over ROS 2 joint
        velocities are then made of the angles' changes, whatever it says.
    """

    name: str
    signals: Mapping[str, Signal]
    setpoint_kind: SetpointKind
    setpoint_names: tuple[str, ...]
    limits: Limits
    make_guard: Callable[[Any, float, float], Guard]
    poses: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    safety_rate_hz: float = SAFETY_RATE_HZ
    make_checks: Callable[[Any], Sequence[PlausibilityCheck]] = lambda config: ()
    foot_sensing: FootSensing | None = None
    joint_velocity_reported: bool = True

    def __post_init__(self) -> None:
        """Raises UserError for a robot that cannot be kept safe."""
        if self.safety_rate_hz < SAFETY_RATE_HZ:
            raise UserError(
                f"Robot '{self.name}' would be watched {self.safety_rate_hz:g} times a second; 20 is the least."
            )
        if isinstance(self.limits, JointLimits) != (self.setpoint_kind == "joint_position"):
            raise UserError(f"Robot '{self.name}' is told '{self.setpoint_kind}', which its limits are not of.")
        if isinstance(self.limits, JointLimits) and not self.has(JOINT_POSITION, JOINT_VELOCITY):
            raise UserError(
                f"Robot '{self.name}' is told where its joints are to be, so it must sense {JOINT_POSITION} and "
                f"{JOINT_VELOCITY}."
            )

    @property
    def cameras(self) -> dict[str, Signal]:
        """The signals that are pictures."""
        return {name: signal for name, signal in self.signals.items() if signal.is_image}

    def has(self, *names: str) -> bool:
        """Whether it has all of these signals."""
        return all(name in self.signals for name in names)

    def measured_setpoint(self, measurement: Measurement) -> np.ndarray:
        """Where the robot is, in units of its setpoints `[setpoint]`; zeros where it does not say."""
        measured = measurement.get(MEASURED[self.setpoint_kind])
        return np.zeros(len(self.setpoint_names)) if measured is None else measured

    def ticks_per_step(self, control_rate_hz: float) -> int:
        """How often the robot is watched and told what to do for each choice of its policy."""
        return max(1, math.ceil(self.safety_rate_hz / control_rate_hz - 1e-9))
