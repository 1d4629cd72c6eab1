"""Scripted and random incidents: what goes wrong with a robot, done to its twin.

    player = IncidentPlayer(twin, seed)
    while True:
        for change in player.update(twin.time_s): ...  # an incident has begun or ended
        twin.advance(0.01)

Physics, motors and sensors are changed in the twin itself; messages go through `player.to_robot` and
`player.from_robot`, and `sim.rehearsal.measure` adds what the driver's software gets wrong. To the kinds that every
robot knows a robot's description adds its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from daydreamer.config import IncidentConfig
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY
from daydreamer.errors import UserError
from sim.description import IncidentKind
from sim.link import Link
from sim.twin import Twin

_STREAM = 2
"""Incidents have a random stream of their own, as randomisation does."""

AMBIENT_C = 40.0
"""What a motor's temperature sensor says in normal operation."""

TILT_TIME_CONSTANT_S = 0.5
"""Of the filter that makes an orientation of gyroscope and accelerometer: a gyroscope's bias tilts it by the bias
times this."""

_TARGETS_OF = {"": 0, "joint": 1, "two joints": 2}
"""How many targets a kind has by `IncidentKind.target`; one where it is none of these."""

ORIENTATION, GYROSCOPE = "orientation_wxyz", "angular_velocity_rad_s"
"""Signals that an `imu_bias` falsifies."""

KINDS: dict[str, IncidentKind] = {
    "dropped_messages": IncidentKind(
        "every message, either way, is lost with this probability", magnitude=(0.3, 0.8, 0.95)
    ),
    "delayed_messages": IncidentKind("every message, either way, takes this many s more", magnitude=(0.05, 0.3, 0.4)),
    "network_stall": IncidentKind("no message gets through", duration_s=(0.1, 0.3, 1.5)),
    "state_stops": IncidentKind("the robot's state is not sent any more; commands do arrive"),
    "state_not_finite": IncidentKind(
        "a joint's measured velocity is NaN", target="joint", duration_s=(0.05, 0.5, 1.0), signals=(JOINT_VELOCITY,)
    ),
    "frozen_encoder": IncidentKind(
        "an encoder, which the motor loop uses too, stands still", target="joint", signals=(JOINT_POSITION,)
    ),
    "swapped_joint_names": IncidentKind(
        "joint_states calls each of two joints by the other's name; commands go where they should",
        target="two joints",
        signals=(JOINT_POSITION, JOINT_VELOCITY),
    ),
    "imu_bias": IncidentKind(
        "the gyroscope reads this many rad/s too much about x, and the orientation is tilted accordingly",
        magnitude=(0.2, 1.0, 2.0),
        signals=(ORIENTATION, GYROSCOPE),
    ),
    "motor_over_temperature": IncidentKind(
        "a motor's temperature rises to this many degrees Celsius", target="joint", magnitude=(90.0, 100.0, 110.0)
    ),
    "driver_without_timeout": IncidentKind("the driver holds its last command for ever", duration_s=(2.0, 5.0, 10.0)),
    "push": IncidentKind(
        "a sideways force of this many N on the base", duration_s=(0.1, 0.2, 0.3), magnitude=(50.0, 150.0, 250.0)
    ),
}
"""What may happen to every robot that has the signals and joints for it."""


def kinds_of(twin: Twin) -> dict[str, IncidentKind]:
    """What may happen to this robot, by name: its own kinds come last."""
    signals, joints = twin.biases.keys(), len(twin.joint_names)
    shared = {
        name: kind
        for name, kind in KINDS.items()
        if signals >= set(kind.signals) and _TARGETS_OF.get(kind.target, 0) <= joints
    }
    return shared | dict(twin.description.incidents)


@dataclasses.dataclass(frozen=True)
class Incident:
    """One occurrence; times on the player's clock. `target` names what it happens to, or is empty."""

    kind: str
    start_s: float
    duration_s: float
    magnitude: float
    target: str

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


@dataclasses.dataclass(frozen=True)
class IncidentChange:
    """An incident began or ended."""

    incident: Incident
    began: bool


class IncidentPlayer:
    """Makes incidents happen to a twin. Not thread-safe.

    Attributes:
      to_robot, from_robot: the paths of commands and states.
      temperature_c: `[motors]`, what the motors' sensors say.
      active: incidents under way.
    """

    def __init__(
        self,
        twin: Twin,
        seed: int,
        script: Sequence[IncidentConfig] = (),
        random_per_minute: float = 0.0,
        kinds: Sequence[str] | None = None,
    ):
        """Nothing has happened yet; the clock begins at 0.

        Args:
          twin: it happens to.
          seed: of what the script leaves open, of random incidents, and of which messages are lost.
          script: incidents in any order; they may overlap.
          random_per_minute: mean rate of random ones, which come one at a time.
          kinds: of the random ones; None for all that may happen to this robot.

        Raises:
          UserError: a kind or a target does not exist, or a value is not usable.
        """
        if not random_per_minute >= 0:
            raise UserError(f"twin.random_incidents_per_minute={random_per_minute} cannot be a rate; choose 0 or more.")
        self._random = np.random.default_rng((seed, _STREAM))
        self._twin = twin
        self._random_per_minute = random_per_minute
        self._kinds = kinds_of(twin)
        self._random_kinds = tuple(self._kinds if kinds is None else kinds)
        self._joints = twin.joint_names
        self._waiting = sorted((self._make(config) for config in script), key=lambda incident: incident.start_s)
        self._strength = twin.driver.strength.copy()
        self._push_direction = np.zeros(3)
        self._frozen_at_rad: dict[Incident, np.ndarray] = {}
        self.to_robot, self.from_robot = Link(self._random), Link(self._random)
        self.temperature_c = np.full(len(self._joints), AMBIENT_C)
        self.active: list[Incident] = []
        self._next_random = self._draw(0.0) if random_per_minute else None

    def update(self, time_s: float) -> list[IncidentChange]:
        """Begins and ends what is due at `time_s`; call at least every few ms of the robot's time."""
        changes = [IncidentChange(incident, False) for incident in self.active if incident.end_s <= time_s]
        self.active = [incident for incident in self.active if incident.end_s > time_s]
        while self._waiting and self._waiting[0].start_s <= time_s:
            self._begin(self._waiting.pop(0), changes)
        while self._next_random and self._next_random.start_s <= time_s:
            incident, self._next_random = self._next_random, self._draw(self._next_random.end_s)
            self._begin(incident, changes)
        if changes:
            self._apply()
        return changes

    @property
    def joint_order(self) -> np.ndarray:
        """`[joints]`: under the name of joint i the state of joint `joint_order[i]` is published."""
        order = np.arange(len(self._joints))
        for incident in self.active:
            if incident.kind == "swapped_joint_names":
                first, second = (self._joints.index(name) for name in incident.target.split())
                order[[first, second]] = order[[second, first]]
        return order

    @property
    def not_finite(self) -> np.ndarray:
        """Indices of the joints whose measured velocity is NaN."""
        return self._indices("state_not_finite")

    def _indices(self, kind: str) -> np.ndarray:
        targets = [incident.target for incident in self.active if incident.kind == kind]
        return np.array([i for i, name in enumerate(self._joints) if name in targets], int)

    def _begin(self, incident: Incident, changes: list[IncidentChange]) -> None:
        self.active.append(incident)
        changes.append(IncidentChange(incident, True))
        if incident.kind == "frozen_encoder":
            self._frozen_at_rad[incident] = self._twin.read()[JOINT_POSITION]
        elif incident.kind == "push":
            heading = self._twin.truth().yaw_rad + math.pi / 2 * self._random.choice((-1, 1))
            self._push_direction = np.array((math.cos(heading), math.sin(heading), 0.0))

    def _apply(self) -> None:
        """The sum of all active incidents."""
        largest = dict.fromkeys([*KINDS, *self._kinds], 0.0)
        for incident in self.active:
            largest[incident.kind] = max(largest[incident.kind], incident.magnitude)
        kinds = {incident.kind for incident in self.active}
        for link in (self.to_robot, self.from_robot):
            link.drop_probability = largest["dropped_messages"]
            link.delay_s = largest["delayed_messages"]
            link.stalled = "network_stall" in kinds
        self.from_robot.stalled |= "state_stops" in kinds
        self._restore()
        twin = self._twin
        for incident in self.active:
            if incident.kind == "frozen_encoder":
                joint = self._joints.index(incident.target)
                twin.frozen_rad[joint] = self._frozen_at_rad[incident][joint]
        if "imu_bias" in kinds:
            twin.biases[GYROSCOPE][0] = largest["imu_bias"]
            twin.biases[ORIENTATION][0] = largest["imu_bias"] * TILT_TIME_CONSTANT_S
        self.temperature_c[self._indices("motor_over_temperature")] = largest["motor_over_temperature"]
        twin.driver.targets.never_times_out = "driver_without_timeout" in kinds
        twin.push(largest["push"] * self._push_direction)
        for incident in self.active:
            if (effect := self._kinds[incident.kind].effect) is not None:
                effect(twin, incident)

    def _restore(self) -> None:
        """Motors, encoders, biases and temperatures as they are without incidents."""
        self._twin.frozen_rad[:] = math.nan
        for bias in self._twin.biases.values():
            bias[:] = 0.0
        self._twin.driver.strength[:] = self._strength
        self.temperature_c[:] = AMBIENT_C

    def _make(self, config: IncidentConfig) -> Incident:
        if config.kind not in self._kinds:
            raise UserError(f"There is no incident '{config.kind}'; choose one of {', '.join(self._kinds)}.")
        kind = self._kinds[config.kind]
        duration_s = kind.duration_s[1] if config.duration_s is None else config.duration_s
        magnitude = kind.magnitude[1] if config.magnitude is None else config.magnitude
        if not (config.start_s >= 0 and duration_s > 0 and math.isfinite(magnitude)):
            raise UserError(f"The incident {config} cannot happen; give a start of 0 or later and a duration above 0.")
        if magnitude < 0.0 <= min(kind.magnitude):
            raise UserError(f"The magnitude of {config.kind} is {magnitude:g}, which does nothing; choose 0 or more.")
        if config.kind == "dropped_messages" and not 0 <= magnitude <= 1:
            raise UserError(f"The magnitude of dropped_messages is a probability, not {magnitude}; choose 0 to 1.")
        target = self._choose_target(kind) if config.target is None else config.target
        self._check_target(config.kind, kind, target)
        return Incident(config.kind, config.start_s, duration_s, magnitude, target)

    def _draw(self, after_s: float) -> Incident:
        """The next random incident, `after_s` at the earliest."""
        name = str(self._random.choice(self._random_kinds))
        kind = self._kinds[name]
        start_s = after_s + self._random.exponential(60.0 / self._random_per_minute)
        duration_s, magnitude = (
            float(self._random.uniform(low, high)) for low, _, high in (kind.duration_s, kind.magnitude)
        )
        return Incident(name, start_s, duration_s, magnitude, self._choose_target(kind))

    def _choose_target(self, kind: IncidentKind) -> str:
        count = _TARGETS_OF.get(kind.target, 1)
        return " ".join(self._random.choice(kind.targets or self._joints, count, replace=False)) if count else ""

    def _check_target(self, name: str, kind: IncidentKind, target: str) -> None:
        names = target.split()
        choices = kind.targets or self._joints
        count = _TARGETS_OF.get(kind.target, 1)
        if len(set(names)) != count or len(names) != count or not set(names) <= set(choices):
            needed = f"{kind.target} of {', '.join(choices)}" if kind.target else "no target"
            raise UserError(f"The incident {name} cannot happen to '{target}'; it takes {needed}.")
