"""Where in a picture each hue is, as if it were measured."""

import itertools

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from daydreamer.config import ModelConfig
from daydreamer.models.codecs import flatten_vectors, split_vectors, vector_size
from daydreamer.models.hues import HUES, NUMBERS, UNIT, hue_places
from daydreamer.models.world_model import Batch, WorldModel
from daydreamer.spec import RobotSpec, Space

PAINTS = np.array([corner for corner in itertools.product((20, 230), repeat=3) if len(set(corner)) > 1])
CAMERA = Space((64, 48, 3), "uint8", 0, 255)
SPACES = {"camera": CAMERA, "joints": Space((2,), low=-1.0, high=1.0)}


def picture(paint, row, column, exposure=1.0, seed=0):
    """A square of 6 pixels on a grey ground with noise; its middle is at `row` and `column`."""
    image = 110 + np.random.default_rng(seed).normal(0, 3, CAMERA.shape)
    image[row - 3 : row + 3, column - 3 : column + 3] = paint
    return (image * exposure).clip(0, 255).astype(np.uint8)


def numbers_of(image):
    """How far down, how far right, how much, of each hue."""
    return UNIT * np.asarray(hue_places(image)).reshape(3, len(HUES))


@pytest.mark.parametrize("number", range(len(HUES)))
@pytest.mark.parametrize("exposure", [0.8, 1.0, 1.1])
def test_a_small_thing_is_where_its_hue_is(number, exposure):
    row, column = 40, 12
    assert np.allclose(np.sign(PAINTS[number] - 125.0) / np.sqrt(3), HUES[number])
    down, right, most = UNIT * np.asarray(hue_places(picture(PAINTS[number], row, column, exposure))).reshape(
        3, len(HUES)
    )
    expected = (row / CAMERA.shape[0], column / CAMERA.shape[1])
    assert np.allclose((down[number], right[number]), 2 * np.array(expected) - 1, atol=0.12)
    assert most[number] > max(np.delete(most, number)) + 0.1
    *without, least = numbers_of(picture(110, row, column, exposure))
    assert most[number] > least[number] + 0.1 and np.abs(without).max() < 0.1


def test_black_and_odd_pictures_are_finite():
    for image in (np.zeros((64, 64, 3), np.uint8), np.full((16, 8, 3), 255, np.uint8)):
        assert np.isfinite(hue_places(image)).all()


def test_they_are_part_of_what_is_measured_behind_the_vectors():
    observation = {
        "camera": jnp.asarray(np.stack([picture(PAINTS[3], 20, 30), picture(PAINTS[3], 44, 30)])),
        "joints": jnp.asarray([[0.25, -0.5], [0.0, 1.0]]),
    }
    flat = flatten_vectors(observation, SPACES, hues=True)
    assert flat.shape == (2, 2 + NUMBERS) == (2, vector_size(SPACES, hues=True))
    assert np.allclose(flat[:, 2:], hue_places(observation["camera"]), atol=1e-6)
    assert np.allclose(split_vectors(flat, SPACES)["joints"], observation["joints"], atol=1e-6)
    assert np.array_equal(flat[:, :2], flatten_vectors(observation, SPACES))


SPEC = RobotSpec("toy", "toy", 5.0, 8, (), (), SPACES, Space((), classes=3), ("r",))
SIZES = dict(deterministic=8, hidden=8, stochastic=2, classes=4, units=8, bins=11, patch_units=8, image_units=8)
MEASURED = NUMBERS + 2


def test_a_model_without_networks_that_see_pictures_predicts_them():
    model = WorldModel(SPEC, ModelConfig(**SIZES, hues=True, image_loss="none"))
    shapes = jax.eval_shape(model.initialize, jax.random.key(0))
    assert shapes["rssm"]["params"]["change_output"]["kernel"].shape == (8, MEASURED)
    assert not [name for name in shapes["encoder"]["params"] if name.startswith("ImageEncoder")]
    for config in (ModelConfig(**SIZES, image_loss="none"), ModelConfig(**SIZES, memory=False)):
        with pytest.raises(ValueError, match="set model.hues=true"):
            WorldModel(msgspec.structs.replace(SPEC, observation={"camera": CAMERA}), config)


def test_a_picture_without_colours_has_no_hues():
    grey = msgspec.structs.replace(SPEC, observation={"camera": Space((16, 16, 1), "uint8", 0, 255)})
    with pytest.raises(ValueError, match="camera.* has 1 channels"):
        WorldModel(grey, ModelConfig(**SIZES, hues=True))


def test_without_memory_the_reward_is_expected_of_the_step_before_alone():
    model = WorldModel(SPEC, ModelConfig(**SIZES, hues=True, image_loss="none", memory=False))
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    outcome = jax.tree.map(lambda x: jax.random.normal(jax.random.key(1), x.shape), parameters["outcome"])
    parameters |= {"outcome": outcome}
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (1, 6, *CAMERA.shape), dtype=np.uint8)
    joints, nothing = random.uniform(-1, 1, (1, 6, 2)).astype(np.float32), jnp.zeros((1, 6))
    action = jax.nn.one_hot(random.integers(0, 3, (1, 6)), 3)
    first = nothing.at[:, 0].set(1.0)
    batch = Batch({"camera": pictures, "joints": joints}, action, nothing, first, nothing, nothing, nothing, nothing)
    states = model.observe(parameters, batch, jax.random.key(2)).states
    measured = model.vectors(batch.observation)
    assert np.array_equal(states.deterministic[:, 1:], jnp.concatenate([measured, action], -1)[:, :-1])
    assert not states.deterministic[:, 0].any() and np.array_equal(states.vector, measured)
    reward, _ = model.outcomes(parameters, states.features)
    other, _ = model.outcomes(parameters, states._replace(vector=measured + 1.0).features)
    before, _ = model.outcomes(parameters, states._replace(deterministic=states.deterministic + 1.0).features)
    assert np.array_equal(reward, other) and not np.allclose(reward, before)
    assert model.behavior_features(states.features).shape == (1, 6, MEASURED)
