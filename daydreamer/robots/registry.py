"""The robots that a session can run: those in the folders here, and those that other packages bring.

A package of somebody else's makes its robot known by an entry point, which daydreamer finds once both are installed:

    [project.entry-points."daydreamer.robots"]
    cart = "cart_robot:ROBOT"
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from daydreamer import robots as folders
from daydreamer.config import Body, SessionConfig, TwinConfig, merge, resolve
from daydreamer.contract.leader import Leader, LeaderOptions
from daydreamer.contract.portrayal import Portrayal
from daydreamer.contract.recording import RecordedTask, RecordingOptions
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, Teacher
from daydreamer.contract.wishes import Wishables
from daydreamer.errors import UserError

ENTRY_POINTS = "daydreamer.robots"

ON_HARDWARE: Mapping[str, Any] = {
    "safety": {
        "policy_old_action": "hold",
        "command_late_action": "hold",
        "not_following_action": "damp",
        "imu_action": "hold",
        "trips": 5,
        "latching": ("joint_not_following", "joint_outside", "commanded_by_others", "state_lost", "suspended"),
    }
}
"""What is only worth a warning in a twin; and a robot that was silent may have been switched off by somebody."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """Something that a robot can learn.

    Attributes:
      make: the task for a session's configuration.
      summary: a few words.
      presets: named overrides of the configuration; 'default' is one of them.
      overrides: of the configuration, whatever the preset.
      portrayal: how the robot doing it is drawn; None for plots of what it observes.
      replayed: the measurement that an observation by key, taken at a time in s, must have come of, as far as it can be
        known; None if sessions cannot be played back.
      teacher: 'module:function' that makes a `Teacher` of the task, its twin and a seed; None if there is none.
      recorded: 'module:function' that makes a `RecordedTask` of a session's configuration and `RecordingOptions`; None
        if what others have recorded of the robot cannot be taken for this task.
      success_camera: signal of the camera by which a classifier may say that the task has been done, see
        `daydreamer.config.SuccessConfig`; None if nothing but the task's own rule can.
      leader: 'module:function' that opens a `Leader` of the task, by `LeaderOptions`, for a `with` block; None if there
        is none.
      wishables: makes what may be wished of the robot beside, see there; None for what it observes, by key.
    """

    make: Callable[[SessionConfig], Task]
    summary: str
    presets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=lambda: {"default": {}})
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    portrayal: Portrayal | None = None
    replayed: Callable[[Mapping[str, np.ndarray], float], Measurement] | None = None
    teacher: str | None = None
    recorded: str | None = None
    success_camera: str | None = None
    leader: str | None = None
    wishables: Callable[[], Wishables] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interface:
    """How a robot is reached over ROS 2.

    Attributes:
      driver: module of the driver node, run as `python -m`; None where somebody else's driver is expected to run.
      executable: the same node for ros2 launch, in lib/daydreamer or lib/<package>.
      package: whose executable and parameter file these are.
      parameters: file for actor and driver, in share/<package>/config; None for none.
      remappings: of the actor.
      stop_timeout_s: that the driver may take to end, as one that has to lay its robot down first.
    """

    driver: str | None = None
    executable: str | None = None
    package: str = "daydreamer"
    parameters: str | None = None
    remappings: tuple[tuple[str, str], ...] = ()
    stop_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if (self.driver is None) != (self.executable is None):
            raise ValueError(
                f"an interface with driver={self.driver!r} and executable={self.executable!r}: state both, or neither"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Robot:
    """A robot as commands know it; what it takes to run it is imported when it runs.

    Attributes:
      name: of its folder, and on the command line.
      summary: a few words.
      tasks: by name; the first is the usual one.
      twin: 'module:function' that makes its MuJoCo twin of a `TwinConfig` and a seed; None if there is none.
      interfaces: ways to reach the real one, by name; the first is the usual one.
      tried: what it has been tried on.
    """

    name: str
    summary: str
    tasks: Mapping[str, TaskEntry]
    twin: str | None = None
    interfaces: Mapping[str, Interface] = dataclasses.field(default_factory=dict)
    tried: str = "nothing yet"

    def task(self, name: str | None = None) -> TaskEntry:
        """One of its tasks; without a name the usual one.

        Raises:
          UserError: there is no such task; lists those there are.
        """
        name = name or self.usual_task
        if name not in self.tasks:
            raise UserError(f"Robot '{self.name}' has no task '{name}'; it has {', '.join(self.tasks)}.")
        return self.tasks[name]

    @property
    def usual_task(self) -> str:
        return next(iter(self.tasks))

    def make_twin(self, config: TwinConfig, seed: int) -> Any:
        """Its twin, see `sim.twin.Twin`.

        Raises:
          UserError: there is none, or see there.
        """
        if self.twin is None:
            others = ", ".join(name for name, robot in robots().items() if robot.twin is not None)
            raise UserError(f"There is no twin of '{self.name}'; there are those of {others}.")
        return load(self.twin)(config, seed)

    def teacher(self, task: str | None = None) -> Callable[[Task, Any, int], Teacher]:
        """What makes a teacher of a task, its twin and a seed.

        Raises:
          UserError: there is no such task, or nobody who teaches it; lists what is taught.
        """
        nobody = (
            "Nobody teaches '{robot}' the task '{task}'; there are teachers of {those}. You may show it yourself: "
            "'daydreamer demonstrate {robot} {task} --by keyboard'."
        )
        maker: Callable[[Task, Any, int], Teacher] = load(self._part("teacher", task, nobody))
        return maker

    def recorded(self, task: str | None = None) -> Callable[[SessionConfig, RecordingOptions], RecordedTask]:
        """What makes a task, as others have recorded it, of a session's configuration.

        Raises:
          UserError: there is no such task, or recordings are none of it; lists those that they can be of.
        """
        nothing = (
            "What others have recorded cannot be taken for '{robot}' '{task}', but for {those}; choose --robot "
            "and --task."
        )
        maker: Callable[[SessionConfig, RecordingOptions], RecordedTask] = load(self._part("recorded", task, nothing))
        return maker

    def success_camera(self, task: str | None = None) -> str:
        """The camera by which a classifier may say that a task has been done.

        Raises:
          UserError: there is no such task, or nothing but its own rule can; lists the tasks of which one may.
        """
        none = "'{robot}' '{task}' is paid by its own rule alone; a classifier may say of a success in {those}."
        return self._part("success_camera", task, none)

    def leader(self, task: str | None = None) -> Callable[[Task, LeaderOptions], AbstractContextManager[Leader]]:
        """What opens a leader of a task, inside a block.

        Raises:
          UserError: there is no such task, or none that a leader shows; lists those that one does.
        """
        nothing = "Nothing leads '{robot}' in the task '{task}'; there are leaders of {those}."
        opener: Callable[[Task, LeaderOptions], AbstractContextManager[Leader]] = load(
            self._part("leader", task, nothing)
        )
        return opener

    def _part(self, part: str, task: str | None, missing: str) -> str:
        """The entry of one of its tasks for what not every task has.

        Args:
          part: of `TaskEntry`.
          missing: says that there is none, with {robot}, {task}, and {those} that have one.
        """
        name = task or self.usual_task
        found: str | None = getattr(self.task(name), part)
        if found is None:
            raise UserError(missing.format(robot=self.name, task=name, those=tasks_with(part)))
        return found

    def preset(self, task: str, name: str, body: Body) -> dict[str, Any]:
        """Overrides of the robot in this body and of the named preset, for `daydreamer.config.resolve`.

        Raises:
          UserError: there is no such task or preset; lists those there are.
        """
        entry = self.task(task)
        if name not in entry.presets:
            raise UserError(f"Robot '{self.name}' has no preset '{name}'; choose one of {', '.join(entry.presets)}.")
        overrides = merge(entry.overrides, ON_HARDWARE) if body == "hardware" else entry.overrides
        return merge(overrides, entry.presets[name])

    def usual_config(self) -> SessionConfig:
        """Its usual task in its twin, as the default preset has it."""
        task = self.usual_task
        return resolve({"robot": self.name, "task": task}, self.preset(task, "default", "twin"))


@dataclasses.dataclass(frozen=True)
class Found:
    """What there is under a robot's name.

    Attributes:
      robot: None if it cannot be used.
      provider: the package that brings it.
      problem: why it cannot be used, a sentence; empty if it can.
    """

    robot: Robot | None
    provider: str
    problem: str = ""


def load(where: str) -> Any:
    """What a string 'module:attribute' names.

    Raises:
      UserError: it cannot be imported, or is not there.
    """
    module, _, attribute = where.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"'{where}', which a robot's folder names, cannot be loaded ({error}).") from error


@functools.cache
def discover() -> Mapping[str, Found]:
    """Everything that calls itself a robot, by name."""
    found: dict[str, Found] = {}
    for module in pkgutil.iter_modules(folders.__path__):
        if module.ispkg:
            robot = getattr(importlib.import_module(f"{folders.__name__}.{module.name}"), "ROBOT", None)
            if robot is not None:  # otherwise what several robots share
                found[robot.name] = Found(robot, "daydreamer")
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        provider = entry.dist.name if entry.dist else "an unnamed package"
        found[entry.name] = _brought(entry, provider, found.get(entry.name))
    return found


def _brought(entry: importlib.metadata.EntryPoint, provider: str, other: Found | None) -> Found:
    if other is not None:
        problem = f"both {other.provider} and {provider} bring a robot of this name; uninstall one of them"
        return Found(None, provider, problem)
    try:
        robot = entry.load()
    except Exception as error:  # whatever a stranger's module does must not keep the others from running
        return Found(None, provider, f"{entry.value} of package {provider} fails to load ({error!r})")
    if not isinstance(robot, Robot):
        return Found(None, provider, f"{entry.value} of package {provider} is no daydreamer.robots.registry.Robot")
    if robot.name != entry.name:
        return Found(None, provider, f"package {provider} calls it '{entry.name}' and itself '{robot.name}'")
    return Found(robot, provider)


def robots() -> dict[str, Robot]:
    """Those that can be used, by name."""
    return {name: found.robot for name, found in discover().items() if found.robot is not None}


def tasks_with(attribute: str) -> str:
    """The tasks that have something, as a list for people."""
    tasks = ((name, task, entry) for name, robot in robots().items() for task, entry in robot.tasks.items())
    return ", ".join(f"{name} {task}" for name, task, entry in tasks if getattr(entry, attribute)) or "nothing"


def provider_of(name: str) -> str:
    """The package that brings a robot."""
    return discover()[name].provider


def find_robot(name: str, provider: str = "") -> Robot:
    """A robot by its name.

    Args:
      provider: package that is known to bring it, for the error.

    Raises:
      UserError: there is no such robot, or it cannot be used; says why, or lists those there are.
    """
    found = discover().get(name)
    if found is None:
        others = f"choose one of {', '.join(robots())}"
        brought = provider and provider != "daydreamer"
        cure = f"it comes with the package {provider}: pip install {provider}" if brought else others
        raise UserError(f"There is no robot '{name}' here; {cure}.")
    if found.robot is None:
        raise UserError(f"Robot '{name}' cannot be used: {found.problem}.")
    return found.robot


def make_task(config: SessionConfig, provider: str = "") -> Task:
    """The task of a session.

    Raises:
      UserError: see `find_robot` and `Robot.task`.
    """
    return find_robot(config.robot, provider).task(config.task).make(config)
