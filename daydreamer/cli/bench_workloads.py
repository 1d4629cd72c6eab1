"""What the benchmarks run: a robot's spaces with sizes of networks, batches and imagination."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from daydreamer.config import LearnerConfig, ModelConfig, resolve
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from daydreamer.spec import RobotSpec, Space


@dataclass(frozen=True)
class Workload:
    """Sizes of one learner.

    Attributes:
      name: on the command line.
      spec: a robot with continuous actions.
      model, learner: its configuration.
    """

    name: str
    spec: RobotSpec
    model: ModelConfig
    learner: LearnerConfig


def _vector_robot(observation_size: int, action_size: int) -> RobotSpec:
    return RobotSpec(
        robot="bench",
        task="bench",
        control_rate_hz=20.0,
        episode_steps=250,
        joint_names=tuple(f"joint_{n}" for n in range(action_size)),
        foot_names=(),
        observation={"vector": Space((observation_size,))},
        action=Space((action_size,), low=-1.0, high=1.0),
        reward_terms=("reward",),
    )


# The sizes that DreamerV3 publishes as `size1m`, its batch, and imagination from every replayed step: what learners
# can be compared on. Where it decodes vectors by three layers, one predicts them here, as part of the state.
REFERENCE = Workload(
    "reference",
    _vector_robot(observation_size=33, action_size=12),
    ModelConfig(
        deterministic=512,
        blocks=8,
        hidden=64,
        stochastic=32,
        classes=4,
        units=64,
        acts_on_recurrent_state=True,
        bins=255,
        encoder_layers=3,
        head_layers=1,
        actor_layers=3,
        critic_layers=3,
    ),
    LearnerConfig(
        batch_size=16,
        batch_length=64,
        imagination_starts=16 * 64,
        imagination_horizon=15,
        actor_gradient="reinforce",
    ),
)

DEFAULT = Workload("default", QuadrupedWalkTask(A1).spec, ModelConfig(), LearnerConfig())
"""What `daydreamer walk` runs for the A1."""

_TINY = resolve(find_robot("a1").preset("walk", "tiny", "twin"))
TINY = Workload("tiny", DEFAULT.spec, _TINY.model, _TINY.learner)
"""What `daydreamer walk --preset tiny` runs: whether a machine can do it at all, within a minute."""

IMAGE = Workload(
    "image",
    msgspec.structs.replace(
        _vector_robot(observation_size=2, action_size=2),
        control_rate_hz=5.0,
        episode_steps=50,
        observation={"vector": Space((2,)), "camera": Space((64, 64, 3), "uint8", 0, 255)},
    ),
    ModelConfig(),
    LearnerConfig(batch_size=8, batch_length=32, imagination_starts=128, imagination_horizon=10),
)
"""A robot on wheels that finds its way by its camera, with networks of the default's sizes."""

WORKLOADS = {workload.name: workload for workload in (REFERENCE, DEFAULT, TINY, IMAGE)}


def find_workload(name: str) -> Workload:
    """The workload of that name.

    Raises:
      UserError: there is none.
    """
    if name not in WORKLOADS:
        raise UserError(f"There is no workload '{name}'; choose one of {', '.join(WORKLOADS)}.")
    return WORKLOADS[name]
