"""Encoder for dictionaries of vectors and images, decoder for images.

Images go through dense layers alone: cut into patches, of which four neighbours at a time become one. XLA's
convolutions are slow on processors, the transposed ones above all.
"""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.hues import NUMBERS, hue_places
from daydreamer.models.layers import INITIALIZER, MLP, HiddenLayer
from daydreamer.models.requirements import PATCH
from daydreamer.models.transforms import symexp, symlog
from daydreamer.spec import Space

SMALLEST_DEVIATION = 0.01
"""Elements that are predicted better than this are predicted well enough; it also keeps constant ones harmless."""

REDUNDANCY_WEIGHT = 5e-4
"""Of a correlation between different numbers, beside that of the same ones, see `redundancy_loss`."""


def vector_keys(observation: Mapping[str, Space]) -> list[str]:
    return [key for key, space in observation.items() if not space.is_image]


def image_keys(observation: Mapping[str, Space]) -> list[str]:
    return [key for key, space in observation.items() if space.is_image]


def embedded_keys(observation: Mapping[str, Space], config: ModelConfig) -> list[str]:
    """The images that networks look at, see `ModelConfig.image_loss`."""
    return [] if config.image_loss == "none" else image_keys(observation)


def vector_size(observation: Mapping[str, Space], hues: bool = False) -> int:
    """Elements of what `flatten_vectors` makes of observations."""
    size = sum(observation[key].size for key in vector_keys(observation))
    return size + NUMBERS * len(image_keys(observation)) if hues else size


def flatten_vectors(observation: Mapping[str, Array], spaces: Mapping[str, Space], hues: bool = False) -> Array:
    """All vector observations side by side in the order of `spaces`, symlog, `[..., vector]`.

    With hues, those of each image come behind, as they are, see `hue_places`.
    """
    flat, seen = [], []
    for key, space in spaces.items():
        value = observation[key]
        batch_shape = value.shape[: value.ndim - len(space.shape)]
        flat.append(jnp.zeros((*batch_shape, 0)) if space.is_image else value.reshape(*batch_shape, space.size))
        if hues and space.is_image:
            seen.append(hue_places(value))
    return jnp.concatenate([symlog(jnp.concatenate(flat, -1)), *seen], -1)


def split_vectors(flat: Array, spaces: Mapping[str, Space]) -> dict[str, Array]:
    """Inverse of `flatten_vectors`: vector observations by key, `[..., *shape]`; hues are left out."""
    keys = vector_keys(spaces)
    if not keys:
        return {}
    *parts, _ = jnp.split(symexp(flat), np.cumsum([spaces[key].size for key in keys]), -1)
    return {key: part.reshape(*flat.shape[:-1], *spaces[key].shape) for key, part in zip(keys, parts, strict=True)}


def to_patches(image: Array, side: int) -> Array:
    """`[..., height, width, channels]` to `[..., height / side, width / side, side * side * channels]`."""
    *batch_shape, height, width, channels = image.shape
    rows = image.reshape(*batch_shape, height // side, side, width // side, side, channels)
    return rows.swapaxes(-4, -3).reshape(*batch_shape, height // side, width // side, side * side * channels)


def from_patches(patches: Array, side: int) -> Array:
    """Inverse of `to_patches`."""
    *batch_shape, rows, columns, size = patches.shape
    channels = size // side**2
    image = patches.reshape(*batch_shape, rows, columns, side, side, channels)
    return image.swapaxes(-4, -3).reshape(*batch_shape, rows * side, columns * side, channels)


def patch_grids(image: Space) -> list[tuple[int, int]]:
    """Rows and columns of an image's patches, then of what four of them are merged into, for as long as that goes."""
    grids = [(image.shape[0] // PATCH, image.shape[1] // PATCH)]
    while grids[-1][0] % 2 == 0 and grids[-1][1] % 2 == 0:
        grids.append((grids[-1][0] // 2, grids[-1][1] // 2))
    return grids


class ImageEncoder(nn.Module):
    """Images of bytes `[..., height, width, channels]` to `[..., image_units]`."""

    image: Space
    config: ModelConfig

    @nn.compact
    def __call__(self, image: Array) -> Array:
        x = HiddenLayer(self.config.patch_units)(to_patches(image.astype(jnp.float32) / 255 - 0.5, PATCH))
        for _ in patch_grids(self.image)[1:]:
            x = HiddenLayer(self.config.image_units)(to_patches(x, 2))
        return HiddenLayer(self.config.image_units)(x.reshape(*x.shape[:-3], -1))


class ImageDecoder(nn.Module):
    """Features `[..., features]` to an image `[..., height, width, channels]` in [0, 1]; `ImageEncoder` backwards."""

    image: Space
    config: ModelConfig

    @nn.compact
    def __call__(self, features: Array) -> Array:
        *finer, (rows, columns) = patch_grids(self.image)
        x = HiddenLayer(rows * columns * self.config.image_units)(features)
        x = x.reshape(*x.shape[:-1], rows, columns, self.config.image_units)
        for units in [self.config.image_units] * (len(finer) - 1) + [self.config.patch_units] * bool(finer):
            x = from_patches(HiddenLayer(4 * units)(x), 2)
        x = nn.Dense(PATCH * PATCH * self.image.shape[-1], kernel_init=INITIALIZER)(x)
        # What never changes before a camera that stands still need not be said by the state.
        still = self.param("still", nn.initializers.zeros, self.image.shape)
        return nn.sigmoid(from_patches(x, PATCH) + still)


class Encoder(nn.Module):
    """Observations by key `[..., *shape]` to one embedding `[..., features]`: of all that they measure,
    `[..., vector]`, see `flatten_vectors`, then of each image.
    """

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, observation: Mapping[str, Array], vector: Array) -> Array:
        outputs = []
        if vector.shape[-1]:
            outputs.append(MLP(self.config.encoder_layers, self.config.units)(vector))
        for key in embedded_keys(self.observation, self.config):
            outputs.append(ImageEncoder(self.observation[key], self.config)(observation[key]))
        return jnp.concatenate(outputs, -1)


class Decoder(nn.Module):
    """Features `[..., features]` to predicted images by key, in [0, 1]. The vectors are part of the state itself."""

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, features: Array) -> dict[str, Array]:
        return {key: ImageDecoder(self.observation[key], self.config)(features) for key in image_keys(self.observation)}


def image_loss(prediction: Mapping[str, Array], observation: Mapping[str, Array], weight: Array) -> tuple[Array, Array]:
    """Negative log-likelihood of images under a normal distribution whose deviation is the error itself.

    As `vector_loss`, but with one deviation for a whole image, and with the mean over its elements in place of their
    sum: an image counts as much as one number that is measured, however many pixels it has.

    Args:
      prediction: by key, in [0, 1], `[batch, time, height, width, channels]`; what is not in it does not count.
      observation: bytes by key, of the same shapes.
      weight: `[batch, time]`, 0 where the image was not seen.

    Returns:
      Loss `[batch, time]` up to a constant, and the mean over the images of the deviations.
    """
    total, deviations = jnp.zeros_like(weight), []
    for key, image in prediction.items():
        squared = jnp.square(image - observation[key].astype(jnp.float32) / 255).mean((-3, -2, -1)) * weight
        variance = jax.lax.stop_gradient(squared.sum() / jnp.maximum(1.0, weight.sum()))
        variance = jnp.maximum(variance, SMALLEST_DEVIATION**2)
        total += 0.5 * squared / variance
        deviations.append(jnp.sqrt(variance))
    return total, jnp.stack(deviations).mean() if deviations else jnp.zeros(())


def redundancy_loss(prediction: Array, target: Array) -> Array:
    """How far two views of the same things are from saying the same, each number something of its own, `[]`.

    The loss of Barlow Twins (Zbontar et al. 2021), with the weights of R2-Dreamer (Morihira et al. 2026): correlated
    over all positions, each number of one view with the same of the other should be 1, and 0 with any other.

    Args:
      prediction, target: `[..., size]`; no gradient goes to the target.
    """
    size = target.shape[-1]
    left, right = (_standardised(x.reshape(-1, size)) for x in (prediction, jax.lax.stop_gradient(target)))
    correlation = left.T @ right / left.shape[0]
    same = jnp.diagonal(correlation)
    others = jnp.square(correlation).sum() - jnp.square(same).sum()
    return jnp.square(same - 1.0).sum() + REDUNDANCY_WEIGHT * others


def _standardised(x: Array) -> Array:
    return (x - x.mean(0)) / (x.std(0) + 1e-5)


def effective_rank(embedding: Array) -> Array:
    """In how many directions embeddings `[..., size]` vary, `[]`: 1 where all are alike (RankMe, Garrido et al. 2023).

    The exponential of the entropy of their deviations in the principal directions. One below `SMALLEST_DEVIATION` does
    not count: what noise leaves of embeddings that are all alike varies in every direction.
    """
    x = embedding.reshape(-1, embedding.shape[-1])
    x = x - x.mean(0)
    variance = jnp.linalg.eigvalsh(x.T @ x / x.shape[0])
    deviation = jnp.sqrt(jnp.where(variance > SMALLEST_DEVIATION**2, variance, 0.0))
    share = deviation / jnp.maximum(deviation.sum(), 1e-12) + 1e-12
    return jnp.exp(-jnp.sum(share * jnp.log(share)))


def vector_loss(prediction: Array, target: Array, weight: Array) -> tuple[Array, Array]:
    """Negative log-likelihood of vectors under a normal distribution whose deviation is the error itself.

    The best deviation of each element is the root mean square of its error (Rybkin et al. 2021, sigma-VAE), so that
    an attitude that moves by 0.05 counts as much as a joint speed that moves by 1, and no scale has to be chosen.

    Args:
      prediction, target: `[batch, time, vector]`.
      weight: `[batch, time]`, 0 where nothing can be predicted.

    Returns:
      Loss `[batch, time]` up to a constant, and the mean over the elements of the deviations.
    """
    squared = jnp.square(prediction - target) * weight[..., None]
    variance = jax.lax.stop_gradient(squared.sum((0, 1)) / jnp.maximum(1.0, weight.sum()))
    variance = jnp.maximum(variance, SMALLEST_DEVIATION**2)
    deviation = jnp.sqrt(variance).mean() if variance.size else jnp.zeros(())  # with cameras alone
    return 0.5 * jnp.sum(squared / variance, -1), deviation
