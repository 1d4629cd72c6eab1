"""Lambda returns and their running scale."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


def lambda_returns(reward: Array, discount: Array, value: Array, mixing: Array | float) -> Array:
    """Lambda returns (Sutton & Barto 2018, ch. 12; Hafner et al. 2020, eq. 6), time on the first axis.

    R[t] = reward[t+1] + discount[t+1] * ((1 - lambda[t+1]) * value[t+1] + lambda[t+1] * R[t+1]),  R[T] = value[T]

    Args:
      reward: `[T+1, ...]`, received on arriving at each state; the first is not used.
      discount: `[T+1, ...]`, discount times probability to continue at each state; the first is not used.
      value: `[T+1, ...]` of each state.
      mixing: lambda, one for all or `[T+1, ...]`; 0 where the sequence is cut and the value takes over.

    Returns:
      `[T, ...]`.
    """
    mixing = jnp.broadcast_to(mixing, value.shape)
    one_step = reward[1:] + discount[1:] * (1 - mixing[1:]) * value[1:]

    def step(following, slices):
        current, factor = slices
        result = current + factor * following
        return result, result

    _, returns = jax.lax.scan(step, value[-1], (one_step, discount[1:] * mixing[1:]), reverse=True)
    return returns


class ReturnScale(NamedTuple):
    """Exponential averages of the 5th and 95th percentile of the returns (Hafner et al. 2023, eq. 12)."""

    low: Array
    high: Array

    @classmethod
    def initial(cls) -> ReturnScale:
        return cls(jnp.zeros(()), jnp.zeros(()))

    def update(self, returns: Array, rate: float) -> ReturnScale:
        low, high = jnp.percentile(returns, jnp.array([5.0, 95.0]))
        return ReturnScale(self.low + rate * (low - self.low), self.high + rate * (high - self.high))

    @property
    def scale(self) -> Array:
        """What to divide returns by: small returns are left as they are, so that noise is not blown up."""
        return jnp.maximum(1.0, self.high - self.low)
