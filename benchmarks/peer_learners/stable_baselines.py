"""SAC, CrossQ and DroQ as Stable Baselines Jax (sbx) has them, on the robot."""

from __future__ import annotations

import copy
from typing import Any

from sbx import SAC, CrossQ
from stable_baselines3.common.buffers import ReplayBuffer

from peer_learners.environment import Recording, RobotEnvironment, carried_out
from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot

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
    environment = RobotEnvironment(robot)
    model = algorithm(
        "MlpPolicy",
        environment,
        buffer_size=steps,  # forgets nothing
        learning_starts=begin_steps,
        replay_buffer_class=CarriedOutReplayBuffer,
        seed=seed,
        **copy.deepcopy(arguments),  # they write into what they are given
    )
    model.learn(steps, callback=Recording(environment, record, steps))


class CarriedOutReplayBuffer(ReplayBuffer):
    """Remembers the actions that were carried out."""

    def add(self, obs, next_obs, action, reward, done, infos: list[dict[str, Any]]) -> None:
        super().add(obs, next_obs, carried_out(infos), reward, done, infos)
