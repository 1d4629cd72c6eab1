import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daydreamer.models.transforms import (
    categorical_kl,
    sample_straight_through,
    symexp,
    symlog,
    two_hot,
    two_hot_bins,
    two_hot_loss,
    two_hot_mean,
    unimix_probabilities,
)


def test_symexp_inverts_symlog():
    x = jnp.array([-1e4, -3.0, -0.1, 0.0, 0.1, 3.0, 1e4])
    np.testing.assert_allclose(symexp(symlog(x)), x, rtol=1e-4)


@pytest.mark.parametrize("value", [-7.3, -1.0, 0.0, 0.004, 1.0, 9.0, 700.0])
def test_two_hot_round_trip(value):
    bins = two_hot_bins(127)
    weights = two_hot(jnp.float32(value), bins)
    assert int((weights > 0).sum()) in (1, 2)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)
    # In float64, because the mean is meant to be of the weights, not of their rounding.
    assert np.sum(np.float64(weights) * bins) == pytest.approx(value, rel=1e-4, abs=1e-5)
    logits = jnp.log(weights + 1e-30)
    assert float(two_hot_mean(logits, bins)) == pytest.approx(value, rel=1e-3, abs=1e-4)


def test_two_hot_clips_to_the_bins():
    bins = two_hot_bins(11, limit=3.0)
    np.testing.assert_array_equal(two_hot(jnp.float32(1e9), bins), np.eye(11)[-1])
    np.testing.assert_array_equal(two_hot(jnp.float32(-1e9), bins), np.eye(11)[0])


def test_two_hot_mean_of_a_uniform_distribution_is_zero():
    assert float(two_hot_mean(jnp.zeros(127), two_hot_bins(127))) == 0.0


def test_two_hot_bins_must_be_odd():
    with pytest.raises(ValueError, match="odd"):
        two_hot_bins(128)


def test_two_hot_loss_is_least_at_the_target():
    bins = two_hot_bins(127)
    logits = jnp.log(two_hot(jnp.float32(5.0), bins) + 1e-8)
    losses = [float(two_hot_loss(logits, jnp.float32(target), bins)) for target in (4.0, 5.0, 7.0)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_samples_follow_the_probabilities_and_gradients_pass_straight_through():
    probabilities = jnp.array([0.1, 0.6, 0.3])
    samples = sample_straight_through(jax.random.key(0), jnp.broadcast_to(probabilities, (20_000, 3)))
    np.testing.assert_allclose(samples.sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(samples.mean(0), probabilities, atol=0.02)  # 5 standard errors
    weights = jnp.array([1.0, 2.0, 3.0])
    gradient = jax.grad(lambda p: jnp.sum(sample_straight_through(jax.random.key(1), p) * weights))(probabilities)
    np.testing.assert_allclose(gradient, weights)


def test_unimix_bounds_probabilities_from_below():
    probabilities = unimix_probabilities(jnp.array([100.0, 0.0, 0.0, 0.0]), 0.01)
    np.testing.assert_allclose(probabilities, [0.9925, 0.0025, 0.0025, 0.0025], rtol=1e-5)


def test_categorical_kl_against_a_hand_computation():
    left, right = jnp.array([[0.5, 0.5]]), jnp.array([[0.25, 0.75]])
    expected = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert float(categorical_kl(left, right)) == pytest.approx(expected, rel=1e-6)
    assert float(categorical_kl(left, left)) == pytest.approx(0.0, abs=1e-7)
