import jax.numpy as jnp
import numpy as np
import pytest

from daydreamer.behavior.returns import ReturnStatistics, lambda_returns


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
    initial, reward = ReturnStatistics.initial(), jnp.zeros(())
    assert float(initial.update(reward, jnp.linspace(0, 0.1, 100), 1.0).scale) == 1.0
    wide = jnp.linspace(-100, 100, 1001)
    assert float(initial.update(reward, wide, 1.0).scale) == pytest.approx(180.0, rel=1e-3)
    outlier = jnp.concatenate([wide, jnp.array([1e9])])
    assert float(initial.update(reward, outlier, 1.0).scale) == pytest.approx(180.0, rel=0.01)


def test_averages_begin_with_the_first_values_and_then_follow_slowly():
    statistics = ReturnStatistics.initial()
    for reward, expected in ((4.0, 4.0), (8.0, 6.0)):
        statistics = statistics.update(jnp.float32(reward), jnp.zeros(3), 0.01)
        assert float(statistics.reward_mean) == pytest.approx(expected)
    assert float(statistics.baseline(0.99)) == pytest.approx(600.0, rel=1e-4)
    for _ in range(1000):
        statistics = statistics.update(jnp.float32(6.0), jnp.zeros(3), 0.01)
    assert float(statistics.update(jnp.float32(7.0), jnp.zeros(3), 0.01).reward_mean) == pytest.approx(6.01, abs=1e-3)
