"""The twin behind our own control loop, for a learner that asks for a step instead of being asked for an action."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import ActorConfig, SessionConfig
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Behavior, Ending, Task, TaskState
from daydreamer.experience.step import Step
from daydreamer.robots.registry import find_robot, make_task
from sim.twin import TwinTruth


class PeerRobot:
    """A robot that lives as under `daydreamer train`: same clock, exploration, filter, safety, observation, reward.

    The control loop runs on a thread of its own, which waits wherever it has made an observation until the learner has
    answered it; so nothing happens at the same time. Nothing is ever reset: an episode ends by its number of steps or
    where the task says so, and the next one begins where the robot is, or where it has gone by itself. The steps of the
    first `actor.random_s` ignore the given actions; with one seed they are those of `daydreamer train`. So do the
    random moves after a fall (`actor.fallen_reward`) and the rhythms of a standing robot (`actor.rhythm_hz`).

    Attributes:
      spec: of the robot and its task.
      restarts: whether something happens between two episodes that is no experience.
      state: what the task makes of the newest measurement; the next step's action answers it.
      is_first, is_last: whether the next step begins an episode, and ends one.
      last_step: as the loop logged it; None before the first.
      last_truth: the simulator's own state when `last_step` was taken; for evaluation only.
      last_ending: how `last_step` ended its episode for good, if it did.
    """

    state: TaskState

    def __init__(self, config: SessionConfig):
        """Puts the robot where it begins, and waits for its first observation.

        Raises:
          UserError: see `Twin`.
        """
        task = make_task(config)
        self.spec = task.spec
        self.restarts = type(task).restart is not Task.restart
        self.is_first, self.is_last = True, False
        self.last_step: Step | None = None
        self.last_truth: TwinTruth | None = None
        self.last_ending: Ending | None = None
        self._truth: TwinTruth | None = None
        self._policy = _GivenAction()
        self._answers: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._episode_steps = 0
        self._thread = threading.Thread(target=self._live, args=(config, task), name="robot", daemon=True)
        self._thread.start()
        self._wait()

    def step(self, action: np.ndarray) -> Step:
        """One control period; `action_requested` of the result was carried out, in random steps another than given."""
        self.last_truth, self.last_ending = self._truth, self.state.ending
        self._answers.put(action)
        self._wait()
        assert self.last_step is not None
        return self.last_step

    def append(self, step: Step) -> None:
        """Called by the control loop, which takes this for its log."""
        self.last_step = step

    def close(self) -> None:
        self._answers.put(None)
        self._thread.join()

    def _wait(self) -> None:
        """For the next observation."""
        if (error := self._asked.get()) is not None:
            raise error

    # On the thread of the robot.

    def _live(self, config: SessionConfig, task: Task) -> None:
        try:
            twin = find_robot(config.robot).make_twin(config.twin, config.seed)
        except Exception as error:  # the learner's thread is where it is handled
            self._asked.put(error)
            return
        try:
            loop = ControlLoop(
                _AskingTask(task, self._ask),
                config.actor,
                self,
                actor_life=1,
                seed=config.seed,
                clock=lambda: twin.time_s,
            )
            loop.set_policy(self._policy)
            self._read_truth = twin.truth
            while True:
                command = loop.step(twin.measure(), twin.time_s)
                twin.command(None if command.relaxes else command.setpoint)
                twin.advance(loop.tick_period_s)
        except _Closed:
            pass
        except Exception as error:
            self._asked.put(error)
        finally:
            twin.close()

    def _ask(self, state: TaskState) -> None:
        """Hands the learner an observation, and waits for its action."""
        self.state, self._truth = state, self._read_truth()
        self.is_first = self._episode_steps == 0
        self._episode_steps += 1
        self.is_last = state.ending is not None or self._episode_steps == self.spec.episode_steps
        if self.is_last:
            self._episode_steps = 0
        self._asked.put(None)
        action = self._answers.get()
        if action is None:
            raise _Closed
        self._policy.action = action


class _Closed(Exception):
    """The robot is not needed any more."""


class _AskingTask(Task):
    """A task that has the learner asked at each observation, whoever chooses the action in the end."""

    def __init__(self, task: Task, ask: Callable[[TaskState], None]):
        self.spec, self.embodiment = task.spec, task.embodiment
        self._task, self._ask = task, ask

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        return self._task.setpoint(action, measurement, sent)

    def make_behavior(self, config: ActorConfig, generator: np.random.Generator) -> Behavior | None:
        return self._task.make_behavior(config, generator)

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        return self._task.restart(measurement, elapsed_s)

    def reset(self) -> None:
        self._task.reset()

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        state = self._task.observe(measurement, sent)
        self._ask(state)
        return state


class _GivenAction:
    """A policy that answers what it was told to."""

    version = 1
    created_wall_s = 0.0
    action: np.ndarray

    def initial_state(self) -> None:
        return None

    def __call__(self, observation: dict[str, np.ndarray], state: None, is_first: bool) -> tuple[np.ndarray, None]:
        return self.action, None
