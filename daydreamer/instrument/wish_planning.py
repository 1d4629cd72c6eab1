"""A robot that is driven by planning in the model it has, for a reward that it has never learned.

It plans as `daydreamer.policy.planning` does, about the policy, or about the action 0. There is no critic of a wish:
what comes after the horizon does not count.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array

from daydreamer.config import PlanConfig, SessionConfig
from daydreamer.errors import UserError
from daydreamer.instrument.wishing import WishedWorldModel
from daydreamer.policy.planning import PlanFunction, Planner
from daydreamer.policy.policy import Policy

Proposal = Literal["policy", "none"]
PROPOSALS: tuple[Proposal, ...] = get_args(Proposal)

PLAN = PlanConfig(samples=96, horizon_s=0.6, iterations=1, temperature=0.5, exploration=0.0)
"""How a wish is planned, unless somebody says otherwise."""
SPREAD = 0.2
"""Deviation of what is tried from the policy, or from the action 0, before squashing."""


def find_proposal(name: str) -> Proposal:
    """The proposal of this name.

    Raises:
      UserError: there is none; says what there is.
    """
    for each in PROPOSALS:
        if each == name:
            return each
    raise UserError(f"--proposal is '{name}'; choose {' or '.join(PROPOSALS)}.")


class WishPlanFunction(PlanFunction):
    """As `PlanFunction`, for a wish: nothing is known of what comes after the horizon.

    A policy that is sure of what it does for its task is not so for the wish: its own deviation does not count.
    """

    def _action(self, parameters, features: Array, deviations: Array) -> Array:
        mean = self._actor_critic.actor(parameters["actor"], features).mean
        assert mean is not None, "a planner has no discrete actions"
        return jnp.tanh(mean + SPREAD * deviations)

    def _value(self, parameters, features: Array) -> Array:
        return jnp.zeros(features.shape[:-1])


def make_planner(model: WishedWorldModel, config: SessionConfig, *, horizon_s: float, samples: int) -> Planner:
    """What plans a wish in a session's model, with its discount.

    Raises:
      UserError: actions are discrete.
    """
    plan = msgspec.structs.replace(PLAN, horizon_s=horizon_s, samples=samples)
    config = msgspec.structs.replace(config, actor=msgspec.structs.replace(config.actor, plan=plan))
    return Planner(model.spec, config, function=WishPlanFunction(model, config.learner, plan))


def make_policy(parameters: dict[str, Any], model: WishedWorldModel, version: int, seed: int) -> Policy:
    """The policy of a whole model, which acts by its mean, and can plan."""
    config = msgspec.structs.replace(model.config, acting_noise=0.0)
    return Policy(jax.device_put(parameters), model.spec, config, version, seed=seed)


def without_policy(parameters: dict[str, Any]) -> dict[str, Any]:
    """The same model with an actor that answers 0, whatever it sees."""
    return parameters | {"actor": jax.tree.map(np.zeros_like, parameters["actor"])}
