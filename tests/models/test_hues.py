"""Where in a picture each hue is, as if it were measured."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daydreamer.config import ModelConfig
from daydreamer.models.codecs import flatten_vectors, split_vectors, vector_size
from daydreamer.models.hues import HUES, NUMBERS, UNIT, hue_places
from daydreamer.models.world_model import WorldModel
from daydreamer.spec import RobotSpec, Space

PAINTS = np.array([corner for corner in itertools.product((20, 230), repeat=3) if len(set(corner)) > 1])
CAMERA = Space((64, 48, 3), "uint8", 0, 255)
SPACES = {"camera": CAMERA, "joints": Space((2,), low=-1.0, high=1.0)}


def picture(paint, row, column, exposure=1.0, seed=0):
    """A square of 6 pixels on a grey ground with noise; its middle is at `row` and `column`."""
    image = 110 + np.random.default_rng(seed).normal(0, 3, CAMERA.shape)
    image[row - 3 : row + 3, column - 3 : column + 3] = paint
    return (image * exposure).clip(0, 255).astype(np.uint8)


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
    without = UNIT * np.asarray(hue_places(picture(110, row, column, exposure))).reshape(3, len(HUES))
    assert most[number] > without[2, number] + 0.1 and np.abs(without[:2]).max() < 0.1


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


def test_a_world_model_predicts_them():
    spec = RobotSpec("toy", "toy", 5.0, 8, (), (), {"camera": CAMERA}, Space((2,), low=-1.0, high=1.0), ("r",))
    sizes = dict(deterministic=8, hidden=8, stochastic=2, classes=4, units=8, bins=11, patch_units=8, image_units=8)
    model = WorldModel(spec, ModelConfig(**sizes, hues=True))
    shapes = jax.eval_shape(model.initialize, jax.random.key(0))
    assert shapes["rssm"]["params"]["change_output"]["kernel"].shape == (8, NUMBERS)
    assert model.rssm.initial_state((1,)).vector.shape == (1, NUMBERS)
