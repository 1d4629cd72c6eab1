"""Planning at act time: before it acts, the policy tries variations of what it would do in the world model.

Model predictive path integral control (Williams et al. 2017) with the policy as its proposal and the critic at its end,
as TD-MPC2 plans (Hansen et al. 2024). What varies is the policy's own noise, not the actions: at every imagined state
the policy answers again, so that a plan is a way to deviate from the policy, and none is the policy itself.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jax import Array

from daydreamer.behavior.actor import correlate
from daydreamer.behavior.actor_critic import ActorCritic
from daydreamer.behavior.returns import ReturnStatistics
from daydreamer.config import LearnerConfig, ModelConfig, PlanConfig, SessionConfig
from daydreamer.errors import UserError
from daydreamer.models.rssm import LatentState, imagine_step
from daydreamer.models.world_model import WorldModel
from daydreamer.policy.policy import Policy, PolicyState
from daydreamer.spec import RobotSpec
from daydreamer.timing import LatencyStatistics

PREVIOUS_SHARE = 0.25
"""Of the rollouts of the first iteration, those that vary the plan of the step before; the others vary the policy."""
SMALLEST_SPREAD = 0.1
"""Later iterations vary each element of a plan by at least this, in units of the policy's deviation."""

KEY_OF_PLANS = 0x9A4
"""Keeps the random numbers of plans apart from those of the policy, which come from the same key."""


def horizon_steps(spec: RobotSpec, config: PlanConfig) -> int:
    """Control steps of a plan, at least one."""
    return max(1, spec.steps(config.horizon_s))


class Plan(NamedTuple):
    """What planning came to.

    Attributes:
      action: `[size]`, to be carried out.
      deviations: `[horizon, size]` from the policy's mean at each imagined step, in units of its deviation there.
    """

    action: Array
    deviations: Array


class PlanFunction:
    """The jitted planner of one robot and one set of sizes, shared by all versions of the parameters."""

    def __init__(self, world_model: WorldModel, learner: LearnerConfig, config: PlanConfig):
        model = world_model.config
        self._world_model = world_model
        self._actor_critic = ActorCritic(world_model, learner)
        self._discount = learner.discount
        self._correlation = model.noise_correlation
        self._exploration = config.exploration * model.acting_noise
        self._config = config
        self._horizon = horizon_steps(world_model.spec, config)
        self._size = self._world_model.action_size
        self.plan = jax.jit(self._plan)

    def _plan(self, parameters, latent: LatentState, noise: Array, previous: Array, key_data: Array) -> Plan:
        config = self._config
        start = jax.tree.map(lambda x: jnp.broadcast_to(x, (config.samples, *x.shape[1:])), latent)
        follows_previous = jnp.arange(config.samples) < round(PREVIOUS_SHARE * config.samples)
        shifted = jnp.concatenate([previous[1:], jnp.zeros_like(previous[:1])])
        centre = follows_previous[:, None] * shifted[:, None]
        spread = jnp.full((self._horizon, self._size), config.spread)
        own_key = jax.random.fold_in(jax.random.wrap_key_data(key_data), KEY_OF_PLANS)
        for key in jax.random.split(own_key, config.iterations):
            noise_key, rollout_key = jax.random.split(key)
            tried = centre + spread[:, None] * self._noise(noise_key)
            returns = self._returns(parameters, start, tried, rollout_key)
            weight = jax.nn.softmax((returns - returns.mean()) / (returns.std() + 1e-6) / config.temperature)
            deviations = jnp.einsum("n,hna->ha", weight, tried)
            variance = jnp.einsum("n,hna->ha", weight, jnp.square(tried - deviations[:, None]))
            centre, spread = deviations[:, None], jnp.maximum(jnp.sqrt(variance), SMALLEST_SPREAD)
        action = self._action(parameters, latent.features, deviations[:1] + self._exploration * noise)[0]
        return Plan(action, deviations)

    def _action(self, parameters, features: Array, deviations: Array) -> Array:
        """What is done `[..., size]` at features `[..., features]`, if it deviates so from the policy."""
        return self._actor_critic.actor(parameters["actor"], features).at(deviations).action

    def _noise(self, key: Array) -> Array:
        """Standard normal noise `[horizon, samples, size]`, as correlated as that of acting."""
        first_key, key = jax.random.split(key)
        first = jax.random.normal(first_key, (self._config.samples, self._size))

        def step(noise, key):
            return correlate(noise, self._correlation, key), noise

        return jax.lax.scan(step, first, jax.random.split(key, self._horizon))[1]

    def _returns(self, parameters, start: LatentState, tried: Array, key: Array) -> Array:
        """`[samples]`, what the model expects of each way to deviate `[horizon, samples, size]`."""

        def step(state, inputs):
            noise, key = inputs
            action = self._action(parameters, state.features, noise)
            state = imagine_step(self._world_model.rssm, parameters["rssm"], state, action, key)
            return state, state.features

        end, features = jax.lax.scan(step, start, (tried, jax.random.split(key, self._horizon)))
        reward, continues = self._world_model.outcomes(parameters, features)
        total = self._value(parameters, end.features)
        for step_reward, step_continues in zip(reward[::-1], continues[::-1], strict=True):
            total = step_reward + self._discount * step_continues * total
        return total

    def _value(self, parameters, features: Array) -> Array:
        """What comes after the horizon, `[samples]`."""
        return self._actor_critic.value(parameters["critic"], features, ReturnStatistics(**parameters["returns"]))


class PlanningState(NamedTuple):
    """What a planning policy remembers between two steps; the same for every version of it.

    Attributes:
      policy: see `PolicyState`; its action is the one that was carried out.
      deviations: `[horizon, size]`, see `Plan`.
    """

    policy: PolicyState
    deviations: Array


class PlanningPolicy:
    """A version of the policy that plans before it acts, if its parameters tell it how.

    Attributes:
      version, created_wall_s: see `Policy`.
      planner: that it plans with.
    """

    def __init__(self, policy: Policy, planner: Planner):
        self.version, self.created_wall_s = policy.version, policy.created_wall_s
        self._policy = policy
        self.planner = planner

    def initial_state(self) -> PlanningState:
        """See `Policy.initial_state`."""
        return PlanningState(self._policy.initial_state(), self.planner.nothing)

    def __call__(
        self, observation: dict[str, np.ndarray], state: PlanningState, is_first: bool
    ) -> tuple[np.ndarray, PlanningState]:
        """See `Policy.__call__`; an episode begins without a plan."""
        action, following = self._policy(observation, state.policy, is_first)
        previous = self.planner.nothing if is_first else state.deviations
        plan = self.planner.plan(self._policy, following, previous)
        if plan is None:
            return action, PlanningState(following, self.planner.nothing)
        # What the model is told was done must be what was.
        return np.asarray(plan.action), PlanningState(following._replace(action=plan.action[None]), plan.deviations)


class Planner:
    """Plans for every version of a policy, and counts.

    With a budget it plans on a thread of its own: a computation that has begun cannot be called off, and one that takes
    too long must not hold up whoever controls the robot. While it goes on no other one begins. Two computations must
    then be able to run at once, see `run_side_by_side`.

    Attributes:
      nothing: the plan `[horizon, size]` to act as the policy does.
      plans: carried out.
      late: control steps at which the policy's own action was carried out, since the plan took too long or came to
        something that is no number.
      imagined_steps: of all plans, late ones included.
      latency: of planning alone.
    """

    def __init__(
        self,
        spec: RobotSpec,
        config: SessionConfig,
        *,
        budget_s: float | None = None,
        on_event: Callable[..., None] = lambda kind, **fields: None,
        function: PlanFunction | None = None,
    ):
        """A planner of `config.actor.plan`.

        Args:
          budget_s: what `plan` may take at most; None waits for every plan, so that the same seed gives the same ones.
          on_event: called as `on_event(kind, **fields)` when a policy comes that cannot plan.
          function: in the place of that which plans for the session's own reward.

        Raises:
          UserError: the actions are discrete, or the budget does not fit into a control period.
        """
        if spec.action.is_discrete:
            raise UserError("Plans deviate from a mean, which discrete actions have none of; set actor.plan.samples=0.")
        if budget_s is not None and budget_s >= spec.control_period_s:
            raise UserError(
                f"actor.plan.budget_ms={1e3 * budget_s:g} is all of a control period of "
                f"{1e3 * spec.control_period_s:g} ms; choose half of it."
            )
        self.nothing = cast(Array, np.zeros((horizon_steps(spec, config.actor.plan), spec.action.size), np.float32))
        self.plans = self.late = self.imagined_steps = 0
        self.latency = LatencyStatistics()
        self._spec_json, self._budget_s = msgspec.json.encode(spec), budget_s
        self._learner, self._config = config.learner, config.actor.plan
        self._on_event, self._given = on_event, function
        self._lacks_networks = False
        self._worker = ThreadPoolExecutor(1, "planner")
        self._under_way: Future[Plan] | None = None

    def equip(self, policy: Policy) -> PlanningPolicy:
        """This version of the policy, with plans."""
        if policy.planning is None and not self._lacks_networks:
            self._on_event("policy_without_plans", policy_version=policy.version)
        self._lacks_networks = policy.planning is None
        return PlanningPolicy(policy, self)

    def warm_up(self, policy: Policy, observation: dict[str, np.ndarray]) -> None:
        """Plans once without counting, so that what there is to compile is compiled now."""
        _, state = policy(observation, policy.initial_state(), True)
        self._worker.submit(self._compute, policy, state, self.nothing).result()

    def plan(self, policy: Policy, state: PolicyState, previous: Array) -> Plan | None:
        """A plan in NumPy's arrays; None if the policy is to act by itself. For one thread.

        Args:
          state: after the policy has chosen its own action.
          previous: the plan of the step before, see `Plan.deviations`.
        """
        if policy.planning is None:
            return None
        plan = self._in_time(policy, state, previous)
        if plan is None or not np.isfinite(plan.action).all():
            self.late += 1
            return None
        self.plans += 1
        return plan

    def close(self) -> None:
        """Waits for a plan that is still under way."""
        self._worker.shutdown()

    def _in_time(self, policy: Policy, state: PolicyState, previous: Array) -> Plan | None:
        if self._budget_s is None:
            return self._count(policy, state, previous)
        if self._under_way is not None and not self._under_way.done():
            return None
        self._under_way = self._worker.submit(self._count, policy, state, previous)
        try:
            return self._under_way.result(self._budget_s)
        except TimeoutError:
            return None

    def _count(self, policy: Policy, state: PolicyState, previous: Array) -> Plan:
        begin_s = time.perf_counter()
        plan = self._compute(policy, state, previous)
        self.latency.add(time.perf_counter() - begin_s)
        self.imagined_steps += self._config.samples * self._config.iterations * len(self.nothing)
        return plan

    def _compute(self, policy: Policy, state: PolicyState, previous: Array) -> Plan:
        plan = self._function(policy).plan(policy.planning, state.latent, state.noise, previous, state.key)
        return jax.tree.map(np.asarray, plan)

    def _function(self, policy: Policy) -> PlanFunction:
        return self._given or _plan_function(self._spec_json, policy.model, self._learner, self._config)


def make_planner(
    spec: RobotSpec, config: SessionConfig, on_event: Callable[..., None], budget_s: float | None = None
) -> Planner | None:
    """See `Planner`; None where the session's settings leave acting to the policy alone."""
    return Planner(spec, config, budget_s=budget_s, on_event=on_event) if config.actor.plan.samples else None


@functools.lru_cache(maxsize=4)
def _plan_function(spec_json: bytes, model: ModelConfig, learner: LearnerConfig, config: PlanConfig) -> PlanFunction:
    spec = msgspec.json.decode(spec_json, type=RobotSpec)
    return PlanFunction(WorldModel(spec, model), learner, config)


def run_side_by_side() -> None:
    """Has each thread carry out its own computations on the CPU; call it before the first.

    JAX otherwise queues them for threads of its own, as many as XLA is told by NPROC: with one, a policy would wait for
    the plan that is late.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
