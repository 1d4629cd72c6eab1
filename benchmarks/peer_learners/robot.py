"""The twin behind our own control loop, for a learner that asks for a step instead of being asked for an action."""

from __future__ import annotations

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import ActorConfig, SessionConfig
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Behavior, Task, TaskState
from daydreamer.experience.step import Step
from daydreamer.robots.registry import find_robot, make_task
from sim.twin import TwinTruth


class PeerRobot:
    """A robot that lives as under `daydreamer train`: same clock, exploration, filter, safety, observation, reward.

    Nothing is ever reset: an episode ends by its number of steps, and the next one begins where the robot is. The
    steps of the first `actor.random_s` ignore the given actions; with one seed they are those of `daydreamer train`.
    So do the random moves after a fall (`actor.fallen_reward`) and the rhythms of a standing robot (`actor.rhythm_hz`).

    Attributes:
      spec: of the robot and its task.
      state: what the task makes of the newest measurement; the next step's action answers it.
      last_step: as the loop logged it; None before the first.
      last_truth: the simulator's own state when `last_step` was taken; for evaluation only.
    """

    def __init__(self, config: SessionConfig):
        """Puts the robot on its back."""
        self._task = _SensedTask(make_task(config))
        self.spec = self._task.spec
        self._twin = find_robot(config.robot).make_twin(config.twin, config.seed)
        self._policy = _GivenAction()
        self._loop = ControlLoop(
            self._task,
            config.actor,
            self,
            actor_life=1,
            seed=config.seed,
            clock=lambda: self._twin.time_s,
        )
        self._loop.set_policy(self._policy)
        self.last_step: Step | None = None
        self.last_truth: TwinTruth | None = None
        self._sense()

    @property
    def state(self) -> TaskState:
        return self._task.state

    @property
    def is_first(self) -> bool:
        """Whether the next step begins an episode."""
        return self._loop.statistics.own_steps % self.spec.episode_steps == 0

    @property
    def is_last(self) -> bool:
        """Whether the next step ends an episode."""
        return (self._loop.statistics.own_steps + 1) % self.spec.episode_steps == 0

    def step(self, action: np.ndarray) -> Step:
        """One control period; `action_requested` of the result was carried out, in random steps another than given."""
        self._policy.action = action
        self.last_truth = self._twin.truth()
        command = self._loop.step(self._measurement, self._twin.time_s)
        self._twin.command(None if command.relaxes else command.setpoint)
        self._twin.advance(self.spec.control_period_s)
        self._sense()
        return self.last_step

    def append(self, step: Step) -> None:
        """Called by the control loop, which takes this for its log."""
        self.last_step = step

    def close(self) -> None:
        self._twin.close()

    def _sense(self) -> None:
        self._measurement = self._twin.measure()
        followed = self._measurement["joint_position_rad"] if self.last_step is None else self.last_step.action_sent
        self._task.sense(self._measurement, followed)


class _SensedTask(Task):
    """A task that is updated before the control loop asks for it, because the learner needs the result before."""

    def __init__(self, task: Task):
        self.spec, self.embodiment = task.spec, task.embodiment
        self._task = task

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        return self._task.setpoint(action, measurement, sent)

    def make_behavior(self, config: ActorConfig, generator: np.random.Generator) -> Behavior | None:
        return self._task.make_behavior(config, generator)

    def sense(self, measurement: Measurement, sent: np.ndarray) -> None:
        self._sensed = (measurement, sent)
        self.state = self._task.observe(*self._sensed)

    def reset(self) -> None:
        """Forgets what came before the newest measurement."""
        self._task.reset()
        self.sense(*self._sensed)

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        return self.state


class _GivenAction:
    """A policy that answers what it was told to."""

    version = 1
    created_wall_s = 0.0
    action: np.ndarray

    def initial_state(self) -> None:
        return None

    def __call__(self, observation: dict[str, np.ndarray], state: None, is_first: bool) -> tuple[np.ndarray, None]:
        return self.action, None
