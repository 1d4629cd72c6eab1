"""Whether a robot keeps the contract: one examination for every robot that the registry finds, whoever brings it.

    checks = examine(find_robot("cart"), "reach", tmp_path)
    assert not failures(checks), describe(checks)

Nothing here is a mock: the twin is the robot's own, the session is logged, learned from and drawn by what does so in
any session. Only where there is no twin, or no working OpenGL for its cameras, does something stand in, and the rows
say so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daydreamer.compilation import quick_compilation
from daydreamer.config import Body, SessionConfig, resolve
from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.contract.limits import JointLimits
from daydreamer.contract.signals import JOINT_POSITION, LINEAR_ACCELERATION, ON_TOPICS, ORIENTATION, Measurement
from daydreamer.contract.task import OPERATOR_AXES, Task
from daydreamer.errors import NoOpenGL, UserError
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.schema import step_schema
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import REPORT_STEPS, LockstepSession
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.random_actions import random_action
from daydreamer.robots.checks import Check, Verdict
from daydreamer.robots.registry import Robot, TaskEntry
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.spec import RobotSpec, Space

STEPS = 300
"""Lock-step steps that are logged."""

OBSERVED_STEPS = 40
"""Control periods in which the observations are compared with the specification."""

RANDOM_ACTIONS = 100

SMALL: Mapping[str, Any] = {
    "model": {"deterministic": 32, "hidden": 32, "stochastic": 4, "classes": 4, "units": 32},
    "learner": {"batch_size": 4, "batch_length": 8, "imagination_starts": 16, "replay_capacity": 4_096},
}
"""Sizes for robots without a preset 'tiny': two gradient steps say as much with few weights as with many."""


class Broken(Exception):
    """The contract is not kept; says how, and what would be right."""


class NotExamined(Exception):
    """Something could not be looked at here; says why, and what it takes."""


def examine(robot: Robot, task: str | None, directory: Path, learns: bool = True) -> list[Check]:
    """Looks at everything that a robot doing one of its tasks promises, and runs a short session of it.

    In a process that has compiled nothing yet, nothing will be optimised, unless XLA_FLAGS is set.

    Args:
      robot: as of the registry; it need not be installed.
      task: None for its usual one.
      directory: empty, or not there yet; gets the sessions.
      learns: makes gradient steps, whose compilation takes most of the time; without, all else is looked at.

    Returns:
      One check for each promise, in order. What follows from one that failed is left out.

    Raises:
      UserError: there is no such task, or `directory` cannot be written.
    """
    task = task or robot.usual_task
    entry = robot.task(task)
    with quick_compilation(), contextlib.ExitStack() as stack:
        return _Examination(robot, task, entry, directory, learns, stack).run()


def failures(checks: Sequence[Check]) -> list[Check]:
    """Those that failed."""
    return [check for check in checks if check.verdict is Verdict.FAIL]


def describe(checks: Sequence[Check]) -> str:
    """A line for each."""
    return "\n".join(f"{check.verdict:4}  {check.name}: {check.detail}" for check in checks)


class StandIn:
    """A robot that stands still whatever it is told, where there is no twin: what senses nothing new breaks nothing.

    Attributes:
      time_s: as of a twin.
    """

    def __init__(self, robot: Embodiment) -> None:
        self.time_s = 0.0
        self._values = _at_rest(robot)

    def measure(self) -> Measurement:
        return Measurement(self.time_s, dict(self._values))

    def command(self, setpoint: np.ndarray | None) -> None:
        pass

    def advance(self, seconds: float) -> None:
        self.time_s += seconds

    def truth(self) -> StandIn:
        return self

    @property
    def quantities(self) -> dict[str, float]:
        return {}


class _Examination:
    """The checks of one robot and task, which build on one another."""

    def __init__(
        self,
        robot: Robot,
        task: str,
        entry: TaskEntry,
        directory: Path,
        learns: bool,
        stack: contextlib.ExitStack,
    ) -> None:
        self._robot, self._task_name, self._entry = robot, task, entry
        self._directory, self._learns = directory, learns
        self._stack = stack
        self._random = np.random.default_rng(0)

    def run(self) -> list[Check]:
        """Stage by stage; what builds on something that failed is left out."""
        stages = (
            (("specification", self._specification),),
            (
                ("presets", self._presets),
                ("presentation", self._presentation),
                ("mirror image", self._mirror),
                ("drivers", self._drivers),
                ("limits", self._limits),
            ),
            (("poses", self._poses), ("twin", self._twin)),
            (("signals", self._signals),),
            (("observations", self._observations),),
            (("actions", self._actions),),
            (("log", self._log),),
            (
                ("gradient steps", self._gradient_steps),
                ("portrayal", self._portrayal),
                ("report", self._report),
                ("dashboard", self._dashboard),
                ("read elsewhere", self._read_elsewhere),
            ),
        )
        checks: list[Check] = []
        for stage in stages:
            checks += [self._check(name, look) for name, look in stage]
            if failures(checks):
                break
        return checks

    def _check(self, name: str, look: Callable[[], str]) -> Check:
        try:
            return Check(name, Verdict.OK, look())
        except NotExamined as error:
            return Check(name, Verdict.NOTE, f"not examined: {error}")
        except (Broken, UserError) as error:
            return Check(name, Verdict.FAIL, str(error))
        except Exception as error:  # whatever the code of a robot's folder does is a finding
            return Check(name, Verdict.FAIL, _describe_error(error))

    # What the folder says.

    def _specification(self) -> str:
        self._config = self._configure()
        self._task = self._entry.make(self._config)
        self._embodiment, self._spec = self._task.embodiment, self._task.spec
        _check_spec(self._spec, self._robot.name, self._task_name, self._embodiment)
        spec = self._spec
        sizes = ", ".join(f"{key} {_words(space)}" for key, space in spec.observation.items())
        return f"{spec.hash}: observes {sizes}; acts {_words(spec.action)} at {spec.control_rate_hz:g} Hz"

    def _configure(self) -> SessionConfig:
        """Small networks, random actions to begin with, and two gradient steps until the first report."""
        body: Body = "twin" if self._robot.twin else "hardware"
        preset = "tiny" if "tiny" in self._entry.presets else "default"
        chosen = {"robot": self._robot.name, "task": self._task_name, "body": body, "preset": preset, "minutes": 1.0}
        sizes = {} if preset == "tiny" else SMALL
        config = resolve(self._robot.preset(self._task_name, preset, body), sizes, chosen)
        rate_hz = self._entry.make(config).spec.control_rate_hz
        replayed = config.learner.batch_size * config.learner.batch_length
        pace = {"minimum_s": REPORT_STEPS / 4 / rate_hz, "train_ratio": 2.2 * replayed / REPORT_STEPS}
        pace |= {} if self._learns else {"train_ratio": 0.0}
        return resolve(
            msgspec.to_builtins(config), {"learner": pace, "actor": {"random_s": REPORT_STEPS / 2 / rate_hz}}
        )

    def _presets(self) -> str:
        if "default" not in self._entry.presets:
            raise Broken(
                f"there is no preset 'default' among {', '.join(self._entry.presets)}; add one, empty if need be"
            )
        for name in self._entry.presets:
            chosen = {"robot": self._robot.name, "task": self._task_name, "preset": name}
            config = resolve(self._robot.preset(self._task_name, name, "twin"), chosen)
            self._entry.make(config).spec.check()
        return ", ".join(self._entry.presets)

    def _presentation(self) -> str:
        logged = {"reward", *(f"reward_terms/{name}" for name in self._spec.reward_terms)}
        logged |= {f"info/{name}" for name in self._spec.info}
        told = self._task.presentation
        shown = [(f"milestone '{each.name}'", each.quantity) for each in told.milestones]
        shown += [(f"figure '{each.name}'", each.quantity) for each in told.figures]
        shown += [(f"occurrence '{each.did}'", each.quantity) for each in told.occurrences]
        for what, quantity in [*shown, ("the compared reward", told.compared_reward)]:
            if quantity not in logged:
                raise Broken(f"{what} is about {quantity}, which no step has; there are {', '.join(sorted(logged))}")
        goal = f"the goal is '{told.goal.name}'" if told.goal else "no milestones: there is the reward alone"
        return f"{goal}; figures: {', '.join(each.name for each in told.figures) or 'none'}"

    def _mirror(self) -> str:
        spec = self._spec
        if not spec.mirror:
            return "none: it is not symmetric, or does not say so"
        vectors = {key: space for key, space in spec.observation.items() if not space.is_image}
        spaces = vectors | {"action": spec.action}
        if spec.mirror.keys() != spaces.keys():
            raise Broken(
                f"mirror names {sorted(spec.mirror)}; it must name {sorted(spaces)}, every vector and 'action'"
            )
        for key, space in spaces.items():
            if sorted(map(abs, spec.mirror[key])) != list(range(1, space.size + 1)):
                raise Broken(f"mirror of '{key}' is no rearrangement of 1 to {space.size}: {spec.mirror[key]}")
            values = self._random.standard_normal(space.size)
            if not np.array_equal(spec.mirror_image(key, spec.mirror_image(key, values)), values):
                raise Broken(f"the mirror image of the mirror image of '{key}' is another one: {spec.mirror[key]}")
        return "the mirror image of a mirror image is the robot itself"

    def _limits(self) -> str:
        robot = self._embodiment
        self._guard = robot.make_guard(robot.limits, self._config.actor.low_pass_cutoff_hz, self._tick_rate_hz)
        # Knows the ramp's pose, the watchdogs, and the checks that the robot brings.
        SafetySupervisor(self._task, self._config.actor, self._config.safety)
        return f"all stated; {type(self._guard).__name__} at {self._tick_rate_hz:g} Hz"

    @property
    def _tick_rate_hz(self) -> float:
        rate_hz = self._spec.control_rate_hz
        return rate_hz * self._embodiment.ticks_per_step(rate_hz)

    def _poses(self) -> str:
        for name, pose in self._embodiment.poses.items():
            if pose.shape != (len(self._embodiment.setpoint_names),):
                raise Broken(f"pose '{name}' has shape {pose.shape}; there are {len(self._embodiment.setpoint_names)}")
            if not np.array_equal(self._guard.inside(pose), pose):
                raise Broken(f"pose '{name}' is outside the limits: {pose}; the nearest is {self._guard.inside(pose)}")
        if self._embodiment.poses and "rest" not in self._embodiment.poses:
            raise Broken(f"there is no pose 'rest', where it may be left, among {', '.join(self._embodiment.poses)}")
        return ", ".join(self._embodiment.poses) or "none: it starts from where it is"

    def _drivers(self) -> str:
        for name, interface in self._robot.interfaces.items():
            if interface.driver is not None and not _is_importable(interface.driver):
                raise Broken(f"interface '{name}' names the driver {interface.driver}, which is not installed")
        return ", ".join(self._robot.interfaces) or "none: a driver of its own topics is expected"

    # What the robot senses and does.

    def _twin(self) -> str:
        if self._robot.twin is None:
            self._body: Any = StandIn(self._embodiment)
            raise NotExamined("there is no twin; what follows is of a robot that stands still whatever it is told")
        twin = self._stack.enter_context(contextlib.closing(self._make_twin()))
        self._body = twin
        states = ", ".join(twin.description.initial_states)
        return f"begins {states}"

    def _make_twin(self) -> Any:
        config = self._config
        try:
            return self._robot.make_twin(config.twin, config.seed)
        except NoOpenGL as error:
            self._no_opengl = str(error)
        twin = self._robot.make_twin(msgspec.structs.replace(config.twin, camera=False), config.seed)
        return _WithoutCameras(twin, self._embodiment)

    def _signals(self) -> str:
        measurement = self._body.measure()
        delivered = []
        for name, signal in self._embodiment.signals.items():
            value = measurement.get(name)
            if value is None:
                if signal.optional:
                    continue
                hint = "; a task that needs it sets twin.camera in its overrides" if signal.is_image else ""
                raise Broken(f"the twin does not deliver '{name}'; it delivers {', '.join(measurement.values)}{hint}")
            if np.shape(value) != signal.shape:
                raise Broken(f"the twin's '{name}' has shape {np.shape(value)}, the embodiment says {signal.shape}")
            if signal.is_image and value.dtype != np.uint8:
                raise Broken(f"the twin's '{name}' is {value.dtype}; a picture is uint8")
            if not np.all(np.abs(value) <= signal.largest):
                raise Broken(f"the twin's '{name}' is {value}, beyond {signal.largest:g} or not a number")
            delivered.append(name)
        if isinstance(self._body, StandIn):
            raise NotExamined(f"{', '.join(delivered)}, as there is no twin")
        if isinstance(self._body, _WithoutCameras):
            raise NotExamined(f"{', '.join(self._embodiment.cameras)}, which are black here. {self._no_opengl}")
        return ", ".join(delivered)

    def _observations(self) -> str:
        task, body, robot = self._task, self._body, self._embodiment
        task.reset()
        sent = robot.measured_setpoint(body.measure())
        self._guard.depart(sent)
        for _ in range(OBSERVED_STEPS):
            measurement = body.measure()
            _check_state(task, measurement, sent)
            requested = task.setpoint(random_action(self._spec.action, self._random), measurement, sent)
            sent = self._guard.command(requested, robot.measured_setpoint(measurement)).setpoint
            body.command(sent)
            body.advance(self._spec.control_period_s)
        self._measurement = body.measure()
        return f"as specified, in {OBSERVED_STEPS} steps at random"

    def _actions(self) -> str:
        task, guard, robot = self._task, self._guard, self._embodiment
        measured = robot.measured_setpoint(self._measurement)
        guard.depart(measured)
        actions = list(_extreme_actions(self._spec.action, self._random))
        actions += [task.operator_action(np.full(OPERATOR_AXES, way)) for way in (0.0, 1.0, -1.0)]
        sent = measured
        for action in actions:
            _check_value("an action", self._spec.action, np.asarray(action))
            requested = task.setpoint(action, self._measurement, sent)
            if np.shape(requested) != measured.shape or not np.all(np.isfinite(requested)):
                raise Broken(f"the action {action} asks for {requested}, not for {len(measured)} finite numbers")
            sent = guard.command(requested, measured).setpoint
            if not np.all(np.isfinite(sent)) or not np.allclose(guard.inside(sent), sent, atol=1e-9):
                raise Broken(
                    f"the guard lets {sent} through for the action {action}; limits allow {guard.inside(sent)}"
                )
        return f"{len(actions)} pass the guard, finite and within the limits; {_counted(guard.counts)}"

    # A session of it.

    def _log(self) -> str:
        self._session = Session.create(self._directory / "session", self._config, self._spec, self._task.presentation)
        self._figures: dict[str, float] = {}
        LockstepSession(self._session, self._body, self._task).run(STEPS, self._figures.update)
        self._steps = _logged(self._session)
        endings = _check_episodes(self._steps, self._spec)
        return f"{len(self._steps)} steps in lock-step, {endings}"

    def _gradient_steps(self) -> str:
        if not self._learns:
            raise NotExamined("they were not asked for")
        losses = {name: value for name, value in self._figures.items() if name.startswith("learner/loss/")}
        if not losses or not np.all(np.isfinite(list(losses.values()))):
            raise Broken(f"losses are not finite: {losses}")
        count, skipped = read_status(self._session)["gradient_steps"], self._events("update_skipped")
        if skipped:
            raise Broken("a gradient step had to be skipped, as its result was not finite; look at what is observed")
        path = latest_snapshot(self._session.policy)
        if path is None:
            raise Broken("no policy was published")
        policy = Policy.load(path, self._spec)
        action, _ = policy(self._steps[-1].observation, policy.initial_state(), True)
        _check_value("the policy's action", self._spec.action, action)
        acted = sum(step.policy_version > 0 for step in self._steps)
        return (
            f"{count} with finite losses, {losses['learner/loss/total']:.3g} in all; the policy chose {acted} actions"
        )

    def _events(self, kind: str) -> bool:
        return self._session.events.exists() and f'"{kind}"' in self._session.events.read_text()

    def _portrayal(self) -> str:
        portrayal = self._entry.portrayal
        if portrayal is None:
            return "none: its first vectors are drawn as lines, its cameras as pictures"
        if missing := portrayal.needs - self._spec.observation.keys():
            raise Broken(f"the portrayal needs {', '.join(sorted(missing))}, which is not observed")
        stacked = {key: np.stack([step.observation[key] for step in self._steps]) for key in self._spec.observation}
        signals = portrayal.signals(stacked)
        if signals.keys() != portrayal.plots.keys():
            raise Broken(f"the portrayal has the plots {sorted(portrayal.plots)} and signals for {sorted(signals)}")
        for plot, lines in signals.items():
            for name, values in lines.items():
                if np.shape(values) != (len(self._steps),) or not np.all(np.isfinite(values)):
                    raise Broken(f"the line '{name}' of plot '{plot}' is not one finite number for each step")
        if portrayal.skeleton_m is None:
            return f"plots {', '.join(signals)}"
        for name, points in portrayal.skeleton_m(self._steps[-1].observation).items():
            if np.ndim(points) != 2 or np.shape(points)[1] != 3 or not np.all(np.isfinite(points)):
                raise Broken(f"the line '{name}' of the skeleton has shape {np.shape(points)}, not points in space")
        return f"plots {', '.join(signals)}; drawn in space"

    def _report(self) -> str:
        return f"a page that begins: {_write_report(self._session)}"

    def _dashboard(self) -> str:
        return f"a recording of {_record(self._session, self._directory / 'session.rrd') >> 10} KiB"

    def _read_elsewhere(self) -> str:
        """A session of a robot that is not installed can be read: it has the same steps, and a name that none has."""
        spec = msgspec.structs.replace(self._spec, robot=f"{self._spec.robot}_elsewhere")
        path = self._directory / "elsewhere"
        session = Session.create(path, self._config, spec, self._task.presentation, "a-package-that-is-not-here")
        with ExperienceWriter(session.experience, spec, 1, 60.0, session.digest) as writer:
            for step in self._steps:
                writer.append(dataclasses.replace(step, actor_life=1))
        session = Session.open(path)
        if _logged(session)[-1].reward != self._steps[-1].reward:
            raise Broken("its steps read otherwise where the robot is not installed")
        _write_report(session)
        _record(session, self._directory / "elsewhere.rrd")
        return "steps, report and dashboard, where the robot is not installed"


class _WithoutCameras:
    """A twin on a machine that cannot draw: its pictures are black."""

    def __init__(self, twin: Any, robot: Embodiment) -> None:
        self._twin = twin
        self._pictures = {name: np.zeros(signal.shape, np.uint8) for name, signal in robot.cameras.items()}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)

    def measure(self) -> Measurement:
        measurement = self._twin.measure()
        measurement.values |= self._pictures
        return measurement


def _check_spec(spec: RobotSpec, robot: str, task: str, embodiment: Embodiment) -> None:
    spec.check()
    step_schema(spec)  # every name can be one in the log
    if (spec.robot, spec.task) != (robot, task):
        raise Broken(f"the specification is of '{spec.robot}' doing '{spec.task}'; it must be of '{robot}', '{task}'")
    if embodiment.name != robot:
        raise Broken(f"the embodiment is called '{embodiment.name}'; it must be '{robot}'")
    names = spec.setpoint_names or spec.joint_names
    if names != embodiment.setpoint_names:
        raise Broken(f"the specification logs commands of {names}; the embodiment is told {embodiment.setpoint_names}")
    action = spec.action
    if not action.is_discrete and (action.dtype, action.low, action.high) != ("float32", -1.0, 1.0):
        raise Broken(f"the action is {action.dtype} in [{action.low}, {action.high}]; it must be float32 in [-1, 1]")
    for name, signal in embodiment.signals.items():
        if name not in ON_TOPICS and not signal.is_image:
            known = ", ".join(sorted(ON_TOPICS))
            raise Broken(f"no ROS 2 topic brings the signal '{name}'; beside pictures there are {known}")


def _check_state(task: Task, measurement: Measurement, sent: np.ndarray) -> None:
    """What a task makes of one measurement, against its specification."""
    spec, state = task.spec, task.observe(measurement, sent)
    for what, found, stated in (
        ("observation", state.observation.keys(), spec.observation.keys()),
        ("reward term", state.reward_terms.keys(), set(spec.reward_terms)),
        ("info", state.info.keys(), set(spec.info)),
    ):
        if missing := stated - found:
            raise Broken(f"the task gives no {what} '{min(missing)}', which its specification has")
        if extra := found - stated:
            raise Broken(f"the task gives the {what} '{min(extra)}', which its specification does not have")
    for key, space in spec.observation.items():
        _check_value(f"the observation '{key}'", space, state.observation[key])
    for name, value in {"reward": state.reward, **state.reward_terms, **state.info}.items():
        if not np.isfinite(value):
            raise Broken(f"'{name}' is {value}; it must be finite")
    if state.ending not in (None, "success", "failure"):
        raise Broken(f"the episode ends in '{state.ending}'; it may in 'success' or 'failure'")


def _check_value(what: str, space: Space, value: Any) -> None:
    dtype = "int32" if space.is_discrete else space.dtype
    shape, found = np.shape(value), getattr(value, "dtype", type(value).__name__)
    if shape != space.shape or found != dtype:
        raise Broken(f"{what} is {found} of shape {shape}; the specification says {dtype} of {space.shape}")
    low, high = (0, space.classes - 1) if space.is_discrete else (space.low, space.high)
    if not np.all(np.isfinite(value)):
        raise Broken(f"{what} is not finite: {value}")
    if (low is not None and np.min(value) < low) or (high is not None and np.max(value) > high):
        raise Broken(f"{what} is {value}; the specification says between {low} and {high}")


def _check_episodes(steps: Sequence[Step], spec: RobotSpec) -> str:
    """Boundaries of episodes, as learning relies on them; says how many there were, and how they ended."""
    if [step.sequence for step in steps] != list(range(STEPS)):
        raise Broken(f"of {STEPS} steps {len(steps)} were logged, or in another order")
    length, ended, lasted = 0, 0, 0
    for step, following in itertools.zip_longest(steps, steps[1:]):
        length += 1
        if step.is_first != (length == 1):
            raise Broken(f"step {step.sequence} is number {length} of its episode, and says is_first={step.is_first}")
        if step.is_terminal and not step.is_last:
            raise Broken(f"step {step.sequence} ends the episode for good, and is not the last one")
        if (length == spec.episode_steps or step.is_terminal) != step.is_last:
            raise Broken(f"an episode of {spec.episode_steps} steps has its last one at number {length}")
        if following is not None and step.is_last != following.is_first:
            raise Broken(f"an episode ends at step {step.sequence}, and none begins after it")
        if step.is_last:
            ended, lasted, length = ended + step.is_terminal, lasted + 1, 0
    return f"{lasted} episodes ended, {ended} of them in success or failure"


def _extreme_actions(space: Space, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Every class of a discrete space; of a continuous one its ends, its middle, and some at random."""
    if space.is_discrete:
        yield from (np.asarray(choice, np.int32) for choice in range(space.classes))
        return
    for value in (-1.0, 0.0, 1.0):
        yield np.full(space.shape, value, np.float32)
    for _ in range(RANDOM_ACTIONS):
        yield random_action(space, generator)


def _at_rest(robot: Embodiment) -> dict[str, np.ndarray]:
    """What a robot senses that stands upright and still."""
    values = {
        name: np.zeros(signal.shape, np.uint8 if signal.is_image else np.float64)
        for name, signal in robot.signals.items()
        if not signal.optional
    }
    known = {ORIENTATION: np.array((1.0, 0.0, 0.0, 0.0)), LINEAR_ACCELERATION: np.array((0.0, 0.0, GRAVITY_M_S2))}
    if isinstance(robot.limits, JointLimits):
        middle = np.clip(np.zeros(len(robot.setpoint_names)), robot.limits.lower_rad, robot.limits.upper_rad)
        known[JOINT_POSITION] = robot.poses.get("rest", middle)
    return values | {name: value for name, value in known.items() if name in values}


def _logged(session: Session) -> list[Step]:
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    if tail.problems:
        raise Broken(tail.problems[0].text)
    return steps


def _write_report(session: Session) -> str:
    """Writes the report of a session; its first conclusion."""
    _require("report", "jinja2", "matplotlib")
    from daydreamer.report.page import write_report

    _, verdict = write_report(session)
    return next(iter(verdict.learned), "")


def _record(session: Session, path: Path) -> int:
    """Bytes of the dashboard's recording of a session."""
    _require("viewer", "rerun")
    from daydreamer.viewer.dashboard import Dashboard

    dashboard = Dashboard(session, 1.0, path)
    with contextlib.closing(dashboard):
        while dashboard.update():
            pass
    return path.stat().st_size


def _require(extra: str, *modules: str) -> None:
    for module in modules:
        if not _is_importable(module):
            raise NotExamined(f"it needs {module}, which is not installed: pip install 'daydreamer[{extra}]'")


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of a package around it
        return False


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none was changed"


def _words(space: Space) -> str:
    return f"{space.classes} classes" if space.is_discrete else f"{space.dtype}{list(space.shape)}"


def _describe_error(error: Exception) -> str:
    """What a stranger's code raised, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
