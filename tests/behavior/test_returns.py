import jax.numpy as jnp
import numpy as np
import pytest

from daydreamer.behavior.returns import ReturnScale, lambda_returns


def test_lambda_returns_against_a_hand_computation():
    reward = jnp.array([99.0, 1.0, 2.0, 3.0])  # the first is received before the first return and must not count
    discount = jnp.array([99.0, 0.9, 0.8, 0.0])
    value = jnp.array([99.0, 10.0, 20.0, 30.0])
    last = 3.0 + 0.0 * 30.0
    middle = 2.0 + 0.8 * (0.5 * 20.0 + 0.5 * last)
    first = 1.0 + 0.9 * (0.5 * 10.0 + 0.5 * middle)
    np.testing.assert_allclose(lambda_returns(reward, discount, value, 0.5), [first, middle, last], rtol=1e-6)


@pytest.mark.parametrize("mixing", [0.0, 1.0])
def test_extremes_are_one_step_targets_and_monte_carlo(mixing):
    random = np.random.default_rng(0)
    reward, value = random.normal(size=(2, 6))
    discount = np.full(6, 0.97)
    expected = reward[1:] + discount[1:] * value[1:]
    if mixing == 1.0:
        expected = np.zeros(5)
        following = value[-1]
        for t in reversed(range(5)):
            following = expected[t] = reward[t + 1] + discount[t + 1] * following
    result = lambda_returns(*map(jnp.asarray, (reward, discount, value)), mixing)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_a_cut_lets_nothing_through():
    ones = jnp.ones(5)
    cut = jnp.array([0.95, 0.95, 0.0, 0.95, 0.95])
    changed = lambda_returns(ones.at[3:].set(50.0), ones, ones, cut)
    np.testing.assert_allclose(lambda_returns(ones, ones, ones, cut)[:2], changed[:2])


def test_return_scale_leaves_small_returns_and_follows_large_ones():
    scale = ReturnScale.initial()
    assert float(scale.update(jnp.linspace(0, 0.1, 100), 1.0).scale) == 1.0
    wide = scale.update(jnp.linspace(-100, 100, 1001), 1.0)
    assert float(wide.scale) == pytest.approx(180.0, rel=1e-3)
    outlier = scale.update(jnp.concatenate([jnp.linspace(-100, 100, 1001), jnp.array([1e9])]), 1.0)
    assert float(outlier.scale) == pytest.approx(180.0, rel=0.01)
