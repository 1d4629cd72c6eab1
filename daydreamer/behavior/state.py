"""What behaviour remembers from one gradient step to the next, and dreams that go on where others have ended."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from daydreamer.behavior.returns import ReturnStatistics
from daydreamer.models.rssm import LatentState
from daydreamer.models.transforms import along


class BehaviorState(NamedTuple):
    """What the behaviour losses remember between updates.

    Attributes:
      returns: see `ReturnStatistics`.
      log_entropy_scale: logarithm of the entropy's weight in the actor loss.
    """

    returns: ReturnStatistics
    log_entropy_scale: Array

    @classmethod
    def initial(cls, entropy_scale: float) -> BehaviorState:
        return cls(ReturnStatistics.initial(), jnp.log(jnp.float32(entropy_scale)))


class ContinuedState(NamedTuple):
    """What the behaviour losses remember where dreams go on, of which no checkpoint knows.

    Attributes:
      returns, log_entropy_scale: see `BehaviorState`.
      ended: `[dreams]`, where dreams of the last update ended.
      goes_on: `[dreams]`, 1 for those that the next update goes on with, else 0.
    """

    returns: ReturnStatistics
    log_entropy_scale: Array
    ended: LatentState
    goes_on: Array

    def with_learned(self, learned: BehaviorState) -> ContinuedState:
        """This state with what was learned elsewhere, or before; all dreams begin anew."""
        return self._replace(**learned._asdict(), goes_on=jnp.zeros(self.goes_on.shape))


def without_dreams(behavior: BehaviorState | ContinuedState) -> BehaviorState:
    """What outlives the learner: dreams are gone with it."""
    return BehaviorState(behavior.returns, behavior.log_entropy_scale)


def gone_on(behavior: ContinuedState, start: LatentState, lives: Array) -> tuple[LatentState, Array]:
    """Where dreams start, and how much each counts, `[starts]`: the first of them where others ended that go on."""
    count = len(behavior.goes_on)

    def choose(begun: Array, ended: Array) -> Array:
        return begun.at[:count].set(jnp.where(along(behavior.goes_on > 0.0, begun), ended, begun[:count]))

    return jax.tree.map(choose, (start, lives), (behavior.ended, jnp.ones(count)))


def ended_dreams(
    behavior: ContinuedState, last: LatentState, lives: Array, discount: Array, key: Array
) -> ContinuedState:
    """The state with the first of the dreams that just ended, each of which goes on as likely as its future counts.

    So dreams begin where the policy leads to, inside the model, as often as the discount says that it matters (the
    discounted distribution of states, Sutton et al. 2000), and not only where the robot has been. A critic that knows
    the latter alone is asked at the end of each dream about the former.

    Args:
      last: `[starts]`.
      lives: `[starts]`, 0 for dreams that began where an episode had ended: nothing comes after that.
      discount: `[horizon+1, starts]`, probability that each imagined state counts, given the one before.
    """
    count = len(behavior.goes_on)
    ended = jax.tree.map(lambda x: x[:count], last)
    finite = jnp.isfinite(ended.features).all(-1)
    likely = lives[:count] * jax.lax.stop_gradient(discount[1:, :count]).prod(0)
    goes_on = finite & jax.random.bernoulli(key, likely)
    ended = jax.tree.map(lambda x: jnp.where(along(finite, x), x, 0.0), ended)
    return behavior._replace(ended=ended, goes_on=goes_on.astype(jnp.float32))
