"""Encoder for dictionaries of vectors and 64x64 images, decoder for images."""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.layers import INITIALIZER, MLP
from daydreamer.models.transforms import symexp, symlog
from daydreamer.spec import Space

SMALLEST_DEVIATION = 0.01
"""Elements that are predicted better than this are predicted well enough; it also keeps constant ones harmless."""

CONVOLUTIONS = 4  # 64 -> 32 -> 16 -> 8 -> 4


def vector_keys(observation: Mapping[str, Space]) -> list[str]:
    return [key for key, space in observation.items() if not space.is_image]


def image_keys(observation: Mapping[str, Space]) -> list[str]:
    return [key for key, space in observation.items() if space.is_image]


def check_images(observation: Mapping[str, Space]) -> None:
    """Raises ValueError unless every image is 64x64."""
    for key in image_keys(observation):
        if observation[key].shape[:2] != (64, 64):
            raise ValueError(f"image '{key}' is {observation[key].shape}; the networks take 64x64 images")


def vector_size(observation: Mapping[str, Space]) -> int:
    """Elements of all vector observations together."""
    return sum(observation[key].size for key in vector_keys(observation))


def flatten_vectors(observation: Mapping[str, Array], spaces: Mapping[str, Space]) -> Array:
    """All vector observations side by side in the order of `spaces`, symlog, `[..., vector]`."""
    flat = []
    for key, space in spaces.items():
        value = observation[key]
        batch_shape = value.shape[: value.ndim - len(space.shape)]
        flat.append(jnp.zeros((*batch_shape, 0)) if space.is_image else value.reshape(*batch_shape, space.size))
    return symlog(jnp.concatenate(flat, -1))


def split_vectors(flat: Array, spaces: Mapping[str, Space]) -> dict[str, Array]:
    """Inverse of `flatten_vectors`: vector observations by key, `[..., *shape]`."""
    keys = vector_keys(spaces)
    if not keys:
        return {}
    parts = jnp.split(symexp(flat), np.cumsum([spaces[key].size for key in keys])[:-1], -1)
    return {key: part.reshape(*flat.shape[:-1], *spaces[key].shape) for key, part in zip(keys, parts, strict=True)}


class Encoder(nn.Module):
    """Observations by key `[..., *shape]` to one embedding `[..., features]`."""

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, observation: Mapping[str, Array]) -> Array:
        outputs = []
        if vector_keys(self.observation):
            vector = flatten_vectors(observation, self.observation)
            outputs.append(MLP(self.config.encoder_layers, self.config.units)(vector))
        if keys := image_keys(self.observation):
            x = jnp.concatenate([observation[key].astype(jnp.float32) / 255 - 0.5 for key in keys], -1)
            outputs.append(self._convolve(x))
        return jnp.concatenate(outputs, -1)

    def _convolve(self, x: Array) -> Array:
        batch_shape = x.shape[:-3]
        x = x.reshape(-1, *x.shape[-3:])
        for layer in range(CONVOLUTIONS):
            depth = self.config.convolution_depth * 2**layer
            x = nn.Conv(depth, (4, 4), (2, 2), use_bias=False, kernel_init=INITIALIZER)(x)
            x = nn.silu(nn.RMSNorm(epsilon=1e-4)(x))
        return x.reshape(*batch_shape, -1)


class Decoder(nn.Module):
    """Features `[..., features]` to predicted images by key, in [0, 1]. The vectors are part of the state itself."""

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, features: Array) -> dict[str, Array]:
        keys = image_keys(self.observation)
        if not keys:
            return {}
        channels = [self.observation[key].shape[-1] for key in keys]
        image = self._deconvolve(features, sum(channels))
        ends = np.cumsum(channels)[:-1]
        return dict(zip(keys, jnp.split(image, ends, -1), strict=True))

    def _deconvolve(self, features: Array, channels: int) -> Array:
        depth = self.config.convolution_depth * 2 ** (CONVOLUTIONS - 1)
        x = nn.Dense(4 * 4 * depth, kernel_init=INITIALIZER)(features.reshape(-1, features.shape[-1]))
        x = nn.silu(nn.RMSNorm(epsilon=1e-4)(x.reshape(-1, 4, 4, depth)))
        for layer in reversed(range(CONVOLUTIONS - 1)):
            depth = self.config.convolution_depth * 2**layer
            x = nn.ConvTranspose(depth, (4, 4), (2, 2), use_bias=False, kernel_init=INITIALIZER)(x)
            x = nn.silu(nn.RMSNorm(epsilon=1e-4)(x))
        x = nn.ConvTranspose(channels, (4, 4), (2, 2), kernel_init=INITIALIZER)(x)
        return nn.sigmoid(x).reshape(*features.shape[:-1], *x.shape[1:])


def image_loss(prediction: Mapping[str, Array], observation: Mapping[str, Array]) -> Array | float:
    """Squared error `[...]` summed over all pixels of all predicted images in [0, 1]; 0 if there are none."""
    total: Array | float = 0.0
    for key, image in prediction.items():
        total += jnp.sum(jnp.square(image - observation[key].astype(jnp.float32) / 255), (-3, -2, -1))
    return total


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
