"""An incident and what the safety supervisor makes of it, in simulated time and without ROS.

The control loop is the robot's own; a policy that its description brings takes the place of the learned one. States
travel to it at the twin's rate, commands back, both through the links of an `IncidentPlayer`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import msgspec
import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import IncidentConfig, SessionConfig
from daydreamer.contract.embodiment import Command
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, TEMPERATURE, Measurement
from daydreamer.errors import UserError
from daydreamer.robots.registry import find_robot, make_task
from sim.description import RehearsalPolicy
from sim.incidents import Incident, IncidentPlayer
from sim.twin import Twin

SETTLE_S = 1.0
"""From the start to the incident at the earliest: the supervisor ramps to the policy's pose, and runs."""


@dataclasses.dataclass
class Rehearsed:
    """What happened; times in s on the simulated clock.

    Attributes:
      incident: as it was played.
      states: of the supervisor, (time, name, cause), each from its beginning.
      watchdogs: (time, name) of each that was raised.
      commands: (time, command) that left the control loop; None where nothing was sent.
      damped_s: when the driver was without a target, for whatever reason, at the twin's rate.
      lowest_up_z, lowest_height_m: of the base, from the incident on.
    """

    incident: Incident
    states: list[tuple[float, str, str]] = dataclasses.field(default_factory=list)
    watchdogs: list[tuple[float, str]] = dataclasses.field(default_factory=list)
    commands: list[tuple[float, Command | None]] = dataclasses.field(default_factory=list)
    damped_s: list[float] = dataclasses.field(default_factory=list)
    lowest_up_z: float = 1.0
    lowest_height_m: float = np.inf

    @property
    def reaction_s(self) -> float | None:
        """From the incident to the first command that the policy did not choose; None if the policy kept on."""
        return next((t - self.incident.start_s for t, state, _ in self._later_states if state != "running"), None)

    @property
    def noticed(self) -> list[tuple[float, str]]:
        """Watchdogs that were raised from the incident on, with the time since its beginning."""
        return [(t - self.incident.start_s, name) for t, name in self.watchdogs if t >= self.incident.start_s]

    @property
    def damping_s(self) -> float | None:
        """From the incident until the motors are damped, by the supervisor or by the driver; None if they never are."""
        return next((t - self.incident.start_s for t in self.damped_s if t >= self.incident.start_s), None)

    @property
    def reactions(self) -> list[str]:
        """States of the supervisor from the incident on, with their causes, as 'holding: state_stale'."""
        return [f"{state}: {cause}" for _, state, cause in self._later_states]

    @property
    def state_at_end(self) -> str:
        return self.states[-1][1]

    @property
    def _later_states(self) -> list[tuple[float, str, str]]:
        return [entry for entry in self.states if entry[0] >= self.incident.start_s]


def rehearse(
    incident: IncidentConfig,
    *,
    seconds: float,
    seed: int = 0,
    config: SessionConfig | None = None,
    robot: str = "a1",
) -> Rehearsed:
    """Plays one incident to a robot that does as its test policy says, and watches for `seconds` after its beginning.

    Args:
      incident: its start counts from when the robot has taken the policy's pose.
      seed: of the twin and the incident.
      config: of twin, actor and safety, and of the same robot; its default preset if None.
      robot: whose twin it is.

    Raises:
      UserError: the robot has no twin or no test policy. Or see `IncidentPlayer`.
    """
    entry = find_robot(robot)
    config = config or entry.usual_config()
    with contextlib.closing(entry.make_twin(config.twin, seed)) as twin:
        return _Rehearsal(twin, incident, seed, config).run(seconds)


class _TestPolicy:
    """A robot's `RehearsalPolicy`, as the control loop wants it."""

    version = 1
    created_wall_s = 0.0

    def __init__(self, policy: RehearsalPolicy):
        self._act = policy.act

    def initial_state(self) -> None:
        return None

    def __call__(self, observation: dict[str, np.ndarray], state: Any, is_first: bool) -> tuple[np.ndarray, Any]:
        return self._act(observation), None


class _NoLog:
    def append(self, step: object) -> None:
        """A rehearsal is nothing to learn from."""


class _Rehearsal:
    def __init__(self, twin: Twin, incident: IncidentConfig, seed: int, config: SessionConfig):
        self._twin = twin
        policy = twin.description.rehearsal
        if policy is None:
            raise UserError(f"'{config.robot}' cannot be rehearsed; give its TwinDescription a `rehearsal`.")
        self._twin.reset(policy.initial_state)
        self._begin_s = self._twin.time_s
        script = [msgspec.structs.replace(incident, start_s=SETTLE_S + incident.start_s)]
        self._player = IncidentPlayer(self._twin, seed, script)
        self._period_s = 1.0 / config.twin.state_rate_hz
        self._result: Rehearsed | None = None
        self._states: list[tuple[float, str, str]] = []
        self._watchdogs: list[tuple[float, str]] = []
        task = make_task(config)
        self._loop = ControlLoop(
            task,
            msgspec.structs.replace(config.actor, random_s=0, fallen_reward=None, rhythm_hz=None),
            _NoLog(),
            actor_life=1,
            seed=seed,
            safety=msgspec.structs.replace(config.safety, ramp_pose=policy.ramp_pose),
            clock=lambda: self._time_s,
            on_event=self._on_event,
        )
        self._steps_per_tick = round(self._loop.tick_period_s / self._period_s)
        self._measurement = self._twin.measure()
        self._measurement.time_s = 0.0
        self._loop.set_policy(_TestPolicy(policy))
        self._loop.supervisor.activate("rehearsal")

    @property
    def _time_s(self) -> float:
        return self._twin.time_s - self._begin_s

    def run(self, seconds: float) -> Rehearsed:
        commands: list[tuple[float, Command | None]] = []
        step = 0
        while self._result is None or self._time_s < self._result.incident.start_s + seconds:
            self._exchange_states()
            if step % self._steps_per_tick == 0:
                command = self._loop.step(self._measurement, self._time_s)
                commands.append((self._time_s, command))
                if command is not None:
                    self._player.to_robot.send(None if command.relaxes else command.setpoint, self._time_s)
            for target_rad in self._player.to_robot.receive(self._time_s):
                self._twin.command(target_rad)
            self._twin.advance(self._period_s)
            step += 1
            self._watch()
        result = self._result
        result.states, result.watchdogs, result.commands = self._states, self._watchdogs, commands
        return result

    def _exchange_states(self) -> None:
        for change in self._player.update(self._time_s):
            if change.began:
                self._result = Rehearsed(change.incident)
        self._player.from_robot.send(measure(self._twin, self._player), self._time_s)
        for measurement in self._player.from_robot.receive(self._time_s):
            # As on a robot: the age of a state counts from its reception.
            measurement.time_s = self._time_s
            self._measurement = measurement

    def _watch(self) -> None:
        if self._result is None:
            return
        truth = self._twin.truth()
        self._result.lowest_up_z = min(self._result.lowest_up_z, truth.up_z)
        self._result.lowest_height_m = min(self._result.lowest_height_m, truth.height_m)
        if self._twin.driver.damping:
            self._result.damped_s.append(self._time_s)

    def _on_event(self, kind: str, **fields: object) -> None:
        if kind == "safety_state":
            self._states.append((self._time_s, str(fields["after"]), str(fields["cause"])))
        elif kind == "watchdog":
            self._watchdogs.append((self._time_s, str(fields["name"])))


def measure(twin: Twin, player: IncidentPlayer) -> Measurement:
    """What the twin's sensors say amid the player's incidents, joints in the order in which they would be named."""
    measurement = twin.measure()
    measurement[TEMPERATURE] = float(player.temperature_c.max())
    if player.not_finite.size:
        measurement[JOINT_VELOCITY][player.not_finite] = np.nan
    for name in (JOINT_POSITION, JOINT_VELOCITY):
        if (values := measurement.get(name)) is not None:
            measurement[name] = values[player.joint_order]
    return measurement
