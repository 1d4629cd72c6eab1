"""Finds the twin that moves as a robot did: its payload, friction, motors and delays, out of a session's log."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import mujoco
import numpy as np
from scipy.optimize import minimize

from daydreamer.config import RandomisationConfig, TwinConfig
from daydreamer.errors import SimulationUnstable, UserError
from sim.logged_motion import COMMANDS_BEFORE, STRETCH_STEPS, LoggedMotion
from sim.names import find
from sim.twin import Twin

FEWEST_STRETCHES = 60
"""Below which intervals would mean nothing."""
TOUCHES_M = 0.01
"""How far above the lowest foot another one may be and stand on the floor all the same."""
POPULATION, GENERATIONS = 10, 22
"""Of the search, by CMA-ES (Hansen 2016)."""
FIRST_SPREAD = 0.2
"""Of the search at first, in units of the ranges."""
RESAMPLED = 200
"""Bootstrap samples of the stretches and of the twins that were tried, by which intervals are found (Efron 1979)."""
NEAREST = 120
"""Of all twins tried, the best, through whose errors a parabola is laid."""
TYPICAL = {"position": 0.05, "velocity": 1.0, "up": 0.05, "angular_velocity": 0.5}
"""Errors of this size count alike: rad, rad/s, 1 and rad/s. Larger ones count logarithmically."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """Something about a robot that is not known.

    Attributes:
      name: of it.
      low, high: between which it is looked for.
      published: what the twin has without knowing better.
      expected_deviation: of robots from what is published; None where nothing is expected. It decides between what the
        log cannot tell apart, as the mass of the trunk and a payload on it.
    """

    name: str
    low: float
    high: float
    published: float
    expected_deviation: float | None = None


def parameters_of(twin: Twin) -> tuple[Parameter, ...]:
    """What can be looked for in the twin of this robot."""
    randomised = twin.description.randomised
    found = []
    if randomised.payload_body is not None:
        found.append(Parameter("payload_kg", 0.0, 3.0, 0.0))
    if randomised.friction_geoms:
        feet = find(twin.model, "geom", randomised.friction_geoms, twin.description.robot)
        found.append(Parameter("friction", 0.2, 1.4, float(twin.model.geom_friction[feet, 0].mean())))
    found += [
        Parameter("motor_strength", 0.6, 1.2, 1.0),
        Parameter("command_latency_s", 0.0, 0.045, twin.config.command_latency_s),
        Parameter("damping_scale", 0.4, 2.0, 1.0),
    ]
    if randomised.bodies:
        found.append(Parameter("mass_scale", 0.8, 1.2, 1.0, expected_deviation=0.05))
    return tuple(found)


def twin_config(published: TwinConfig, values: Mapping[str, tuple[float, float]]) -> TwinConfig:
    """The configuration of twins whose parameters lie between these values; each session draws one by its seed."""
    drawn = {name: values.get(name, (default, default)) for name, default in _UNCHANGED.items()}
    low, high = values.get("damping_scale", (1.0, 1.0))
    damping = {name: 0.5 * (low + high) * getattr(published, name) for name in _DAMPING}
    drawn["command_latency_s"] = values.get("command_latency_s", (published.command_latency_s,) * 2)
    return msgspec.structs.replace(published, randomisation=RandomisationConfig(enabled=True, **drawn), **damping)


_DAMPING = ("damping_hip_n_m_s_rad", "damping_upper_n_m_s_rad", "damping_lower_n_m_s_rad")
_UNCHANGED = {
    "mass_scale": 1.0,
    "payload_kg": 0.0,
    "payload_offset_m": 0.0,
    "friction": 0.8,
    "motor_strength": 1.0,
    "noise_scale": 1.0,
}


class Rehearsal:
    """A twin that repeats stretches of a log, each from where the robot was."""

    def __init__(self, twin: Twin, motion: LoggedMotion) -> None:
        """Raises UserError if the robot moves freely and the twin does not say which its feet are."""
        self._twin, self._motion = twin, motion
        self._moves_freely = twin.base_velocity_at is not None
        self._feet = np.zeros(0, int)
        if self._moves_freely:
            names, robot = twin.description.randomised.friction_geoms, twin.description.robot
            if not names:
                raise UserError(f"The twin of '{robot}' cannot be fitted: its folder does not say which its feet are.")
            self._feet = find(twin.model, "geom", names, robot)
        self._steps = round(motion.period_s / twin.config.physics_timestep_s)

    def errors(self, start: int) -> np.ndarray:
        """By how much the twin is wrong after each step from `start` on, `[steps, errors]`, see `TYPICAL`."""
        twin, motion = self._twin, self._motion
        self._place(start)
        errors = []
        for step in range(start, start + STRETCH_STEPS):
            twin.command(motion.sent_rad[step])
            twin.step_physics(self._steps)
            errors.append(self._error(step + 1))
        return np.array(errors)

    def _error(self, step: int) -> np.ndarray:
        twin, motion, data = self._twin, self._motion, self._twin.data
        up = data.xmat[twin.base].reshape(3, 3)[2]
        parts = [
            (data.qpos[twin.position_at] - motion.position_rad[step]) / TYPICAL["position"],
            (data.qvel[twin.velocity_at] - motion.velocity_rad_s[step]) / TYPICAL["velocity"],
        ]
        if self._moves_freely:
            parts.append((up - motion.up[step]) / TYPICAL["up"])
            turning = data.qvel[3:6] - motion.angular_velocity_rad_s[step]
            parts.append(turning / TYPICAL["angular_velocity"])
        return np.concatenate(parts)

    def _place(self, start: int) -> None:
        """Puts the robot where it was, with the commands that its driver was following."""
        twin, motion, model, data = self._twin, self._motion, self._twin.model, self._twin.data
        mujoco.mj_resetData(model, data)
        twin.driver.reset()
        data.time = (COMMANDS_BEFORE + 1) * motion.period_s
        twin.place_joints(motion.position_rad[start])
        data.qvel[twin.velocity_at] = motion.velocity_rad_s[start]
        if self._moves_freely:
            self._place_base(start)
        for back in range(COMMANDS_BEFORE, 0, -1):
            then_s = data.time - back * motion.period_s
            twin.driver.command(motion.sent_rad[start - back], then_s)
            twin.driver.torque(
                then_s + twin.config.command_latency_s,
                motion.position_rad[start - back],
                np.zeros(len(twin.joint_names)),
            )
        mujoco.mj_step1(model, data)

    def _place_base(self, start: int) -> None:
        """On its lowest foot, moving so that the feet on the floor do not slide: neither was measured."""
        twin, motion, model, data = self._twin, self._motion, self._twin.model, self._twin.data
        twin.place_base(np.zeros(3), motion.orientation_wxyz[start])
        data.qvel[3:6] = motion.angular_velocity_rad_s[start]
        mujoco.mj_kinematics(model, data)
        radius_m = model.geom_size[self._feet, 0]
        bottom_m = data.geom_xpos[self._feet, 2] - radius_m
        data.qpos[2] -= bottom_m.min()
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        slides, jacobian = [], np.zeros((3, model.nv))
        for foot, radius, height in zip(self._feet, radius_m, bottom_m - bottom_m.min(), strict=True):
            if height < TOUCHES_M:
                touching = data.geom_xpos[foot] - (0.0, 0.0, radius)
                mujoco.mj_jac(model, data, jacobian, None, touching, model.geom_bodyid[foot])
                slides.append(jacobian @ data.qvel)
        data.qvel[:3] = -np.mean(slides, 0)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of one parameter.

    Attributes:
      value: the most likely.
      interval: in which it lies for 95 of 100 samples of the stretches and of the twins that were tried. What no such
        sample knows of, as a payload that looks like a heavier trunk, is not in it.
    """

    parameter: Parameter
    value: float
    interval: tuple[float, float]

    @property
    def is_known(self) -> bool:
        """Whether the log says more of it than its range."""
        low, high = self.interval
        return high - low < 0.5 * (self.parameter.high - self.parameter.low)


class Search:
    """Looks for the twin whose errors over some stretches are smallest.

    Attributes:
      parameters: what is looked for.
      joint_names: of the robot, in the order of errors.
    """

    def __init__(
        self,
        make_twin: Callable[[TwinConfig, int], Twin],
        published: TwinConfig,
        motion: LoggedMotion,
        starts: np.ndarray,
        seed: int,
    ) -> None:
        """`starts` of the stretches, all of them used for every twin that is tried."""
        self._make_twin = make_twin
        self._published = msgspec.structs.replace(published, randomisation=RandomisationConfig(), camera=False)
        self._motion = motion
        self._starts = starts
        twin = make_twin(self._published, 0)
        self.parameters, self.joint_names = parameters_of(twin), twin.joint_names
        twin.close()
        self._low = np.array([parameter.low for parameter in self.parameters])
        self._range = np.array([parameter.high for parameter in self.parameters]) - self._low
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._tried: list[np.ndarray] = []
        self._costs: list[np.ndarray] = []

    def errors(self, values: Mapping[str, float], starts: np.ndarray) -> np.ndarray:
        """Of the twin with these values, `[stretches, steps, errors]`."""
        twin = self._make_twin(twin_config(self._published, {name: (x, x) for name, x in values.items()}), 0)
        try:
            rehearsal = Rehearsal(twin, self._motion)
            return np.array([rehearsal.errors(start) for start in starts])
        finally:
            twin.close()

    def run(self, on_generation: Callable[[int, float], None]) -> list[Finding]:
        """Searches; `on_generation` is told how many of `GENERATIONS` are done and the smallest error so far."""
        from cmaes import CMA

        unit = np.array([[0.0, 1.0]] * len(self.parameters))
        published = np.array([parameter.published for parameter in self.parameters])
        search = CMA(
            mean=np.clip((published - self._low) / self._range, 0.1, 0.9),
            sigma=FIRST_SPREAD,
            bounds=unit,
            seed=self._seed,
            population_size=POPULATION,
        )
        for generation in range(1, GENERATIONS + 1):
            asked = [search.ask() for _ in range(POPULATION)]
            search.tell([(point, self._try(point)) for point in asked])
            on_generation(generation, min(float(costs.mean()) for costs in self._costs))
        return self._findings()

    def _try(self, point: np.ndarray) -> float:
        try:
            errors = self.errors(self._named(point), self._starts)
        except SimulationUnstable:
            return float(np.inf)
        costs = np.log1p(np.square(errors)).mean((1, 2)) + self._unexpected(point)
        self._tried.append(point)
        self._costs.append(costs)
        return float(costs.mean())

    def _unexpected(self, point: np.ndarray) -> float:
        values = self._named(point)
        squares = [
            ((values[parameter.name] - parameter.published) / parameter.expected_deviation) ** 2
            for parameter in self.parameters
            if parameter.expected_deviation
        ]
        return 0.5 * sum(squares) / len(self._starts)

    def _named(self, point: np.ndarray) -> dict[str, float]:
        values = self._low + point * self._range
        return {parameter.name: float(value) for parameter, value in zip(self.parameters, values, strict=True)}

    def _findings(self) -> list[Finding]:
        """By a parabola through what was tried, as single errors are rough; for each resampling one of its own."""
        tried, costs = np.array(self._tried), np.array(self._costs)
        near = np.argsort(costs.mean(1))[:NEAREST]
        tried, costs = tried[near], costs[near]
        count = costs.shape[1]
        best = _lowest(tried, costs.mean(1))
        resampled = []
        for _ in range(RESAMPLED):
            twins, stretches = (
                self._random.integers(len(tried), size=len(tried)),
                self._random.integers(count, size=count),
            )
            resampled.append(_lowest(tried[twins], costs[np.ix_(twins, stretches)].mean(1)))
        low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
        values = [self._low + self._range * point for point in (best, low, high)]
        return [
            Finding(parameter, float(value), (float(least), float(most)))
            for parameter, value, least, most in zip(self.parameters, *values, strict=True)
        ]


def _lowest(points: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Where the parabola through costs `[points]` is lowest, among the points; near ones count more."""
    centre = points[np.argsort(costs)[: len(points) // 6 + 1]].mean(0)
    scale = np.median(costs) - costs.min() + 1e-12
    weight = np.exp(-0.5 * (costs - costs.min()) / scale)
    coefficients = np.linalg.lstsq(_quadratic(points - centre) * weight[:, None], costs * weight, rcond=1e-8)[0]
    bounds = list(zip(points.min(0), points.max(0), strict=True))
    found = minimize(lambda point: float((_quadratic((point - centre)[None]) @ coefficients)[0]), centre, bounds=bounds)
    return found.x


def _quadratic(points: np.ndarray) -> np.ndarray:
    """`[points, terms]` of a parabola."""
    first, second = np.triu_indices(points.shape[1])
    return np.hstack([np.ones((len(points), 1)), points, points[:, first] * points[:, second]])


def settings_of(config: TwinConfig) -> dict[str, Any]:
    """Of a twin's configuration what a fit decides, as plain values."""
    values = msgspec.to_builtins(config)
    return {name: values[name] for name in ("randomisation", *_DAMPING)}
