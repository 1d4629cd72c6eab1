"""Models with nothing in common: what they learn, each from what, and where they disagree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daydreamer.behavior.actor import ActionSample
from daydreamer.behavior.actor_critic import ActorCritic, Imagined
from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.learner.agent import Agent
from daydreamer.models.members import Members
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.spec import RobotSpec, Space

MODEL = ModelConfig(deterministic=16, blocks=2, hidden=16, stochastic=4, classes=4, units=32, bins=31)
SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
SEQUENCES, LENGTH = 64, 8


def experience(seed=0):
    """A robot that is pushed about near the origin, `x' = 0.9 x + 0.1 (a, 0)`."""
    random = np.random.default_rng(seed)
    action = random.uniform(-1, 1, (SEQUENCES, LENGTH, 2)).astype(np.float32)
    x = np.zeros((SEQUENCES, LENGTH, 3), np.float32)
    x[:, 0] = random.uniform(-0.1, 0.1, (SEQUENCES, 3))
    for step in range(1, LENGTH):
        x[:, step] = 0.9 * x[:, step - 1]
        x[:, step, :2] += 0.1 * action[:, step - 1]
    nothing = jnp.zeros((SEQUENCES, LENGTH))
    reward = jnp.asarray(x[..., 0])
    return Batch({"x": jnp.asarray(x)}, jnp.asarray(action), reward, nothing, nothing, nothing, nothing, nothing)


@pytest.fixture(scope="module")
def learned():
    """Members and their parameters, after they have learned from one batch."""
    members, batch = Members(SPEC, MODEL, 3), experience()
    parameters = members.initialize(jax.random.key(0))
    optimizer = optax.adam(3e-3)

    @jax.jit
    def train(parameters):
        def step(carry, _):
            parameters, state = carry
            loss, gradient = jax.value_and_grad(members.loss)(parameters, batch)
            changes, state = optimizer.update(gradient, state)
            return (optax.apply_updates(parameters, changes), state), loss

        (parameters, _), losses = jax.lax.scan(step, (parameters, optimizer.init(parameters)), length=300)
        return parameters, losses

    parameters, losses = train(parameters)
    assert losses[-1] < 0.05 * losses[0]
    return members, parameters


def test_they_share_no_weight_and_each_learns_from_steps_of_its_own():
    members, batch = Members(SPEC, MODEL, 3), experience()
    parameters = jax.jit(members.initialize)(jax.random.key(0))
    kernels = [np.asarray(leaf) for leaf in jax.tree.leaves(parameters) if leaf.ndim == 3]
    assert len(kernels) == 3 and not any(np.array_equal(kernel[0], kernel[1]) for kernel in kernels)
    draw = jax.jit(lambda batch: members._learned_by(*members._before(batch)))
    drawn, again = (np.asarray(draw(each)) for each in (batch, experience()))
    np.testing.assert_array_equal(drawn, again)
    assert drawn.shape == (3, SEQUENCES, LENGTH - 1)
    assert all(0.4 < each.mean() < 0.6 for each in drawn)
    assert 0.2 < (drawn[0] * drawn[1]).mean() < 0.3, "independent of each other"
    # What one member alone learns from is nothing to the others.
    members._learned_by = lambda *arguments: jnp.zeros((3, 1, 1)).at[1].set(1.0)
    gradient = jax.jit(jax.grad(members.loss))(parameters, batch)
    for leaf in map(np.asarray, jax.tree.leaves(gradient)):
        assert not leaf[0].any() and leaf[1].any() and not leaf[2].any()


def test_a_step_that_does_not_follow_teaches_nothing():
    members, batch = Members(SPEC, MODEL, 3), experience()
    parameters, loss = jax.jit(members.initialize)(jax.random.key(0)), jax.jit(members.loss)

    def losses(is_first):
        torn = batch._replace(is_first=batch.is_first.at[:, 4].set(is_first))
        return [float(loss(parameters, each)) for each in (torn, torn._replace(action=torn.action.at[:, 3].set(0.0)))]

    assert len(set(losses(0.0))) == 2 and len(set(losses(1.0))) == 1


def test_the_guard_lowers_the_reward_of_what_members_disagree_about_and_of_nothing_else(learned):
    members, parameters = learned
    behavior = ActorCritic(WorldModel(SPEC, MODEL), LearnerConfig(members=3, guard_scale=2.0))
    batch = experience(seed=1)
    inside = batch.observation["x"][:, :-1].swapaxes(0, 1)
    outside = inside + jnp.array([0.0, 0.0, 4.0])
    action = batch.action[:, :-1].swapaxes(0, 1)

    @jax.jit
    def lower(features, batch):
        sample = ActionSample(action, action)
        imagined = Imagined(features, None, sample, jnp.ones(features.shape[:-1]), None, None, None)
        guarded, metrics = behavior._guarded(members, parameters, imagined, batch)
        return guarded.reward, metrics

    def reward_of(vector):
        features = jnp.concatenate([jnp.zeros((*vector.shape[:-1], 7)), vector], -1)
        features = jnp.concatenate([features, features[-1:]])
        reward, metrics = lower(features, batch)
        return np.asarray(reward), metrics

    agreed, metrics = reward_of(inside)
    assert agreed[0].min() == 1.0 and (agreed == 1.0).mean() > 0.9, "what is usual is left as it is"
    disputed, far = reward_of(outside)
    assert (disputed[0] == 1.0).all() and (disputed[1:] < 1.0 - 2.0 * float(batch.reward.std())).mean() > 0.9
    assert far["guard/excess"] > 10 * metrics["guard/excess"] and far["guard/share"] > 0.9


def test_an_actor_is_drawn_back_to_what_members_agree_about(learned):
    """The cost has a gradient with respect to what is done."""
    members, parameters = learned
    batch = experience()
    vector = jnp.full((16, 3), 3.0)
    excess = jax.jit(jax.grad(lambda action: members.excess(parameters, batch, vector, action).sum()))
    gradient = np.asarray(excess(jnp.zeros((16, 2))))
    assert np.isfinite(gradient).all() and gradient.any()


def test_without_members_nothing_is_there_of_them():
    plain, guarded = (Agent(SPEC, MODEL, LearnerConfig(members=count)) for count in (0, 3))
    assert plain.actor_critic.members is None
    fresh, more = (jax.eval_shape(lambda agent=agent: agent.initialize(0)) for agent in (plain, guarded))
    assert more.parameters.keys() - fresh.parameters.keys() == {"members"}
    paths = [{jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(each)} for each in (fresh, more)]
    assert paths[0] < paths[1] and all("'members'" in path for path in paths[1] - paths[0])


def test_who_cannot_disagree_or_predict_is_refused():
    with pytest.raises(ValueError, match="members=1 has nobody to disagree with"):
        LearnerConfig(members=1)
    pictures = RobotSpec("eye", "eye", 20.0, 10, (), (), {"camera": Space((64, 64, 3), "uint8")}, SPEC.action, ("r",))
    with pytest.raises(ValueError, match="robot 'eye' has pictures alone; set learner.members=0"):
        Agent(pictures, MODEL, LearnerConfig(members=5))
