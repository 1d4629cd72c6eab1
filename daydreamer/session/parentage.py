"""Which session another one began with, what of its settings goes with its networks, and what does not fit."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from daydreamer.config import Body, ModelConfig, SessionConfig
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.spec import RobotSpec, spec_difference

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Amount = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]

FREE = frozenset({"minimum_deviation", "maximum_deviation", "initial_deviation", "noise_correlation", "acting_noise"})
"""Settings of the networks that may be others than those they were trained with: how much chance is in the actions."""

EARLIEST_LEARNING_S = 20.0
"""Robot time after which learned networks go on learning, at the latest.

It holds a robot that gets up and sets out. What is learned from less is how to lie; and on hardware a policy that gets
no successor for `safety.policy_old_s` holds the robot, which then experiences nothing that a new one could come of.
"""


CARRIED_EXPERIENCE = 0.75
"""Share of what is replayed at first that is of the other session's experience, see `LearnerConfig.inherited_share`.

A robot that gets up and sets out has experienced half a minute. Networks that went on learning from that alone lost in
another half what ten minutes had taught them (benchmarks/README.md).
"""

LEAST_CAPACITY = 8192
"""Steps, of a replay in which there is room for the experience of another session."""

CARRIED_NOISE = 0.3
"""Share of its noise that a learned policy acts with on another robot, at most, see `ModelConfig.acting_noise`.

A policy that walked acted with all of it on five robots, and walked on none of them within four minutes; with this much
it walked on three of them within one (benchmarks/README.md). It has found its ways, and on another robot less to spare.
"""

SHORTFALL = 1.5
"""A policy whose mean reward is lower by this much than it was before does not do what it did.

Another robot is slower or heavier: with 0.5, a policy that walked at 13.2 where it had earned 13.8 was interrupted by
rhythms until it walked no more (benchmarks/README.md).
"""


class Parentage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which session a session began with, as `session.yaml` has it.

    Attributes:
      path: where it was then; there may be nothing, or something else, today.
      digest: SHA-256 of its `session.yaml`, which is the identity of a session.
      checkpoint: SHA-256 of the arrays of the checkpoint that was taken.
      robot, body, seed: that it ran with.
      gradient_step, env_steps: of that checkpoint.
      lived_s: robot time over which these networks have learned, in it and in those that it had itself begun with.
      reward: median of what its policy had earned a step of late; None if that is not known.
    """

    path: Annotated[str, Meta(max_length=4096)]
    digest: Digest
    checkpoint: Digest
    robot: Annotated[str, Meta(max_length=64)]
    body: Body
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    gradient_step: Amount
    env_steps: Amount
    lived_s: Annotated[float, Meta(ge=0.0, le=1e12)]
    reward: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None

    @property
    def sentence(self) -> str:
        """For people: what the networks had behind them."""
        return (
            f"what {self.path} ({self.robot}, {self.body}) had learned by gradient step {self.gradient_step}, in "
            f"{self.lived_s / 60:.1f} robot minutes"
        )


@dataclasses.dataclass(frozen=True)
class Parent:
    """A session that another one is to begin with.

    Attributes:
      parentage: what the new session will say of it.
      spec: of its robot.
      config: its settings.
      achieved: its robot had done what the task is for, see `Presentation.goal`.
      has_steps_of_others: it has a copy of steps that others experienced: of logs, of its own parent, or shown.
    """

    parentage: Parentage
    spec: RobotSpec
    config: SessionConfig
    achieved: bool = False
    has_steps_of_others: bool = False

    def settings(self, young: SessionConfig) -> dict[str, Any]:
        """What a session that begins with learned networks has in place of the settings of a young learner.

        Args:
          young: the settings that it would have otherwise.
        """
        reward, model, learner = self.parentage.reward, self.config.model, young.learner
        enough = self.has_steps_of_others or self.parentage.env_steps >= learner.batch_length
        there_is = enough and learner.replay_capacity >= LEAST_CAPACITY
        return {
            "model": msgspec.to_builtins(model) | {"acting_noise": min(model.acting_noise, CARRIED_NOISE)},
            # What the critic's values mean.
            "learner": {
                "discount": self.config.learner.discount,
                "minimum_s": min(learner.minimum_s, EARLIEST_LEARNING_S),
                "inherited_share": CARRIED_EXPERIENCE if there_is else 0.0,
            },
            "actor": {
                "random_s": max(0.0, young.actor.random_s - self.parentage.lived_s),
                # Rhythms only disturb a policy that does here what it did there, if that was worth it; another one
                # learns from them.
                "rhythm_until_reward": reward - SHORTFALL if self.achieved and reward is not None else None,
            },
        }

    def require_same_networks(self, config: SessionConfig) -> None:
        """Refuses settings under which the networks would be others.

        Raises:
          UserError: names them.
        """
        ours, theirs = config.model, self.config.model
        other = [
            f"model.{name} is {getattr(ours, name)} here and {getattr(theirs, name)} there"
            for name in ModelConfig.__struct_fields__
            if name not in FREE and getattr(ours, name) != getattr(theirs, name)
        ]
        if other:
            raise UserError(
                f"The networks of {self.parentage.path} do not fit: {'; '.join(other)}. Leave these settings out, and "
                "they are taken over."
            )

    def require_same_robot(self, spec: RobotSpec) -> None:
        """Refuses another robot or task.

        Raises:
          SpecMismatch: names both hashes and what differs.
        """
        if spec.hash != self.spec.hash:
            raise SpecMismatch(
                f"{self.parentage.path} is of robot specification {self.spec.hash}, the new session's is {spec.hash}: "
                f"{spec_difference(spec, self.spec)}. Begin with a session of this robot and task, or without --from."
            )
