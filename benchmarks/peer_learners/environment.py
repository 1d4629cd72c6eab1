"""The robot as an environment of Gymnasium, and what stable-baselines3 and its kin need besides to learn on it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from daydreamer.experience.step import Step
from peer_learners.measured import Measured
from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot
from sim.twin import TwinTruth

CARRIED_OUT = "action_carried_out"
"""Key of the environment's info."""

Observation = np.ndarray | dict[str, np.ndarray]


class RobotEnvironment(gymnasium.Env):
    """Observation keys in their order as one vector, with cameras by key; or what is measured, with their hues.

    An episode of a robot that goes on where the last one ended is truncated, and its last action leads to the first
    observation of the next. One that begins elsewhere ends at its last observation, terminated if the task says so;
    the last action leads nowhere then, and is zero.
    """

    def __init__(self, robot: PeerRobot, measured: Measured | None = None):
        """`measured` makes one vector of observations, pictures and all."""
        self._robot, self._measured = robot, measured
        self._taken: list[tuple[Step, TwinTruth | None, str | None]] = []
        spaces = robot.spec.observation
        self._by_key = measured is None and any(space.is_image for space in spaces.values())
        if self._by_key:
            self.observation_space = gymnasium.spaces.Dict(
                {
                    key: gymnasium.spaces.Box(0, 255, space.shape, np.uint8)
                    if space.is_image
                    else gymnasium.spaces.Box(-np.inf, np.inf, space.shape, np.float32)
                    for key, space in spaces.items()
                }
            )
        else:
            size = measured.size if measured else sum(space.size for space in spaces.values())
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, robot.spec.action.shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Observation, dict]:
        """Goes on: nobody picks the robot up. No time passes but what the robot takes to begin an episode by itself."""
        if self._robot.restarts and self._robot.is_last:
            self._step(np.zeros(self.action_space.shape, np.float32))
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[Observation, float, bool, bool, dict]:
        step, state = self._step(action), self._robot.state
        terminated = state.ending is not None
        ends = self._robot.is_last if self._robot.restarts else step.is_last
        info = {CARRIED_OUT: step.action_requested}
        return self._observation(), state.reward, terminated, ends and not terminated, info

    def take(self) -> list[tuple[Step, TwinTruth | None, str | None]]:
        """Steps since the last call, with what was true when they were taken, and how they ended their episode."""
        taken, self._taken = self._taken, []
        return taken

    def _step(self, action: np.ndarray) -> Step:
        step = self._robot.step(action)
        self._taken.append((step, self._robot.last_truth, self._robot.last_ending))
        return step

    def _observation(self) -> Observation:
        observation = self._robot.state.observation
        if self._measured:
            return self._measured(observation)
        return observation if self._by_key else np.concatenate(list(observation.values()))


def carried_out(infos: list[dict[str, Any]]) -> np.ndarray:
    """Actions `[environments, action]`: the random ones of the beginning are the control loop's own."""
    return np.stack([info[CARRIED_OUT] for info in infos])


class Recording(BaseCallback):
    """Records the robot's steps, and ends the run after `steps` of them."""

    def __init__(self, environment: RobotEnvironment, record: RunRecord, steps: int):
        super().__init__()
        self._environment, self._record, self._steps = environment, record, steps

    def _on_step(self) -> bool:
        for taken in self._environment.take():
            self._record.add(*taken, self.model._n_updates)
        return self._record.steps < self._steps
