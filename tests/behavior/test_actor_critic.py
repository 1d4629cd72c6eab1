"""The behaviour learns in a world model whose reward is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daydreamer.behavior.actor_critic import Actor, ActorCritic
from daydreamer.behavior.returns import ReturnScale
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.world_model import WorldModel
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(deterministic=16, blocks=2, hidden=16, stochastic=4, classes=4, units=32, bins=31)
CONTINUOUS = Space((2,), low=-1.0, high=1.0)
DISCRETE = Space((), classes=5)
STARTS = 128


def make(action, gradient):
    spec = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, action, ("r",))
    config = LearnerConfig(actor_gradient=gradient, imagination_horizon=5)
    model = WorldModel(spec, MODEL)
    behavior = ActorCritic(model, config)
    parameters = model.initialize(jax.random.key(0)) | behavior.initialize(jax.random.key(1))
    return model, behavior, parameters


@pytest.mark.parametrize(
    ("action", "gradient"),
    [(CONTINUOUS, "dynamics"), (CONTINUOUS, "reinforce"), (DISCRETE, "reinforce"), (DISCRETE, "dynamics")],
)
def test_imagined_reward_rises(action, gradient):
    """A random but fixed world pays for one direction of its state; the actor must find the way there."""
    model, behavior, parameters = make(action, gradient)
    direction = 10 * jax.random.normal(jax.random.key(7), (MODEL.deterministic,))
    model.outcomes = lambda _, features: (
        features[..., : MODEL.deterministic] @ direction,
        jnp.ones(features.shape[:-1]),
    )
    start = rssm_lib.initial_state(MODEL, (STARTS,))
    optimizer = optax.adam(5e-3)
    state = optimizer.init(parameters)

    @jax.jit
    def train(parameters, state, slow_critic, scale, key):
        def loss(parameters):
            total, new_scale, metrics = behavior.loss(parameters, slow_critic, scale, start, key)
            return total, (new_scale, metrics)

        gradient, (scale, metrics) = jax.grad(loss, has_aux=True)(parameters)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, changes), state, scale, metrics

    scale, slow_critic = ReturnScale.initial(), parameters["critic"]
    rewards = []
    for key in jax.random.split(jax.random.key(2), 150):
        parameters, state, scale, metrics = train(parameters, state, slow_critic, scale, key)
        slow_critic = optax.incremental_update(parameters["critic"], slow_critic, 0.1)
        rewards.append(float(metrics["behavior/imagined_reward"]))
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 3 * np.std(rewards[:5])


@pytest.mark.parametrize("gradient", ["dynamics", "reinforce"])
def test_gradients_reach_actor_and_critic_only(gradient):
    _, behavior, parameters = make(CONTINUOUS, gradient)
    start = rssm_lib.initial_state(MODEL, (STARTS,))

    def loss(parameters):
        return behavior.loss(parameters, parameters["critic"], ReturnScale.initial(), start, jax.random.key(0))[0]

    # Fresh heads are all zero, and so would be every gradient through them.
    parameters = jax.tree.map(lambda x: x + 0.01 * jax.random.normal(jax.random.key(3), x.shape), parameters)
    norms = {name: float(optax.tree.norm(g)) for name, g in jax.jit(jax.grad(loss))(parameters).items()}
    assert norms["actor"] > 0 and norms["critic"] > 0
    assert all(norms[name] == 0 for name in ("encoder", "rssm", "decoder", "outcome"))


def test_actions_stay_in_range_and_deviation_in_its_bounds():
    actor = Actor(CONTINUOUS, MODEL)
    features = 100 * jax.random.normal(jax.random.key(0), (500, 32))
    parameters = actor.initialize(jax.random.key(1), features)
    parameters = jax.tree.map(lambda x: 100 * x, parameters)
    distribution = actor(parameters, features)
    assert MODEL.minimum_deviation <= float(distribution.deviation.min())
    assert float(distribution.deviation.max()) <= MODEL.maximum_deviation
    assert float(jnp.abs(distribution.sample(jax.random.key(2)).action).max()) <= 1.0


def test_unknown_gradient_is_refused():
    with pytest.raises(ValueError, match="'dynamics' or 'reinforce'"):
        make(CONTINUOUS, "magic")
