"""SAC, CrossQ and DroQ as Stable Baselines Jax (sbx) has them, on the robot."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
from sbx import SAC, CrossQ
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot

CARRIED_OUT = "action_carried_out"
"""Key of the environment's info."""

UPDATE_RATIOS = {"sac": 1, "crossq": 1, "droq": 20}
"""Gradient steps of the critic per environment step, as published."""


def settings(peer: str, update_ratio: int) -> dict[str, Any]:
    """Arguments of the algorithm that are not the library's defaults.

    Sources: SAC, Haarnoja et al. 2018 (arXiv:1812.05905), whose settings are the defaults; CrossQ, Bhatt et al. 2024
    (arXiv:1902.05605), where the library's critic is half as wide; DroQ, Hiraoka et al. 2022 (arXiv:2110.02034),
    which is SAC with dropout and layer normalisation and one actor update per environment step.
    """
    algorithm: dict[str, Any] = {}
    if peer == "crossq":
        algorithm = {"policy_kwargs": {"net_arch": {"pi": [256, 256], "qf": [2048, 2048]}}}
    if peer == "droq":
        algorithm = {"policy_delay": update_ratio, "policy_kwargs": {"dropout_rate": 0.01, "layer_norm": True}}
    return algorithm | {"gradient_steps": update_ratio}


def train(robot: PeerRobot, record: RunRecord, peer: str, *, steps: int, seed: int, begin_steps: int, **arguments):
    """Learns for `steps`, from step `begin_steps` on; `arguments` are `settings`."""
    algorithm = CrossQ if peer == "crossq" else SAC
    model = algorithm(
        "MlpPolicy",
        RobotEnvironment(robot),
        buffer_size=steps,  # forgets nothing
        learning_starts=begin_steps,
        replay_buffer_class=CarriedOutReplayBuffer,
        seed=seed,
        **copy.deepcopy(arguments),  # they write into what they are given
    )
    model.learn(steps, callback=_Recording(robot, record))


class RobotEnvironment(gymnasium.Env):
    """Observation keys in their order as one vector; episodes are truncated, never terminated."""

    def __init__(self, robot: PeerRobot):
        self._robot = robot
        size = sum(space.size for space in robot.spec.observation.values())
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, robot.spec.action.shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Goes on: nobody picks the robot up, and no time passes."""
        return _vector(self._robot.state.observation), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        step = self._robot.step(action)
        state = self._robot.state
        observation = state.observation
        return _vector(observation), state.reward, False, step.is_last, {CARRIED_OUT: step.action_requested}


class CarriedOutReplayBuffer(ReplayBuffer):
    """Remembers the actions that were carried out: the random ones of the beginning are the control loop's own."""

    def add(self, obs, next_obs, action, reward, done, infos: list[dict[str, Any]]) -> None:
        action = np.stack([info[CARRIED_OUT] for info in infos])
        super().add(obs, next_obs, action, reward, done, infos)


class _Recording(BaseCallback):
    def __init__(self, robot: PeerRobot, record: RunRecord):
        super().__init__()
        self._robot = robot
        self._record = record

    def _on_step(self) -> bool:
        self._record.add(self._robot.last_step, self._robot.last_truth, self.model._n_updates)
        return True


def _vector(observation: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate(list(observation.values()))
