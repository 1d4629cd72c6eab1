"""Building blocks shared by all networks."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

INITIALIZER = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def output_initializer(scale: float):
    """Fan-in initialisation scaled by `scale`; zeros where it is 0, so that a head starts out neutral."""
    if scale == 0.0:
        return nn.initializers.zeros
    return nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")


class HiddenLayer(nn.Module):
    """Linear, RMS norm, SiLU: `[..., inputs] -> [..., units]`."""

    units: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = nn.Dense(self.units, use_bias=False, kernel_init=INITIALIZER)(x)
        return nn.silu(nn.RMSNorm(epsilon=1e-4)(x))


class MLP(nn.Module):
    """`layers` hidden layers and, if `outputs` is given, a linear output: `[..., inputs] -> [..., outputs]`."""

    layers: int
    units: int
    outputs: int | None = None
    output_scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for _ in range(self.layers):
            x = HiddenLayer(self.units)(x)
        if self.outputs is not None:
            x = nn.Dense(self.outputs, kernel_init=output_initializer(self.output_scale))(x)
        return x


class BlockDense(nn.Module):
    """Block-diagonal linear layer: `[..., blocks, inputs] -> [..., blocks, units]`, no mixing between blocks."""

    units: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        blocks, inputs = x.shape[-2:]
        initializer = nn.initializers.variance_scaling(
            1.0, "fan_in", "truncated_normal", in_axis=-2, out_axis=-1, batch_axis=0
        )
        kernel = self.param("kernel", initializer, (blocks, inputs, self.units))
        bias = self.param("bias", nn.initializers.zeros, (blocks, self.units))
        return jnp.einsum("...gi,gio->...go", x, kernel) + bias
