"""How soon a robot feels what is done about an incident, seen from its driver."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from sim.incidents import Incident

HOLD_TOLERANCE_RAD = 1e-9
"""Two commands in a row that differ by no more hold the pose; a filtered policy never repeats itself so exactly."""


@dataclasses.dataclass
class Reaction:
    """Times in s from the beginning of the incident; infinite if it did not happen before its end.

    Attributes:
      incident: it belongs to.
      held_s: the first command arrived that repeats the one before.
      damping_command_s: the first damping command arrived.
      driver_damped_s: the driver was first without a target, told so or by its timeout; 0 if it already was.
    """

    incident: Incident
    held_s: float = math.inf
    damping_command_s: float = math.inf
    driver_damped_s: float = math.inf

    def as_fields(self) -> dict[str, float | None]:
        """For an event; None where it did not happen."""
        values = dataclasses.asdict(self)
        del values["incident"]
        return {name: None if math.isinf(value) else round(value, 4) for name, value in values.items()}


class ReactionClock:
    """Times the reactions to the incidents under way. The caller brings the clock, that of the incidents."""

    def __init__(self) -> None:
        self._reactions: list[Reaction] = []  # two incidents that are alike may be under way at once
        self._previous_rad: np.ndarray | None = None

    def begin(self, incident: Incident) -> None:
        self._reactions.append(Reaction(incident))

    def end(self, incident: Incident) -> Reaction:
        place = next(place for place, reaction in enumerate(self._reactions) if reaction.incident == incident)
        return self._reactions.pop(place)

    def command(self, target_rad: np.ndarray | None, time_s: float) -> None:
        """A command has arrived at the driver; None damps."""
        previous_rad, self._previous_rad = self._previous_rad, target_rad
        repeats = target_rad is not None and previous_rad is not None
        repeats = repeats and bool(np.abs(target_rad - previous_rad).max() <= HOLD_TOLERANCE_RAD)
        for reaction in self._reactions:
            elapsed_s = time_s - reaction.incident.start_s
            if target_rad is None:
                reaction.damping_command_s = min(reaction.damping_command_s, elapsed_s)
            elif repeats:
                reaction.held_s = min(reaction.held_s, elapsed_s)

    def driver_damps(self, time_s: float) -> None:
        """The driver has no target."""
        for reaction in self._reactions:
            reaction.driver_damped_s = min(reaction.driver_damped_s, time_s - reaction.incident.start_s)
