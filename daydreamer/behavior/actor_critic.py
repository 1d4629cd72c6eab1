"""Actor and critic, trained in imagination."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.behavior.actor import ActionSample, Actor, ActorDistribution, correlate
from daydreamer.behavior.returns import ReturnStatistics, lambda_returns
from daydreamer.behavior.state import BehaviorState, ContinuedState, ended_dreams, gone_on
from daydreamer.config import LearnerConfig
from daydreamer.models.layers import MLP
from daydreamer.models.members import Members
from daydreamer.models.rssm import LatentState, imagine_step
from daydreamer.models.transforms import two_hot_loss, two_hot_mean
from daydreamer.models.world_model import Batch, PredictionResiduals, WorldModel

LOG_ENTROPY_SCALE_LIMITS = (-9.0, 2.0)
LONGEST_UNROLLED = 16
"""Imagined steps compiled as straight code. A loop copies what it carries; where others use the caches as well, as in a
live session, that was 6 to 20 % of a gradient step, and nothing on an idle machine."""
LARGEST_MEAN = 2.0
"""The mean of an action before squashing may be this large; beyond it tanh is flat and nothing is learned any more, so
it costs the actor."""
CONVINCING_ADVANTAGE = 1.0 / 3.0
"""An advantage of a replayed action from which on it is imitated in full, in units of the return's scale."""


class Imagined(NamedTuple):
    """Imagined trajectories, time first.

    Attributes:
      features: `[horizon+1, starts, features]`; the first are the starting states.
      distribution, action: `[horizon, starts, ...]`, of the actor and what was drawn from it.
      reward, continues, value: `[horizon+1, starts]`; value is the slow critic's.
      last: `[starts]`, where they end.
    """

    features: Array
    distribution: ActorDistribution
    action: ActionSample
    reward: Array
    continues: Array
    value: Array
    last: LatentState


class Replayed(NamedTuple):
    """Replayed sequences, time first, without their last step; constants.

    Attributes:
      features: `[time, batch, features]`.
      action: `[time, batch, size]`, as the model sees it.
      returns: `[time, batch]`, lambda returns along the sequence.
      advantage: `[time, batch]`, how much more that is than the slow critic's value, in units of the return's scale.
      weight: `[time, batch]`, 0 where the next step does not follow from this one.
      by_policy, shown: `[time, batch]`, see `Batch`.
    """

    features: Array
    action: Array
    returns: Array
    advantage: Array
    weight: Array
    by_policy: Array
    shown: Array


class ActorCritic:
    """Behaviour losses on imagined trajectories (Hafner et al. 2023, section 'Actor critic learning')."""

    def __init__(
        self,
        world_model: WorldModel,
        config: LearnerConfig,
        divide: Callable[[LatentState], LatentState] = lambda starts: starts,
    ):
        """Discrete actions always take 'reinforce'.

        Args:
          divide: says how the starts of imagination `[starts]` lie on several devices; changes no value.

        Raises:
          ValueError: an unknown actor gradient, or see `Members`.
        """
        if config.actor_gradient not in ("dynamics", "reinforce"):
            raise ValueError(f"actor_gradient is '{config.actor_gradient}'; it is 'dynamics' or 'reinforce'")
        model = world_model.config
        self.world_model = world_model
        self.config = config
        self._divide = divide
        self.dynamics_gradient = config.actor_gradient == "dynamics" and not world_model.spec.action.is_discrete
        self.actor = Actor(world_model)
        self.members = Members(world_model.spec, model, config.members) if config.members else None
        self.critic = MLP(model.critic_layers, model.units, model.bins, output_scale=0.0)
        self.bins = world_model.bins

    def initial_state(self) -> BehaviorState | ContinuedState:
        """What is remembered before the first update."""
        fresh = BehaviorState.initial(self.config.entropy_scale)
        if count := round(self.config.continued_share * self.config.imagination_starts):
            return ContinuedState(*fresh, self.world_model.rssm.initial_state((count,)), jnp.zeros(count))
        return fresh

    def initialize(self, key: Array) -> dict:
        """Fresh parameters by network."""
        features = self.world_model.rssm.initial_state((1,)).features
        actor_key, critic_key = jax.random.split(key)
        parameters = {
            "actor": self.actor.initialize(actor_key, features),
            "critic": self.critic.init(critic_key, self.world_model.behavior_features(features)),
        }
        if self.members:
            parameters["members"] = self.members.initialize(jax.random.fold_in(key, 2))
        return parameters

    def value(self, critic_parameters, features: Array, statistics: ReturnStatistics) -> Array:
        """Expected return `[...]` at features `[..., features]`."""
        logits = self.critic.apply(critic_parameters, self.world_model.behavior_features(features))
        relative = two_hot_mean(logits, self.bins)
        return statistics.baseline(self.config.discount) + relative

    def value_loss(self, critic_parameters, features: Array, returns: Array, statistics: ReturnStatistics) -> Array:
        """Cross entropy `[...]` of the critic's two-hot distribution with `returns` `[...]`, which are constants."""
        relative = jax.lax.stop_gradient(returns) - statistics.baseline(self.config.discount)
        logits = self.critic.apply(critic_parameters, self.world_model.behavior_features(features))
        return two_hot_loss(logits, relative, self.bins)

    def imagine(
        self,
        parameters,
        slow_critic,
        statistics: ReturnStatistics,
        start: LatentState,
        disturbance: Array,
        key: Array,
    ) -> Imagined:
        """Rolls the actor out inside the world model.

        Its noise is that of acting (see `ModelConfig.noise_correlation`), so that it learns to live with it. Only
        'reinforce', whose log-probabilities are those of independent actions, draws them independently.

        Gradients reach the actor's parameters only: model and critic are constants here.

        Args:
          start: `[starts]`.
          disturbance: `[horizon, starts, vector]`, added to each predicted vector observation.
        """
        frozen = jax.lax.stop_gradient(parameters)
        rssm = self.world_model.rssm

        def step(carry, inputs):
            (state, noise), (disturbance, key) = carry, inputs
            action_key, state_key = jax.random.split(key)
            features = jax.lax.stop_gradient(state.features)
            distribution = self.actor(parameters["actor"], features)
            if self.dynamics_gradient:
                noise = correlate(noise, self.world_model.config.noise_correlation, action_key)
                sample = distribution.at(noise)
            else:
                sample = jax.lax.stop_gradient(distribution.sample(action_key))
            following = imagine_step(rssm, frozen["rssm"], state, sample.action, state_key)
            following = following._replace(vector=following.vector + disturbance)
            return (following, noise), (following.features, distribution, sample)

        noise_key, key = jax.random.split(key)
        noise = jax.random.normal(noise_key, (*start.deterministic.shape[:-1], self.world_model.action_size))
        inputs = (disturbance, jax.random.split(key, self.config.imagination_horizon))
        initial = (jax.lax.stop_gradient(start), noise)
        (last, _), (features, distribution, action) = jax.lax.scan(step, initial, inputs, unroll=LONGEST_UNROLLED)
        features = jnp.concatenate([jax.lax.stop_gradient(start).features[None], features])
        reward, continues = self.world_model.outcomes(frozen, features)
        value = self.value(jax.lax.stop_gradient(slow_critic), features, statistics)
        return Imagined(features, distribution, action, reward, continues, value, jax.lax.stop_gradient(last))

    def loss(
        self,
        parameters,
        slow_critic,
        behavior: BehaviorState | ContinuedState,
        states: LatentState,
        residuals: PredictionResiduals,
        batch: Batch,
        key: Array,
    ):
        """Actor and critic loss.

        Args:
          behavior: before this update.
          states: `[batch, time]` posterior states of the replayed sequences; imagination starts from some of them.
          residuals: of the same sequences.
          batch: the replayed sequences.

        Returns:
          Scalar loss, updated behaviour state, and scalar metrics.
        """
        config, statistics = self.config, behavior.returns
        start_key, disturbance_key, imagination_key, end_key = jax.random.split(key, 4)
        batch_size, length = batch.reward.shape
        chosen = choose_starts(batch_size, length, config.imagination_starts, start_key)
        start, lives = self._starts(behavior, states, batch, chosen)
        disturbance = self.disturbances(residuals, chosen, disturbance_key)
        imagined = self.imagine(parameters, slow_critic, statistics, start, disturbance, imagination_key)
        guard_metrics: dict[str, Array] = {}
        if self.members:
            imagined, guard_metrics = self._guarded(self.members, parameters["members"], imagined, batch)
        discount = config.discount * imagined.continues
        returns = lambda_returns(imagined.reward, discount, imagined.value, config.return_lambda)
        relative_returns = jax.lax.stop_gradient(returns) - statistics.baseline(config.discount)
        # The reward head of a new model predicts nothing yet; until it does, the reward received stands in for it.
        imagines_rewards = statistics.count >= config.warmup_updates
        mean_reward = jnp.where(imagines_rewards, imagined.reward[1:].mean(), batch.reward.mean())
        updated = statistics.update(mean_reward, relative_returns, config.return_rate)
        # How likely each imagined state is to be reached at all, and how much it counts at the start.
        weight = jnp.cumprod(jnp.concatenate([lives[None], discount[1:-1]]), 0)
        weight = jax.lax.stop_gradient(weight)

        actor_loss, entropy, randomness = self._actor_loss(parameters, behavior, imagined, returns, weight, updated)
        features = jax.lax.stop_gradient(imagined.features[:-1])
        critic_loss = (weight * self.value_loss(parameters["critic"], features, returns, statistics)).mean()
        replayed = self.replayed(slow_critic, statistics, self.world_model.measured(states, batch), batch)
        replayed_loss, replayed_metrics = self._replayed_loss(parameters, statistics, replayed)
        total = config.imagination_scale * (actor_loss + critic_loss) + replayed_loss
        metrics = guard_metrics | replayed_metrics
        metrics |= {
            "loss/actor": actor_loss,
            "loss/critic": critic_loss,
            "behavior/entropy": entropy,
            "behavior/randomness": randomness,
            "behavior/entropy_scale": jnp.exp(behavior.log_entropy_scale),
            "behavior/return": returns.mean(),
            "behavior/relative_return": relative_returns.mean(),
            "behavior/return_scale": updated.scale,
            "behavior/imagined_reward": imagined.reward[1:].mean(),
            "behavior/action_magnitude": jnp.abs(imagined.action.action).mean(),
        }
        if self.members:
            metrics["loss/members"] = self.members.loss(parameters["members"], batch)
            total += metrics["loss/members"]
        if isinstance(behavior, ContinuedState):
            metrics["behavior/continued"] = behavior.goes_on.mean()
            behavior = ended_dreams(behavior, imagined.last, lives, discount, end_key)
        log_entropy_scale = self._next_log_entropy_scale(behavior, randomness)
        return total, behavior._replace(returns=updated, log_entropy_scale=log_entropy_scale), metrics

    def _starts(
        self, behavior: BehaviorState | ContinuedState, states: LatentState, batch: Batch, chosen: Array
    ) -> tuple[LatentState, Array]:
        """States `[starts]` from which to dream, and how much each counts: nothing where an episode has ended."""
        positions = batch.reward.size
        start = jax.tree.map(lambda x: x.reshape(positions, *x.shape[2:])[chosen], states)
        lives = 1.0 - batch.is_terminal.reshape(positions)[chosen]
        if isinstance(behavior, ContinuedState):
            start, lives = gone_on(behavior, start, lives)
        return self._divide(start), lives

    def _actor_loss(
        self,
        parameters,
        behavior: BehaviorState | ContinuedState,
        imagined: Imagined,
        returns: Array,
        weight: Array,
        updated: ReturnStatistics,
    ) -> tuple[Array, Array, Array]:
        """What imagined returns and randomness say of the actor; and its mean entropy and randomness.

        Args:
          returns, weight: `[horizon, starts]`.
          updated: statistics of the returns, these included.
        """
        if self.dynamics_gradient:
            distribution = imagined.distribution
            objective = returns / updated.scale
        else:  # evaluated again for all steps at once, so that no gradient has to go back through the rollout
            distribution = self.actor(parameters["actor"], jax.lax.stop_gradient(imagined.features[:-1]))
            advantage = jax.lax.stop_gradient((returns - imagined.value[:-1]) / updated.scale)
            objective = advantage * distribution.log_probability(jax.lax.stop_gradient(imagined.action.raw))
        entropy = distribution.entropy(imagined.action.raw)
        loss = -(weight * (objective + jnp.exp(behavior.log_entropy_scale) * entropy)).mean()
        if distribution.mean is not None:
            excess = jnp.maximum(jnp.abs(distribution.mean) - LARGEST_MEAN, 0.0)
            loss += (weight[..., None] * jnp.square(excess)).mean()
        randomness = jax.lax.stop_gradient(self.actor.randomness(entropy)).mean()
        return loss, entropy.mean(), randomness

    def _next_log_entropy_scale(self, behavior: BehaviorState | ContinuedState, randomness: Array) -> Array:
        """Rises while the actor is less random than it should be."""
        # An actor that does not learn yet answers to no weight.
        answers = behavior.returns.count >= self.config.actor_delay_updates
        error = jnp.where(answers, self.config.entropy_target - randomness, 0.0)
        log_entropy_scale = behavior.log_entropy_scale + self.config.entropy_rate * error
        return jnp.clip(log_entropy_scale, *LOG_ENTROPY_SCALE_LIMITS)

    def _replayed_loss(
        self, parameters, statistics: ReturnStatistics, replayed: Replayed
    ) -> tuple[Array, dict[str, Array]]:
        """What really happened says of actor and critic."""
        config = self.config
        value_loss = self.value_loss(parameters["critic"], replayed.features, replayed.returns, statistics)
        metrics = {
            "loss/replay_value": (replayed.weight * value_loss).mean(),
            "loss/imitation": self.imitation_loss(parameters, replayed),
        }
        total = config.replay_value_scale * metrics["loss/replay_value"]
        total += config.imitation_scale * metrics["loss/imitation"]
        if config.cloning_scale:
            metrics["loss/cloning"] = self.cloning_loss(parameters, replayed)
            total += config.cloning_scale * metrics["loss/cloning"]
        if config.shown_scale:
            metrics["loss/shown"] = self.shown_loss(parameters, replayed)
            total += config.shown_scale * metrics["loss/shown"]
        if config.plan_imitation_scale:
            metrics["loss/plan_imitation"] = self.plan_imitation_loss(parameters, replayed)
            total += config.plan_imitation_scale * metrics["loss/plan_imitation"]
        return total, metrics

    def _guarded(
        self, members: Members, parameters, imagined: Imagined, batch: Batch
    ) -> tuple[Imagined, dict[str, Array]]:
        """What was imagined, with less reward for steps whose outcome members disagree about; and scalar metrics.

        What they disagree about no more than about the replayed steps costs nothing: there the reward is the model's.
        """
        vector = imagined.features[:-1, ..., -self.world_model.rssm.vector_size :]
        excess = members.excess(jax.lax.stop_gradient(parameters), batch, vector, imagined.action.action)
        cost = self.config.guard_scale * batch.reward.std() * excess
        metrics = {"guard/excess": excess.mean(), "guard/cost": cost.mean(), "guard/share": (excess > 0.0).mean()}
        return imagined._replace(reward=imagined.reward.at[1:].add(-cost)), metrics

    def disturbances(self, residuals: PredictionResiduals, chosen: Array, key: Array) -> Array:
        """What to disturb imagined vector observations by `[horizon, starts, vector]`.

        The model predicts means. A world in which they come true is calmer than the one there is: an actor that has
        only dreamed in it walks where one slip is the end. So each imagined step is disturbed by what the model did
        not foresee at some step of the same replayed sequence (a bootstrap of its residuals; cf. Chua et al. 2018,
        who sample from what their models predict); one that goes on where another ended, of some replayed sequence.

        Args:
          chosen: indices `[starts]` of the starting positions, see `choose_starts`.
        """
        sequence = chosen // residuals.valid.shape[1]
        valid_first = jnp.argsort(~residuals.valid, axis=1)
        share = jax.random.uniform(key, (self.config.imagination_horizon, *chosen.shape))
        # Of the valid ones; a product that rounds up would be one too many.
        count = residuals.valid.sum(1)[sequence]
        drawn = jnp.minimum((share * count).astype(jnp.int32), jnp.maximum(count - 1, 0))
        step = valid_first[sequence, drawn]
        scale = self.config.imagination_noise * residuals.valid.any(1)[sequence]
        return jax.lax.stop_gradient(scale[:, None] * residuals.vector[sequence, step])

    def replayed(self, slow_critic, statistics: ReturnStatistics, states: LatentState, batch: Batch) -> Replayed:
        """What the replayed sequences themselves earned, which ties values and actor to rewards really received.

        Args:
          states: `[batch, time]`, with what was measured in them: values and imitation are of what happened.
        """
        config = self.config
        features = jax.lax.stop_gradient(states.features).swapaxes(0, 1)
        batch = jax.tree.map(lambda x: x.swapaxes(0, 1), batch)
        value = self.value(slow_critic, features, statistics)
        # Past the last step of an episode, or before a gap in the log, comes a state that does not follow from it: cut
        # the return there.
        goes_on = 1.0 - jnp.maximum(batch.is_last, jnp.pad(batch.is_first[1:], ((0, 1), (0, 0))))
        discount = config.discount * (1.0 - batch.is_terminal)
        returns = lambda_returns(batch.reward, discount, value, config.return_lambda * goes_on)
        advantage = (returns - value[:-1]) / statistics.scale
        chosen_by = batch.by_policy[:-1], batch.shown[:-1]
        kept = features[:-1], batch.action[:-1], returns, advantage, goes_on[:-1], *chosen_by
        return Replayed(*jax.lax.stop_gradient(kept))

    def imitation_loss(self, parameters, replayed: Replayed) -> Array:
        """Distance of the actor to the replayed actions that led to more than the critic expected.

        Self-imitation (Oh et al. 2018), with squared errors of continuous actions in place of their log-probability,
        which has no bound where the actor is sure. An actor that only climbs the model's gradient is led to where the
        model is wrong; this holds it to what has worked, and shows it what others, as `Rhythms`, have found.
        """
        distance = self._distance(parameters, replayed)
        conviction = jnp.clip(replayed.advantage / CONVINCING_ADVANTAGE, 0.0, 1.0)
        return (replayed.weight * conviction * distance).mean()

    def plan_imitation_loss(self, parameters, replayed: Replayed) -> Array:
        """Distance of the actor to what it, or a plan of it, has carried out, whatever that led to.

        A critic that knows only what the actor would do is asked about what plans do, and promises too much there. The
        nearer both keep to each other, the less (Lin et al. 2025, TD-M(PC)^2, who hold the policy to their planner's).
        """
        return (replayed.by_policy * self._distance(parameters, replayed)).mean()

    def cloning_loss(self, parameters, replayed: Replayed) -> Array:
        """Distance of the actor to all replayed actions, whoever chose them and whatever they led to."""
        return (replayed.weight * self._distance(parameters, replayed)).mean()

    def shown_loss(self, parameters, replayed: Replayed) -> Array:
        """Distance of the actor to what somebody has shown, in demonstrations or by intervening, for each step of that.

        Where reward is rare, an actor finds in its dreams what is none, in places where nobody has been; what was shown
        holds it to where there is some (as Rajeswaran et al. 2018, DAPG, do).
        """
        weight = replayed.weight * replayed.shown
        return (weight * self._distance(parameters, replayed)).sum() / jnp.maximum(weight.sum(), 1.0)

    def _distance(self, parameters, replayed: Replayed) -> Array:
        """How far the actor is from the replayed actions, `[time, batch]`."""
        distribution = self.actor(parameters["actor"], replayed.features)
        if distribution.mean is None:
            return -distribution.log_probability(replayed.action)
        return jnp.square(jnp.tanh(distribution.mean) - replayed.action).sum(-1)


def choose_starts(sequences: int, length: int, count: int, key: Array) -> Array:
    """Indices `[count]` of some of the `sequences * length` replayed positions, drawn without replacement."""
    positions = sequences * length
    return jnp.arange(positions) if count == positions else jax.random.permutation(key, positions)[:count]
