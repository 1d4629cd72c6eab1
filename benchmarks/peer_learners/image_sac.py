"""SAC of stable-baselines3 (PyTorch) on pictures, with the random shifts of DrQ.

Its own `MultiInputPolicy`: the convolutions of Mnih et al. 2015 (three layers, 256 features) for each picture, vectors
beside them, two layers of 256 units; encoders of actor and critic apart, each learned by its own loss. What is ours is
only the replay buffer, which moves each picture that is drawn by up to `SHIFT` pixels, as DrQ (Yarats et al. 2021,
arXiv:2004.13649). It is not DrQ-v2, which has one encoder, n-step returns and noise that is scheduled.
"""

from __future__ import annotations

from typing import Any

import torch
import torch._dynamo  # its LLVM, of triton, has to be loaded before Mesa's, or it ends in a segmentation fault
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import DictReplayBuffer

from peer_learners.environment import Recording, RobotEnvironment, carried_out
from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot

SHIFT = 4
UPDATE_RATIO = 1


def settings(update_ratio: int, discount: float, shift: int) -> dict[str, Any]:
    """Arguments of the algorithm that are not the library's defaults.

    Args:
      discount: that of our own preset for the task.
      shift: pixels.
    """
    return {"gradient_steps": update_ratio, "gamma": discount, "replay_buffer_kwargs": {"shift": shift}}


def train(
    robot: PeerRobot, record: RunRecord, *, steps: int, seed: int, begin_steps: int, threads: int, **arguments: Any
) -> None:
    """Learns for `steps`, from step `begin_steps` on; `arguments` are `settings`."""
    torch.set_num_threads(threads)
    environment = RobotEnvironment(robot)
    model = SAC(
        "MultiInputPolicy",
        environment,
        buffer_size=steps,  # forgets nothing
        learning_starts=begin_steps,
        replay_buffer_class=ShiftingReplayBuffer,
        seed=seed,
        device="cpu",
        **arguments,
    )
    model.learn(steps, callback=Recording(environment, record, steps))


class ShiftingReplayBuffer(DictReplayBuffer):
    """Remembers the actions that were carried out, and draws pictures moved at random."""

    def __init__(self, *arguments: Any, shift: int, **named: Any):
        super().__init__(*arguments, **named)
        self._shift = shift

    def add(self, obs, next_obs, action, reward, done, infos: list[dict[str, Any]]) -> None:
        super().add(obs, next_obs, carried_out(infos), reward, done, infos)

    def sample(self, batch_size: int, env=None):
        samples = super().sample(batch_size, env)
        if not self._shift:
            return samples
        return samples._replace(
            observations={key: self._moved(value) for key, value in samples.observations.items()},
            next_observations={key: self._moved(value) for key, value in samples.next_observations.items()},
        )

    def _moved(self, values: torch.Tensor) -> torch.Tensor:
        """Pictures `[batch, channels, height, width]`, each moved by itself, its edge repeated; vectors as they are."""
        if values.ndim < 4:
            return values
        most = self._shift
        batch, channels, height, width = values.shape
        padded = torch.nn.functional.pad(values.float(), (most,) * 4, mode="replicate").to(values.dtype)
        down, right = torch.randint(0, 2 * most + 1, (2, batch))
        rows = (down[:, None] + torch.arange(height))[:, None, :, None]
        columns = (right[:, None] + torch.arange(width))[:, None, None, :]
        which = torch.arange(batch)[:, None, None, None]
        return padded[which, torch.arange(channels)[None, :, None, None], rows, columns]
