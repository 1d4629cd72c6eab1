import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.models import rssm as rssm_lib
from daydreamer.models.codecs import (
    SMALLEST_DEVIATION,
    flatten_vectors,
    vector_loss,
    vector_size,
)
from daydreamer.models.rssm import RSSM
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.spec import RobotSpec, Space

SMALL = ModelConfig(deterministic=32, blocks=4, hidden=16, stochastic=4, classes=4, units=32, bins=31)


def make_spec(observation, action=Space((3,), low=-1.0, high=1.0)):
    return RobotSpec("toy", "toy", 20.0, 10, ("a", "b", "c"), (), observation, action, ("r",))


VECTORS = make_spec({"position": Space((5,)), "velocity": Space((2, 2))})
MIXED = make_spec({"position": Space((5,)), "camera": Space((64, 64, 3), "uint8")})
DISCRETE = make_spec({"position": Space((5,))}, Space((), classes=6))
SPECS = {"vectors": VECTORS, "vector and image": MIXED, "discrete action": DISCRETE}


@functools.cache
def make_model(kind):
    """A model for one of `SPECS`, and its fresh parameters; what it does is compiled once for all tests."""
    model = WorldModel(SPECS[kind], SMALL)
    return model, jax.jit(model.initialize)(jax.random.key(0))


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
    return Batch(observation, action, jnp.ones((batch_size, time)), zeros.at[:, 0].set(1.0), zeros, zeros, zeros, zeros)


@pytest.mark.parametrize("kind", SPECS)
def test_shapes(kind):
    model, parameters = make_model(kind)
    spec = SPECS[kind]
    batch = make_batch(spec, model)

    @jax.jit
    def run(parameters, key):
        observed = model.observe(parameters, batch, key)
        images = model.decoder.apply(parameters["decoder"], observed.states.features)
        loss, _, _, metrics = model.loss(parameters, batch, LearnerConfig(), key)
        return observed, images, model.outcomes(parameters, observed.states.features), loss, metrics

    observed, images, (reward, continues), loss, metrics = run(parameters, jax.random.key(1))
    size = vector_size(spec.observation)
    assert observed.states.deterministic.shape == (2, 6, 32)
    assert observed.states.stochastic.shape == observed.posterior.shape == observed.prior.shape == (2, 6, 4, 4)
    assert observed.states.vector.shape == observed.vector.shape == (2, 6, size)
    assert observed.states.features.shape == (2, 6, 32 + 16 + size)
    np.testing.assert_allclose(observed.posterior.sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(observed.prior.sum(-1), 1.0, rtol=1e-5)
    assert images.keys() == {key for key, space in spec.observation.items() if space.is_image}
    for key, image in images.items():
        assert image.shape == (2, 6, *spec.observation[key].shape)
        assert 0.0 <= float(image.min()) and float(image.max()) <= 1.0
    assert reward.shape == continues.shape == (2, 6)
    np.testing.assert_array_equal(reward, 0.0)  # a fresh head predicts nothing rather than noise
    assert loss.shape == () and np.isfinite(float(loss))
    assert all(np.isfinite(float(value)) for value in metrics.values())


def test_is_first_forgets_everything_before_it():
    model, parameters = make_model("vectors")
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
    first, second = (observe(parameters, b, key).states for b in with_boundary)
    for x, y in zip(first, second, strict=True):
        np.testing.assert_array_equal(x[:, boundary:], y[:, boundary:])
        assert not np.array_equal(x[:, :boundary], y[:, :boundary])
    first, second = (observe(parameters, b, key).states for b in (spliced(one), spliced(other)))
    assert not np.array_equal(first.deterministic[:, boundary:], second.deterministic[:, boundary:])


def test_observing_step_by_step_is_observing_the_sequence():
    """The actor filters one observation at a time with the functions that the learner scans over."""
    model, parameters = make_model("vectors")
    batch = make_batch(VECTORS, model)
    key = jax.random.key(5)
    expected = jax.jit(model.observe)(parameters, batch, key).states
    _, sample_key = jax.random.split(key)  # the other one chooses which observations to withhold: here none

    @jax.jit
    def filter_one(state, observation, previous_action, is_first, step_key):
        embedding = model.embed(parameters, observation)
        embedded = model.rssm.apply(parameters["rssm"], embedding, method=RSSM.embed)
        vector = flatten_vectors(observation, VECTORS.observation)
        return rssm_lib.observe_step(
            model.rssm, parameters["rssm"], state, previous_action, embedded, vector, is_first, step_key
        )

    state = model.rssm.initial_state((2,))
    previous_action = jnp.zeros_like(batch.action[:, 0])
    for time, step_key in enumerate(jax.random.split(sample_key, 6)):
        observation = {name: values[:, time] for name, values in batch.observation.items()}
        state = filter_one(state, observation, previous_action, batch.is_first[:, time], step_key)
        previous_action = batch.action[:, time]
        np.testing.assert_allclose(state.deterministic, expected.deterministic[:, time], atol=1e-5)
        np.testing.assert_allclose(state.stochastic, expected.stochastic[:, time], atol=1e-5)
        np.testing.assert_array_equal(state.vector, expected.vector[:, time])


def test_withheld_observations_are_predicted_from_what_was_predicted_before():
    """The learner's open-loop stretches are what the behaviour later imagines."""
    model, parameters = make_model("vectors")
    batch, key = make_batch(VECTORS, model), jax.random.key(5)
    closed = jax.jit(model.observe)(parameters, batch, key)
    opened = jax.jit(model.observe, static_argnums=3)(parameters, batch, key, 1.0)
    vector = flatten_vectors(batch.observation, VECTORS.observation)
    np.testing.assert_array_equal(closed.states.vector, vector)
    np.testing.assert_array_equal(opened.states.vector[:, 0], vector[:, 0])  # nothing goes before the first
    np.testing.assert_array_equal(opened.states.vector[:, 1:], opened.vector[:, 1:])
    _, sample_key = jax.random.split(key)

    @jax.jit
    def imagine(state, action, step_key):
        return rssm_lib.imagine_step(model.rssm, parameters["rssm"], state, action, step_key)

    state = jax.tree.map(lambda x: x[:, 0], opened.states)
    for time, step_key in list(enumerate(jax.random.split(sample_key, 6)))[1:]:
        state = imagine(state, batch.action[:, time - 1], step_key)
        np.testing.assert_allclose(state.features, opened.states.features[:, time], atol=1e-4)


def test_vectors_are_flattened_in_the_order_of_the_spec():
    spaces = {"z": Space((2,)), "camera": Space((64, 64, 3), "uint8"), "a": Space((2, 2))}
    observation = {"a": jnp.ones((3, 2, 2)), "camera": jnp.zeros((3, 64, 64, 3)), "z": jnp.zeros((3, 2))}
    vector = flatten_vectors(observation, spaces)
    np.testing.assert_allclose(vector, [[0, 0] + [np.log(2)] * 4] * 3, rtol=1e-6)
    assert vector.shape[-1] == vector_size(spaces)


def test_every_element_counts_alike_whatever_its_size():
    target = jax.random.normal(jax.random.key(0), (8, 16, 3)) * jnp.array([0.02, 1.0, 50.0])
    gradient = jax.grad(lambda prediction: vector_loss(prediction, target, jnp.ones((8, 16)))[0].mean())(0 * target)
    relative = jnp.sqrt(jnp.square(gradient).mean((0, 1))) * jnp.array([0.02, 1.0, 50.0])
    np.testing.assert_allclose(relative / relative[0], 1.0, rtol=0.2)
    weight = jnp.ones((8, 16)).at[:, 0].set(0.0)
    spoilt = target.at[:, 0].set(1e6)
    loss, deviation = vector_loss(target, spoilt, weight)
    np.testing.assert_array_equal(loss, 0.0)
    assert float(deviation) == pytest.approx(SMALLEST_DEVIATION)


@pytest.mark.parametrize("kind", ["vectors", "vector and image"])
def test_predictions_improve_with_training(kind):
    model, parameters = make_model(kind)
    batch = make_batch(SPECS[kind], model, time=3)
    optimizer = optax.adam(1e-2)
    state = optimizer.init(parameters)

    @jax.jit
    def train(parameters, state, key):
        def loss(parameters):
            total, _, _, metrics = model.loss(parameters, batch, LearnerConfig(), key)
            return total, metrics

        gradient, metrics = jax.grad(loss, has_aux=True)(parameters)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, changes), state, metrics

    image = "model/image_deviation" if SPECS[kind] is MIXED else "loss/image"
    history = []
    for key in jax.random.split(jax.random.key(1), 30):
        parameters, state, metrics = train(parameters, state, key)
        history.append([float(metrics[name]) for name in ("model/vector_deviation", image, "loss/reward")])
    first, last = np.array(history[0]), np.mean(history[-3:], 0)
    assert last[0] < 0.9 * first[0] and last[2] < 0.5 * first[2]
    assert last[1] < 0.95 * first[1] if SPECS[kind] is MIXED else last[1] == 0.0


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of blocks"):
        ModelConfig(deterministic=30, blocks=4)
    with pytest.raises(ValueError, match="multiples of 8"):
        WorldModel(make_spec({"camera": Space((30, 32, 3), "uint8")}), SMALL)
