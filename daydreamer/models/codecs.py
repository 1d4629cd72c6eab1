"""Encoder and decoder for dictionaries of vectors and 64x64 images."""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from daydreamer.config import ModelConfig
from daydreamer.models.layers import INITIALIZER, MLP
from daydreamer.models.transforms import symlog
from daydreamer.spec import Space

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


class Encoder(nn.Module):
    """Observations by key `[..., *shape]` to one embedding `[..., features]`."""

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, observation: Mapping[str, Array]) -> Array:
        outputs = []
        if keys := vector_keys(self.observation):
            batch_shape = observation[keys[0]].shape[: -len(self.observation[keys[0]].shape) or None]
            flat = [observation[key].reshape(*batch_shape, -1).astype(jnp.float32) for key in keys]
            vector = symlog(jnp.concatenate(flat, -1))
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
    """Features `[..., features]` to predicted observations by key: symlog vectors, images in [0, 1]."""

    observation: Mapping[str, Space]
    config: ModelConfig

    @nn.compact
    def __call__(self, features: Array) -> dict[str, Array]:
        outputs = {}
        if keys := vector_keys(self.observation):
            x = MLP(self.config.decoder_layers, self.config.units)(features)
            for key in keys:
                space = self.observation[key]
                prediction = nn.Dense(space.size, kernel_init=INITIALIZER, name=f"vector_{key}")(x)
                outputs[key] = prediction.reshape(*features.shape[:-1], *space.shape)
        if keys := image_keys(self.observation):
            channels = [self.observation[key].shape[-1] for key in keys]
            image = self._deconvolve(features, sum(channels))
            offset = 0
            for key, count in zip(keys, channels, strict=True):
                outputs[key] = image[..., offset : offset + count]
                offset += count
        return outputs

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


def reconstruction_loss(
    prediction: Mapping[str, Array], observation: Mapping[str, Array], spaces: Mapping[str, Space]
) -> Array:
    """Squared error `[...]` summed over all elements of all keys: symlog for vectors, [0, 1] for images."""
    total = 0.0
    for key, space in spaces.items():
        target = observation[key].astype(jnp.float32)
        target = target / 255 if space.is_image else symlog(target)
        axes = tuple(range(target.ndim - len(space.shape), target.ndim))
        total += jnp.sum(jnp.square(prediction[key] - target), axes)
    return total
