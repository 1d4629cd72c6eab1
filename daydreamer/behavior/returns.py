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


class ReturnStatistics(NamedTuple):
    """Running mean of the reward and percentiles of the returns: what makes returns easy to learn and to compare.

    Attributes:
      reward_mean: exponential average of the imagined reward: what the actor of today expects to earn.
      low, high: exponential averages of the 5th and 95th percentile of the returns less their baseline (Hafner et
        al. 2023, eq. 12).
      count: updates so far; the averages begin with the first values rather than with 0.
    """

    reward_mean: Array
    low: Array
    high: Array
    count: Array  # type: ignore[assignment]  # nobody counts the elements of this tuple

    @classmethod
    def initial(cls) -> ReturnStatistics:
        mean, low, high = jnp.zeros((3,))
        return cls(mean, low, high, jnp.zeros((), jnp.int32))

    def update(self, mean_reward: Array, relative_returns: Array, rate: Array | float) -> ReturnStatistics:
        low, high = jnp.percentile(relative_returns, jnp.array([5.0, 95.0]))
        rate = jnp.maximum(rate, 1.0 / (self.count + 1))
        new = (mean_reward, low, high)
        mean, low, high = (old + rate * (value - old) for old, value in zip(self[:3], new, strict=True))
        return ReturnStatistics(mean, low, high, self.count + 1)

    def baseline(self, discount: float) -> Array:
        """Return of receiving the mean reward for ever.

        The critic predicts returns relative to it (reward centering, Naik et al. 2024). A reward that is far from
        0 on average otherwise costs hundreds of gradient steps in which values creep up to
        mean / (1 - discount), and drowns the differences between states on the way.
        """
        return self.reward_mean / (1.0 - discount)

    @property
    def scale(self) -> Array:
        """What to divide returns by: small returns are left as they are, so that noise is not blown up."""
        return jnp.maximum(1.0, self.high - self.low)
