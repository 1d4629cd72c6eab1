"""Symmetric logarithm, two-hot coding, straight-through sampling, and values along the first axes of an array."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def symlog(x: Array) -> Array:
    """sign(x) ln(1 + |x|) (Hafner et al. 2023, eq. 9): compresses large values, is near identity at 0."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: Array) -> Array:
    """Inverse of `symlog`."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


def along(values: Array, array: Array) -> Array:
    """Values `[...]` in a shape that is broadcast along the first axes of an array, which has as many or more."""
    return values.reshape(values.shape + (1,) * (array.ndim - values.ndim))


def two_hot_bins(count: int, limit: float = 10.0) -> np.ndarray:
    """Bin centres `[count]`, symmetric and equally spaced in symlog space from -limit to limit.

    Built from one half and its mirror image, so that a uniform distribution has mean exactly 0.

    Raises:
      ValueError: `count` is even; the middle bin must be 0.
    """
    if count % 2 == 0:
        raise ValueError(f"two-hot needs an odd number of bins so that one of them is 0, got {count}")
    positive = np.expm1(np.linspace(0.0, limit, count // 2 + 1))[1:]
    return np.concatenate([-positive[::-1], [0.0], positive]).astype(np.float32)


def two_hot(x: Array, bins: Array | np.ndarray) -> Array:
    """Weights `[..., bins]` on the two bins next to `x` `[...]` whose mean is `x` (clipped to the bins' range).

    Written as one hat function per bin, which fuses into a single pass without gathers.
    """
    bins = jnp.asarray(bins)
    x = jnp.clip(x, bins[0], bins[-1])[..., None]
    width = jnp.diff(bins)
    rising = (x - bins[:-1]) / width
    falling = 1.0 - rising
    edge = jnp.full_like(x, jnp.inf)
    hats = jnp.minimum(jnp.concatenate([edge, rising], -1), jnp.concatenate([falling, edge], -1))
    return jnp.maximum(hats, 0.0)


def two_hot_mean(logits: Array, bins: Array | np.ndarray) -> Array:
    """Expectation `[...]` of the bins under `logits` `[..., bins]`.

    Bins are summed in pairs of opposite sign, so that a uniform distribution has mean exactly 0 in spite of
    float32 rounding.
    """
    probabilities = jax.nn.softmax(logits)
    middle = len(bins) // 2
    negative = probabilities[..., :middle][..., ::-1]
    positive = probabilities[..., middle + 1 :]
    return jnp.sum((positive - negative) * bins[middle + 1 :], -1)


def two_hot_loss(logits: Array, target: Array, bins: Array | np.ndarray) -> Array:
    """Cross entropy `[...]` between `two_hot(target)` and `logits` `[..., bins]`."""
    return -jnp.sum(two_hot(target, bins) * jax.nn.log_softmax(logits), -1)


def unimix_probabilities(logits: Array, unimix: float) -> Array:
    """Softmax mixed with a share `unimix` of the uniform distribution, which keeps KL and log finite."""
    probabilities = jax.nn.softmax(logits)
    return (1 - unimix) * probabilities + unimix / logits.shape[-1]


def sample_straight_through(key: Array, probabilities: Array) -> Array:
    """One-hot samples `[..., classes]` with straight-through gradients (Bengio et al. 2013).

    Sampled by inverting the cumulative distribution: one uniform per variable instead of Gumbel noise per
    class, which is several times cheaper on a CPU.
    """
    threshold = jax.random.uniform(key, probabilities.shape[:-1] + (1,))
    sample = invert_cumulative(threshold, probabilities)
    return sample + probabilities - jax.lax.stop_gradient(probabilities)


def invert_cumulative(threshold: Array, probabilities: Array) -> Array:
    """The one-hot classes `[..., classes]` at which the cumulative distributions pass thresholds `[..., 1]`."""
    cumulative = jnp.cumsum(probabilities[..., :-1], axis=-1)
    index = jnp.sum(cumulative < threshold, -1)
    return jax.nn.one_hot(index, probabilities.shape[-1])


def categorical_kl(left: Array, right: Array) -> Array:
    """KL(left || right) `[...]`, summed over latents, of probabilities `[..., latents, classes]`."""
    return jnp.sum(left * (jnp.log(left) - jnp.log(right)), (-2, -1))


def categorical_entropy(probabilities: Array) -> Array:
    """Entropy `[...]`, summed over latents, of probabilities `[..., latents, classes]`."""
    return -jnp.sum(probabilities * jnp.log(probabilities), (-2, -1))
