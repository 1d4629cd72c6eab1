import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.rssm import RSSM
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.spec import RobotSpec, Space

SMALL = ModelConfig(
    deterministic=32, blocks=4, hidden=16, stochastic=4, classes=4, units=32, convolution_depth=4, bins=31
)


def make_spec(observation, action=Space((3,), low=-1.0, high=1.0)):
    return RobotSpec("toy", "toy", 20.0, 10, ("a", "b", "c"), (), observation, action, ("r",))


VECTORS = make_spec({"position": Space((5,)), "velocity": Space((2, 2))})
MIXED = make_spec({"position": Space((5,)), "camera": Space((64, 64, 3), "uint8")})
DISCRETE = make_spec({"position": Space((5,))}, Space((), classes=6))


def make_batch(spec, model, batch_size=2, time=6, seed=0):
    random = np.random.default_rng(seed)
    observation = {}
    for key, space in spec.observation.items():
        shape = (batch_size, time, *space.shape)
        if space.is_image:  # one colour per image: something that a small network can learn within a test
            colours = random.integers(0, 255, (batch_size, time, 1, 1, space.shape[-1]), np.uint8)
            observation[key] = jnp.asarray(np.broadcast_to(colours, shape))
        else:
            observation[key] = jnp.asarray(random.normal(size=shape), jnp.float32)
    action = jnp.asarray(random.uniform(-1, 1, (batch_size, time, model.action_size)), jnp.float32)
    zeros = jnp.zeros((batch_size, time))
    return Batch(observation, action, jnp.ones((batch_size, time)), zeros.at[:, 0].set(1.0), zeros, zeros)


@pytest.mark.parametrize("spec", [VECTORS, MIXED, DISCRETE], ids=["vectors", "vector and image", "discrete action"])
def test_shapes(spec):
    model = WorldModel(spec, SMALL)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    batch = make_batch(spec, model)

    @jax.jit
    def run(parameters, key):
        states, probabilities = model.observe(parameters, batch, key)
        prediction = model.decoder.apply(parameters["decoder"], states.features)
        loss, _, metrics = model.loss(parameters, batch, LearnerConfig(), key)
        return states, probabilities, prediction, model.outcomes(parameters, states.features), loss, metrics

    states, probabilities, prediction, (reward, continues), loss, metrics = run(parameters, jax.random.key(1))
    assert states.deterministic.shape == (2, 6, 32)
    assert states.stochastic.shape == probabilities.shape == (2, 6, 4, 4)
    assert states.features.shape == (2, 6, 32 + 16)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, rtol=1e-5)
    for key, space in spec.observation.items():
        assert prediction[key].shape == (2, 6, *space.shape)
        if space.is_image:
            assert 0.0 <= float(prediction[key].min()) and float(prediction[key].max()) <= 1.0
    assert reward.shape == continues.shape == (2, 6)
    np.testing.assert_array_equal(reward, 0.0)  # a fresh head predicts nothing rather than noise
    assert loss.shape == () and np.isfinite(float(loss))
    assert all(np.isfinite(float(value)) for value in metrics.values())


def test_is_first_forgets_everything_before_it():
    model = WorldModel(VECTORS, SMALL)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    observe = jax.jit(model.observe)
    one, other = make_batch(VECTORS, model, seed=1), make_batch(VECTORS, model, seed=2)
    boundary = 3

    def spliced(past):
        """The past of one batch and the future of the other, with an episode boundary between or without."""

        def splice(x, y):
            return jnp.concatenate([x[:, :boundary], y[:, boundary:]], 1)

        return jax.tree.map(splice, past, other)

    key = jax.random.key(3)
    with_boundary = [b._replace(is_first=b.is_first.at[:, boundary].set(1.0)) for b in (spliced(one), spliced(other))]
    first, second = (observe(parameters, b, key)[0] for b in with_boundary)
    for x, y in zip(first, second, strict=True):
        np.testing.assert_array_equal(x[:, boundary:], y[:, boundary:])
        assert not np.array_equal(x[:, :boundary], y[:, :boundary])
    first, second = (observe(parameters, b, key)[0] for b in (spliced(one), spliced(other)))
    assert not np.array_equal(first.deterministic[:, boundary:], second.deterministic[:, boundary:])


def test_observing_step_by_step_is_observing_the_sequence():
    """The actor filters one observation at a time with the functions that the learner scans over."""
    model = WorldModel(VECTORS, SMALL)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    batch = make_batch(VECTORS, model)
    key = jax.random.key(5)
    expected, _ = jax.jit(model.observe)(parameters, batch, key)

    @jax.jit
    def filter_one(state, observation, previous_action, is_first, step_key):
        embedding = model.encoder.apply(parameters["encoder"], observation)
        embedded = model.rssm.apply(parameters["rssm"], embedding, method=RSSM.embed)
        return rssm_lib.observe_step(
            model.rssm, parameters["rssm"], state, previous_action, embedded, is_first, step_key
        )[0]

    state = rssm_lib.initial_state(SMALL, (2,))
    previous_action = jnp.zeros_like(batch.action[:, 0])
    for time, step_key in enumerate(jax.random.split(key, 6)):
        observation = {name: values[:, time] for name, values in batch.observation.items()}
        state = filter_one(state, observation, previous_action, batch.is_first[:, time], step_key)
        previous_action = batch.action[:, time]
        np.testing.assert_allclose(state.deterministic, expected.deterministic[:, time], atol=1e-5)
        np.testing.assert_allclose(state.stochastic, expected.stochastic[:, time], atol=1e-5)


@pytest.mark.parametrize("spec", [VECTORS, MIXED], ids=["vectors", "vector and image"])
def test_reconstruction_improves_with_training(spec):
    model = WorldModel(spec, SMALL)
    parameters = model.initialize(jax.random.key(0))
    batch = make_batch(spec, model, time=3)
    optimizer = optax.adam(1e-2)
    state = optimizer.init(parameters)

    @jax.jit
    def train(parameters, state, key):
        def loss(parameters):
            total, _, metrics = model.loss(parameters, batch, LearnerConfig(), key)
            return total, metrics

        gradient, metrics = jax.grad(loss, has_aux=True)(parameters)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, changes), state, metrics

    history = []
    for key in jax.random.split(jax.random.key(1), 30):
        parameters, state, metrics = train(parameters, state, key)
        history.append((float(metrics["loss/reconstruction"]), float(metrics["loss/reward"])))
    first, last = np.array(history[0]), np.mean(history[-3:], 0)
    assert last[0] < 0.9 * first[0] and last[1] < 0.5 * first[1]


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of blocks"):
        WorldModel(VECTORS, ModelConfig(deterministic=30, blocks=4))
    with pytest.raises(ValueError, match="64x64"):
        WorldModel(make_spec({"camera": Space((32, 32, 3), "uint8")}), SMALL)
