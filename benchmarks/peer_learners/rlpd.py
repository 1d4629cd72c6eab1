"""RLPD (Ball et al. 2023, arXiv:2302.02948): the SAC of Stable Baselines Jax (sbx), half of each batch demonstrations.

The settings are those that its authors publish for what is nearest, the sparsely rewarded hands of 'Adroit binary'
(https://github.com/ikostrikov/rlpd): ten critics with layer normalisation, of which two, drawn anew for each gradient
step, make the target; no entropy in the target; three layers of 256 units; twenty gradient steps of the critics per
step of the robot and one of the actor, after the mean of all critics. Discount, rates and batch are the library's
defaults, which are theirs. The library's own remain how weights begin, and that the temperature's logarithm is learned.

The temperature begins at 1 and falls by 0.03 % with a step at most: to 0.7 in two minutes of 10 Hz, to 0.03 in twenty.
HIL-SERL (https://github.com/rail-berkeley/hil-serl), which is RLPD on arms, begins at 0.01, with two critics
and two gradient steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import jax
import torch
from flax.training.train_state import TrainState
from jax import Array
from sbx import SAC
from sbx.common.policies import VectorCritic
from sbx.common.type_aliases import RLTrainState
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from peer_learners.environment import Recording, RobotEnvironment
from peer_learners.measured import Measured
from peer_learners.record import RunRecord
from peer_learners.robot import PeerRobot
from peer_learners.shown import Shown
from peer_learners.stable_baselines import CarriedOutReplayBuffer

UPDATE_RATIO = 20
CRITICS, TARGETS = 10, 2
TEMPERATURE = 1.0


def settings(update_ratio: int, critics: int, temperature: float, action_size: int) -> dict[str, Any]:
    """Arguments of the algorithm that are not the library's defaults; `temperature` is where that begins."""
    return {
        "ent_coef": f"auto_{temperature}",
        "gradient_steps": update_ratio,
        "policy_delay": update_ratio,
        "target_entropy": -action_size / 2,
        "policy_kwargs": {"n_critics": critics, "layer_norm": True, "net_arch": [256, 256, 256]},
    }


def train(
    robot: PeerRobot, record: RunRecord, shown: Shown, *, steps: int, seed: int, begin_steps: int, **arguments: Any
) -> None:
    """Learns for `steps`, from step `begin_steps` on; `arguments` are `settings`."""
    environment = RobotEnvironment(robot, Measured(robot.spec.observation))
    model = RLPD(
        "MlpPolicy",
        environment,
        buffer_size=steps,  # forgets nothing
        learning_starts=begin_steps,
        replay_buffer_class=HalfShownReplayBuffer,
        replay_buffer_kwargs={"shown": shown},
        seed=seed,
        **copy.deepcopy(arguments),  # they write into what they are given
    )
    model.learn(steps, callback=Recording(environment, record, steps))


class HalfShownReplayBuffer(CarriedOutReplayBuffer):
    """Remembers the actions that were carried out, and draws every other transition from demonstrations."""

    def __init__(self, buffer_size: int, observation_space, action_space, *, shown: Shown, **named: Any):
        super().__init__(buffer_size, observation_space, action_space, **named)
        self._shown = ReplayBuffer(len(shown), observation_space, action_space, **named)
        rows = (shown.observations, shown.next_observations, shown.actions, shown.rewards, shown.ends)
        for row in zip(*rows, strict=True):
            self._shown.add(*row, infos=[{}])

    def sample(self, batch_size: int, env=None) -> ReplayBufferSamples:
        """A batch of an even number; whoever takes a part of it, from an even place on, takes as many of both."""
        halves = zip(super().sample(batch_size // 2, env), self._shown.sample(batch_size // 2, env), strict=True)
        return ReplayBufferSamples(
            *(None if own is None else torch.stack((own, shown), 1).flatten(0, 1) for own, shown in halves)
        )


class RLPD(SAC):
    """What makes RLPD of the library's SAC, which is given other critics and another entropy than it knows of."""

    def _setup_model(self) -> None:
        super()._setup_model()
        critics: VectorCritic = self.qf
        self.policy.qf_state = self.policy.qf_state.replace(apply_fn=_as_many_as_given(critics))

    @staticmethod
    def update_critic(
        actor_state: TrainState, qf_state: RLTrainState, ent_coef_state: TrainState, *batch: Array
    ) -> tuple[RLTrainState, tuple[Array, Array], Array]:
        """A target of `TARGETS` critics, without the entropy of what comes after."""
        *batch, key = batch
        key, drawing_key = jax.random.split(key)
        critics = _count(qf_state.target_params)
        drawn = jax.random.choice(drawing_key, critics, (TARGETS,), replace=False)
        targets = jax.tree.map(lambda parameter: parameter[drawn], qf_state.target_params)
        updated, (loss, _), key = SAC.update_critic(
            actor_state,
            qf_state.replace(target_params=targets),
            ent_coef_state.replace(apply_fn=_no_entropy),
            *batch,
            key,
        )
        entropy_scale = ent_coef_state.apply_fn({"params": ent_coef_state.params})
        return updated.replace(target_params=qf_state.target_params), (loss, entropy_scale), key

    @staticmethod
    def update_actor(
        actor_state: TrainState, qf_state: RLTrainState, ent_coef_state: TrainState, observations: Array, key: Array
    ) -> tuple[TrainState, RLTrainState, Array, Array, Array]:
        """After the mean of all critics."""
        mean_state = qf_state.replace(apply_fn=_mean_of(qf_state.apply_fn))
        actor_state, _, *others = SAC.update_actor(actor_state, mean_state, ent_coef_state, observations, key)
        return actor_state, qf_state, *others


def _as_many_as_given(critics: VectorCritic) -> Callable[..., Array]:
    """Values of as many critics as there are parameters of."""

    def apply(variables: Any, *arguments: Array, **named: Any) -> Array:
        return critics.clone(n_critics=_count(variables)).apply(variables, *arguments, **named)

    return apply


def _count(variables: Any) -> int:
    """How many critics there are, which is the length of the first axis of all their parameters."""
    return len(jax.tree.leaves(variables)[0])


def _mean_of(apply: Callable[..., Array]) -> Callable[..., Array]:
    """The mean of critics, in place of each of them, `[1, batch, 1]`."""
    return lambda *arguments, **named: apply(*arguments, **named).mean(axis=0, keepdims=True)


def _no_entropy(variables: Any) -> float:
    return 0.0
