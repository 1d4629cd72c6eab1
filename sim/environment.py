"""Any robot's task in its twin as a dm_control or Gymnasium environment, for learners that are not ours, without ROS.

::

    environment = make_environment("a1")
    time_step = environment.reset()
    while True:
        time_step = environment.step(policy(time_step.observation))

Reward and observation come from the same task as on the robot, out of the noisy sensors; the simulator's truth is
there to evaluate, and for nothing else. As on a real robot nobody picks it up between episodes: the first one begins
in the twin's initial state, every later one where the last one ended.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from dm_control.rl import control
from dm_env import specs

from daydreamer.config import ActorConfig, SessionConfig
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, TaskState
from daydreamer.errors import UserError
from daydreamer.robots.registry import find_robot
from daydreamer.spec import Space
from sim.twin import Twin, TwinTruth

if TYPE_CHECKING:
    import gymnasium


class TwinPhysics(control.Physics):
    """A twin behind dm_control's interface to physics.

    Attributes:
      twin: the simulated robot.
      tick: tells the robot what to do; called this often in each control step, `ticks_per_step`.
    """

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        self.tick: Callable[[], None] = lambda: None
        self.ticks_per_step = 1

    def step(self, n_sub_steps: int = 1) -> None:
        """One control step."""
        ends = [round(n_sub_steps * tick / self.ticks_per_step) for tick in range(self.ticks_per_step + 1)]
        for begin, end in itertools.pairwise(ends):
            self.tick()
            self.twin.step_physics(end - begin)

    def time(self) -> float:
        return self.twin.time_s

    def timestep(self) -> float:
        return self.twin.config.physics_timestep_s

    def reset(self) -> None:
        """Nothing: a new twin is in its initial state, and between episodes the world goes on."""

    def after_reset(self) -> None:
        pass

    def get_state(self) -> np.ndarray:
        """Positions and velocities of everything in the world."""
        return np.concatenate((self.twin.data.qpos, self.twin.data.qvel))

    def set_state(self, state: np.ndarray) -> None:
        raise NotImplementedError("a twin's driver and sensors have a memory that a state vector does not hold")

    def render(self, height: int = 240, width: int = 320, camera_id: str = "side") -> np.ndarray:
        """Picture `[height, width, 3]`, uint8, from a camera of the model; see `Twin.render`."""
        return self.twin.render(height, width, camera_id)

    def free(self) -> None:
        """Frees the renderers."""
        self.twin.close()


class RobotTask(control.Task):
    """Carries out actions as the control loop does, and asks the robot's task for observation and reward.

    Attributes:
      robot_task: the task the actor runs.
      state: what it made of the latest measurement.
    """

    def __init__(self, make: Callable[[int], Task], seed: int, actor: ActorConfig) -> None:
        """A task that has not begun.

        Args:
          make: a new one of a seed.
        """
        self._make = make
        self.robot_task = make(seed)
        robot, rate_hz = self.robot_task.embodiment, self.robot_task.spec.control_rate_hz
        self.state: TaskState | None = None
        self.ticks_per_step = robot.ticks_per_step(rate_hz)
        # As in the tasks of dm_control's suite, whose adapters put a newly seeded one here to begin anew.
        self._random: np.random.RandomState | None = None
        self._begun_with: np.random.RandomState | None = None
        self._guard = robot.make_guard(robot.limits, actor.low_pass_cutoff_hz, rate_hz * self.ticks_per_step)
        self._restart_timeout_s = actor.restart_timeout_s
        self._measurement: Measurement | None = None
        self._requested: np.ndarray | None = None
        self._sent: np.ndarray | None = None

    def initialize_episode(self, physics: TwinPhysics) -> None:
        if self._random is not self._begun_with:
            seed = self._random.randint(2**31)
            physics.twin.reset(seed=seed)
            self.robot_task = self._make(seed)
            self._begun_with, self.state = self._random, None
        if self.state is None or self._restart(physics):
            self.robot_task.reset()
            self._measurement = physics.twin.measure()
            self._sent = self.robot_task.embodiment.measured_setpoint(self._measurement)
            self._guard.depart(self._sent)
            self.state = self.robot_task.observe(self._measurement, self._sent)

    def _restart(self, physics: TwinPhysics) -> bool:
        """What the robot does by itself to begin an episode; whether that was anything."""
        begin_s, moved = physics.twin.time_s, False
        period_s = self.robot_task.spec.control_period_s / self.ticks_per_step
        while (elapsed_s := physics.twin.time_s - begin_s) < self._restart_timeout_s:
            self._measurement = physics.twin.measure()
            self._requested = self.robot_task.restart(self._measurement, elapsed_s)
            if self._requested is None:
                break
            moved = True
            self.tick(physics)
            physics.twin.advance(period_s)
        return moved

    def before_step(self, action: np.ndarray, physics: TwinPhysics) -> None:
        self._requested = self.robot_task.setpoint(action, self._measurement, self._sent)
        physics.ticks_per_step, physics.tick = self.ticks_per_step, functools.partial(self.tick, physics)

    def tick(self, physics: TwinPhysics) -> None:
        """Tells the robot the nearest to what is asked of it that its guard allows, given where it is now."""
        if physics.twin.time_s > self._measurement.time_s:
            self._measurement = physics.twin.measure()
        measured = self.robot_task.embodiment.measured_setpoint(self._measurement)
        self._sent = self._guard.command(self._requested, measured).setpoint
        physics.twin.command(self._sent)

    def after_step(self, physics: TwinPhysics) -> None:
        self._measurement = physics.twin.measure()
        self.state = self.robot_task.observe(self._measurement, self._sent)

    def get_reward(self, physics: TwinPhysics) -> float:
        return self.state.reward

    def get_termination(self, physics: TwinPhysics) -> float | None:
        """Discount 0 where the task has ended for good; None where it goes on."""
        return None if self.state.ending is None else 0.0

    def get_observation(self, physics: TwinPhysics) -> OrderedDict[str, np.ndarray]:
        return OrderedDict(self.state.observation)

    def action_spec(self, physics: TwinPhysics) -> specs.Array:
        return _array_spec("action", self.robot_task.spec.action)

    def observation_spec(self, physics: TwinPhysics) -> OrderedDict[str, specs.Array]:
        observation = self.robot_task.spec.observation
        return OrderedDict((key, _array_spec(key, space)) for key, space in observation.items())


class TwinEnvironment(control.Environment):
    """`control.Environment` that shows the reward's terms and the simulator's truth."""

    @property
    def task_state(self) -> TaskState:
        """Observation, reward, reward terms and odometry after the latest step."""
        return self.task.state

    @property
    def truth(self) -> TwinTruth:
        """The simulator's own state, for evaluation."""
        return self.physics.twin.truth()

    def close(self) -> None:
        self.physics.twin.close()


def make_environment(robot: str, config: SessionConfig | None = None) -> TwinEnvironment:
    """The task of a robot, at its control rate.

    The discount is 0 where an episode ends for good, and 1 at its time limit.

    Args:
      robot: by the name of its folder.
      config: twin, filter, restart timeout and seed; that of the robot's default preset if None.

    Raises:
      UserError: there is no such robot, or it has no twin; or its time step does not divide a control step, which
        dm_control wants. Or see `Twin`.
    """
    entry = find_robot(robot)
    if config is None:
        config = entry.usual_config()

    def make_task(seed: int) -> Task:
        return entry.task(config.task).make(msgspec.structs.replace(config, seed=seed))

    task = RobotTask(make_task, config.seed, config.actor)
    spec, timestep_s = task.robot_task.spec, config.twin.physics_timestep_s
    physics_steps = spec.control_period_s / timestep_s
    if not math.isclose(physics_steps, round(physics_steps)):
        raise UserError(
            f"twin.physics_timestep_s is {timestep_s:g}; a control step of {spec.control_period_s:g} s has to be a "
            "multiple of it."
        )
    return TwinEnvironment(
        TwinPhysics(entry.make_twin(config.twin, config.seed)),
        task,
        # Half a step less: the step limit must not hang on the rounding of 250 x 0.05.
        time_limit=(spec.episode_steps - 0.5) * spec.control_period_s,
        control_timestep=spec.control_period_s,
    )


def make_gymnasium(
    robot: str, config: SessionConfig | None = None, **options: Any
) -> gymnasium.Env[dict[str, np.ndarray], np.ndarray]:
    """`make_environment` behind Gymnasium's interface, for stable-baselines3 and its kin.

    An episode is truncated at its time limit, and terminated where the task ends it for good. The next one begins where
    it ended; `reset(seed=...)` alone puts the robot into its initial state.

    Args:
      robot, config: see `make_environment`.
      options: of shimmy's adapter, as `render_mode="rgb_array"`.

    Raises:
      UserError: shimmy is not installed. Or see `make_environment`.
    """
    try:
        from shimmy.dm_control_compatibility import DmControlCompatibilityV0
    except ModuleNotFoundError as error:
        raise UserError(
            f"Gymnasium's interface needs {error.name}, which is not installed: pip install 'daydreamer[gymnasium]'."
        ) from error
    return DmControlCompatibilityV0(make_environment(robot, config), **options)


def _array_spec(name: str, space: Space) -> specs.Array:
    if space.is_discrete:
        return specs.DiscreteArray(space.classes, np.int32, name)
    if space.low is None or space.high is None:
        return specs.Array(space.shape, space.dtype, name)
    return specs.BoundedArray(space.shape, space.dtype, space.low, space.high, name)
