"""Scripted and random incidents: what goes wrong with a robot, done to the twin.

    player = IncidentPlayer(twin, seed)
    while True:
        for change in player.update(twin.time_s): ...  # an incident has begun or ended
        twin.advance(0.01)

Physics, motors and sensors are changed in the twin itself; messages go through `player.to_robot` and
`player.from_robot`, and `sim.rehearsal.measure` adds what the driver's software gets wrong.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from daydreamer.config import IncidentConfig
from daydreamer.errors import UserError
from daydreamer.robots.quadruped.description import JOINT_NAMES, JOINTS, LEG_NAMES
from sim.link import Link
from sim.twin import Twin

_STREAM = 2
"""Incidents have a random stream of their own, as randomisation does."""

AMBIENT_C = 40.0
"""What a motor's temperature sensor says in normal operation."""

TILT_TIME_CONSTANT_S = 0.5
"""Of the filter that makes an orientation of gyroscope and accelerometer: a gyroscope's bias tilts it by the bias
times this."""


@dataclasses.dataclass(frozen=True)
class IncidentKind:
    """What can go wrong.

    Attributes:
      description: what it does, with the unit of the magnitude.
      target: what it happens to: 'joint', 'leg', 'two joints' or nothing.
      duration_s, magnitude: (lowest, usual, highest); random incidents lie between the ends, uniformly.
    """

    description: str
    target: str = ""
    duration_s: tuple[float, float, float] = (1.0, 2.0, 5.0)
    magnitude: tuple[float, float, float] = (0.0, 0.0, 0.0)


KINDS: dict[str, IncidentKind] = {
    "dropped_messages": IncidentKind(
        "every message, either way, is lost with this probability", magnitude=(0.3, 0.8, 0.95)
    ),
    "delayed_messages": IncidentKind("every message, either way, takes this many s more", magnitude=(0.05, 0.3, 0.4)),
    "network_stall": IncidentKind("no message gets through", duration_s=(0.1, 0.3, 1.5)),
    "state_stops": IncidentKind("the robot's state is not sent any more; commands do arrive"),
    "state_not_finite": IncidentKind("a joint's measured velocity is NaN", target="joint", duration_s=(0.05, 0.5, 1.0)),
    "frozen_encoder": IncidentKind("an encoder, which the motor loop uses too, stands still", target="joint"),
    "swapped_joint_names": IncidentKind(
        "joint_states calls each of two joints by the other's name; commands go where they should", target="two joints"
    ),
    "imu_bias": IncidentKind(
        "the gyroscope reads this many rad/s too much about x, and the orientation is tilted accordingly",
        magnitude=(0.2, 1.0, 2.0),
    ),
    "motor_over_temperature": IncidentKind(
        "a motor's temperature rises to this many degrees Celsius", target="joint", magnitude=(90.0, 100.0, 110.0)
    ),
    "driver_without_timeout": IncidentKind("the driver holds its last command for ever", duration_s=(2.0, 5.0, 10.0)),
    "push": IncidentKind(
        "a sideways force of this many N on the trunk", duration_s=(0.1, 0.2, 0.3), magnitude=(50.0, 150.0, 250.0)
    ),
    "leg_stops": IncidentKind("the three motors of a leg give no torque", target="leg"),
}


@dataclasses.dataclass(frozen=True)
class Incident:
    """One occurrence; times on the player's clock. `target` names joints or a leg, or is empty."""

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
      temperature_c: `[12]`, what the motors' sensors say.
      active: incidents under way.
    """

    def __init__(
        self,
        twin: Twin,
        seed: int,
        script: Sequence[IncidentConfig] = (),
        random_per_minute: float = 0.0,
        kinds: Sequence[str] = tuple(KINDS),
    ):
        """Nothing has happened yet; the clock begins at 0.

        Args:
          twin: it happens to.
          seed: of what the script leaves open, of random incidents, and of which messages are lost.
          script: incidents in any order; they may overlap.
          random_per_minute: mean rate of random ones, which come one at a time.
          kinds: of the random ones.

        Raises:
          UserError: a kind or a target does not exist, or a value is not usable.
        """
        if not random_per_minute >= 0:
            raise UserError(f"twin.random_incidents_per_minute={random_per_minute} cannot be a rate; choose 0 or more.")
        self._random = np.random.default_rng((seed, _STREAM))
        self._twin = twin
        self._random_per_minute = random_per_minute
        self._kinds = tuple(kinds)
        self._waiting = sorted((self._make(config) for config in script), key=lambda incident: incident.start_s)
        self._strength = twin.driver.strength.copy()
        self._push_direction = np.zeros(3)
        self._frozen_at_rad: dict[Incident, np.ndarray] = {}
        self.to_robot, self.from_robot = Link(self._random), Link(self._random)
        self.temperature_c = np.full(JOINTS, AMBIENT_C)
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
        """`[12]`: under the name of joint i the state of joint `joint_order[i]` is published."""
        order = np.arange(JOINTS)
        for incident in self.active:
            if incident.kind == "swapped_joint_names":
                first, second = (JOINT_NAMES.index(name) for name in incident.target.split())
                order[[first, second]] = order[[second, first]]
        return order

    @property
    def not_finite(self) -> np.ndarray:
        """Indices of the joints whose measured velocity is NaN."""
        return self._indices("state_not_finite")

    def _indices(self, kind: str) -> np.ndarray:
        targets = [incident.target for incident in self.active if incident.kind == kind]
        return np.array([i for i, name in enumerate(JOINT_NAMES) if name in targets or name[:2] in targets], int)

    def _begin(self, incident: Incident, changes: list[IncidentChange]) -> None:
        self.active.append(incident)
        changes.append(IncidentChange(incident, True))
        if incident.kind == "frozen_encoder":
            self._frozen_at_rad[incident] = self._twin.measure().joint_position_rad
        elif incident.kind == "push":
            heading = self._twin.truth().yaw_rad + math.pi / 2 * self._random.choice((-1, 1))
            self._push_direction = np.array((math.cos(heading), math.sin(heading), 0.0))

    def _apply(self) -> None:
        """The sum of all active incidents."""
        largest = {kind: 0.0 for kind in KINDS}
        for incident in self.active:
            largest[incident.kind] = max(largest[incident.kind], incident.magnitude)
        kinds = {incident.kind for incident in self.active}
        for link in (self.to_robot, self.from_robot):
            link.drop_probability = largest["dropped_messages"]
            link.delay_s = largest["delayed_messages"]
            link.stalled = "network_stall" in kinds
        self.from_robot.stalled |= "state_stops" in kinds
        twin = self._twin
        twin.frozen_rad[:] = math.nan
        for incident in self.active:
            if incident.kind == "frozen_encoder":
                joint = JOINT_NAMES.index(incident.target)
                twin.frozen_rad[joint] = self._frozen_at_rad[incident][joint]
        bias_rad_s = largest["imu_bias"]
        twin.gyroscope_bias_rad_s[:] = (bias_rad_s, 0.0, 0.0)
        twin.orientation_bias_rad[:] = (bias_rad_s * TILT_TIME_CONSTANT_S, 0.0, 0.0)
        self.temperature_c[:] = AMBIENT_C
        self.temperature_c[self._indices("motor_over_temperature")] = largest["motor_over_temperature"]
        twin.driver.targets.never_times_out = "driver_without_timeout" in kinds
        twin.driver.strength[:] = self._strength
        twin.driver.strength[self._indices("leg_stops")] = 0.0
        twin.push(largest["push"] * self._push_direction)

    def _make(self, config: IncidentConfig) -> Incident:
        kind = find_kind(config.kind)
        duration_s = kind.duration_s[1] if config.duration_s is None else config.duration_s
        magnitude = kind.magnitude[1] if config.magnitude is None else config.magnitude
        if not (config.start_s >= 0 and duration_s > 0 and math.isfinite(magnitude)):
            raise UserError(f"The incident {config} cannot happen; give a start of 0 or later and a duration above 0.")
        if config.kind == "dropped_messages" and not 0 <= magnitude <= 1:
            raise UserError(f"The magnitude of dropped_messages is a probability, not {magnitude}; choose 0 to 1.")
        target = self._choose_target(kind.target) if config.target is None else config.target
        _check_target(config.kind, kind.target, target)
        return Incident(config.kind, config.start_s, duration_s, magnitude, target)

    def _draw(self, after_s: float) -> Incident:
        """The next random incident, `after_s` at the earliest."""
        name = str(self._random.choice(self._kinds))
        kind = KINDS[name]
        start_s = after_s + self._random.exponential(60.0 / self._random_per_minute)
        duration_s, magnitude = (
            float(self._random.uniform(low, high)) for low, _, high in (kind.duration_s, kind.magnitude)
        )
        return Incident(name, start_s, duration_s, magnitude, self._choose_target(kind.target))

    def _choose_target(self, kind: str) -> str:
        choices = LEG_NAMES if kind == "leg" else JOINT_NAMES
        count = {"": 0, "two joints": 2}.get(kind, 1)
        return " ".join(self._random.choice(choices, count, replace=False))


def find_kind(name: str) -> IncidentKind:
    """Entry of `KINDS`.

    Raises:
      UserError: there is no such kind; lists those there are.
    """
    if name not in KINDS:
        raise UserError(f"There is no incident '{name}'; choose one of {', '.join(KINDS)}.")
    return KINDS[name]


def _check_target(kind: str, wanted: str, target: str) -> None:
    names = target.split()
    choices = {"leg": LEG_NAMES, "": ()}.get(wanted, JOINT_NAMES)
    count = {"": 0, "two joints": 2}.get(wanted, 1)
    if len(set(names)) != count or len(names) != count or not set(names) <= set(choices):
        needed = f"{wanted} of {', '.join(choices)}" if wanted else "no target"
        raise UserError(f"The incident {kind} cannot happen to '{target}'; it takes {needed}.")
