"""Pictures go in and come out by patches, and what they show is learned with and without drawing them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daydreamer.config import LearnerConfig, ModelConfig
from daydreamer.learner.agent import make_optimizer
from daydreamer.models.codecs import (
    Decoder,
    Encoder,
    effective_rank,
    flatten_vectors,
    from_patches,
    image_loss,
    redundancy_loss,
    to_patches,
)
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.spec import RobotSpec, Space

SMALL = dict(deterministic=32, hidden=32, stochastic=4, classes=8, units=32, bins=31, patch_units=16, image_units=32)
SIDE, SQUARE, LENGTH = 32, 8, 8
UPDATES = 400
ACTION = Space((2,), low=-1.0, high=1.0)
WATCHER = RobotSpec(
    "toy", "toy", 5.0, LENGTH, (), (), {"camera": Space((SIDE, SIDE, 3), "uint8", 0, 255)}, ACTION, ("r",)
)
"""It sees a square that its actions move, and is paid for how far to the right that is."""


def videos(count: int, seed: int) -> Batch:
    """Sequences of pictures in which a red square moves over a background that is always the same but for noise."""
    random = np.random.default_rng(seed)
    background = np.random.default_rng(0).integers(60, 120, (SIDE, SIDE, 3))
    pictures = background + random.integers(-8, 9, (count, LENGTH, SIDE, SIDE, 3))
    action = random.uniform(-1, 1, (count, LENGTH, 2)).astype(np.float32)
    position = np.zeros((count, LENGTH, 2))
    position[:, 0] = random.uniform(-1, 1, (count, 2))
    for step in range(1, LENGTH):
        position[:, step] = np.clip(position[:, step - 1] + 0.5 * action[:, step - 1], -1, 1)
    corner = np.round((position + 1) / 2 * (SIDE - SQUARE)).astype(int)
    for sequence, step in np.ndindex(count, LENGTH):
        row, column = corner[sequence, step]
        pictures[sequence, step, row : row + SQUARE, column : column + SQUARE] = (220, 30, 30)
    zeros = jnp.zeros((count, LENGTH))
    observation = {"camera": jnp.asarray(pictures.astype(np.uint8))}
    reward, first = jnp.float32(position[..., 1]), zeros.at[:, 0].set(1.0)
    return Batch(observation, jnp.asarray(action), reward, first, zeros, zeros, zeros, zeros)


@pytest.mark.parametrize("kind", [pytest.param("pixels", marks=pytest.mark.long), "barlow"])
def test_what_is_paid_is_seen_in_pictures(kind):
    model = WorldModel(WATCHER, ModelConfig(**SMALL, image_loss=kind))
    config = LearnerConfig(warmup_updates=20, actor_delay_updates=0, learning_rate=3e-3)
    optimizer = make_optimizer(config)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    data, unseen = videos(64, 1), videos(16, 2)

    @jax.jit
    def train(parameters, state, key):
        def update(carry, key):
            def loss(parameters):
                total, _, _, metrics = model.loss(parameters, batch, config, loss_key)
                return total, metrics

            parameters, state = carry
            batch_key, loss_key = jax.random.split(key)
            chosen = jax.random.randint(batch_key, (8,), 0, 64)
            batch = jax.tree.map(lambda values: values[chosen], data)
            gradient, metrics = jax.grad(loss, has_aux=True)(parameters)
            changes, state = optimizer.update(gradient, state, parameters)
            return (jax.tree.map(jnp.add, parameters, changes), state), metrics

        (parameters, state), metrics = jax.lax.scan(update, (parameters, state), jax.random.split(key, UPDATES))
        return parameters, metrics

    parameters, metrics = train(parameters, optimizer.init(parameters), jax.random.key(1))
    observed = jax.jit(model.observe)(parameters, unseen, jax.random.key(2))
    reward, _ = model.outcomes(parameters, observed.states.features)
    unexplained = jnp.square(reward - unseen.reward).mean() / unseen.reward.var()
    assert unexplained < 0.5, unexplained
    assert metrics["model/image_rank"][-1] > 2
    # Of what is drawn, also for the eye alone, the background is the larger part.
    assert metrics["model/image_deviation"][-1] < 0.7 * metrics["model/image_deviation"][0]


def test_pictures_are_the_sum_of_their_patches():
    image = np.arange(2 * 16 * 24 * 3).reshape(2, 16, 24, 3)
    patches = to_patches(jnp.asarray(image), 8)
    assert patches.shape == (2, 2, 3, 192)
    np.testing.assert_array_equal(patches[1, 1, 2].reshape(8, 8, 3), image[1, 8:16, 16:24])
    np.testing.assert_array_equal(from_patches(patches, 8), image)


@pytest.mark.parametrize("shape", [(64, 64, 3), (24, 32, 3), (16, 16, 4), (8, 8, 1)])
def test_pictures_of_any_size_are_embedded_and_drawn(shape):
    config = ModelConfig(**SMALL)
    spaces = {"one": Space(shape, "uint8", 0, 255), "x": Space((2,)), "other": Space((16, 8, 3), "uint8", 0, 255)}
    observation = {key: jnp.zeros((5, *space.shape), space.dtype) for key, space in spaces.items()}
    encoder, decoder = Encoder(spaces, config), Decoder(spaces, config)

    def run(key):
        vector = flatten_vectors(observation, spaces)
        embedding = encoder.apply(encoder.init(key, observation, vector), observation, vector)
        return embedding, decoder.apply(decoder.init(key, embedding), embedding)

    embedding, images = jax.eval_shape(run, jax.random.key(0))
    assert embedding.shape == (5, 32 + 2 * 32)
    assert {key: image.shape[1:] for key, image in images.items()} == {"one": shape, "other": (16, 8, 3)}


def test_a_picture_that_was_not_seen_need_not_be_drawn():
    truth = {"camera": jnp.full((2, 3, 8, 8, 1), 255, jnp.uint8)}
    drawn = {"camera": jnp.full((2, 3, 8, 8, 1), 0.9).at[0, 1].set(0.0)}
    loss, deviation = image_loss(drawn, truth, jnp.ones((2, 3)).at[0, 1].set(0.0))
    assert loss[0, 1] == 0.0 and float(deviation) == pytest.approx(0.1)
    np.testing.assert_allclose(loss[1], 0.5, rtol=1e-5)  # however wrong all of them are, and however many pixels


def test_two_views_agree_when_they_say_the_same_in_the_same_order():
    keys = jax.random.split(jax.random.key(0), 2)
    view = jax.random.normal(keys[0], (40, 50, 8))
    assert float(redundancy_loss(3.0 * view + 5.0, view)) < 0.01  # neither scale nor mean is compared
    other = jax.random.normal(keys[1], view.shape)
    assert float(redundancy_loss(other, view)) == pytest.approx(8.0, rel=0.1)
    assert float(redundancy_loss(jnp.repeat(view[..., :1], 8, -1), view)) > 6.0
    gradients = jax.grad(redundancy_loss, (0, 1))(other, view)
    assert jnp.abs(gradients[0]).max() > 0.0 and not gradients[1].any()


def test_the_rank_counts_the_directions_in_which_embeddings_vary():
    directions = jax.random.normal(jax.random.key(0), (3, 20))
    spread = jax.random.normal(jax.random.key(1), (500, 3))
    assert float(effective_rank(spread @ jnp.linalg.qr(directions.T)[0].T)) == pytest.approx(3.0, abs=0.3)
    alike = 1.0 + 1e-4 * jax.random.normal(jax.random.key(2), (4, 500, 20))
    assert float(effective_rank(alike)) == pytest.approx(1.0, abs=0.01)
    assert float(effective_rank(jax.random.normal(jax.random.key(2), (2000, 20)))) > 19.0
