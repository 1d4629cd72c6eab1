import numpy as np
import pytest

from daydreamer.safety.filter import LowPassFilter


@pytest.mark.parametrize("cutoff_hz", [0.01, 1.5, 3.0, 9.9])
def test_samples_one_by_one_equal_scipy_on_the_whole_signal(cutoff_hz):
    from scipy import signal  # takes every worker two seconds of collection

    values = np.random.default_rng(0).normal(size=(200, 3))
    low_pass = LowPassFilter(cutoff_hz, 20.0)
    low_pass.reset(np.zeros(3))
    outputs = np.stack([low_pass(value) for value in values])
    expected = signal.lfilter(*signal.butter(2, cutoff_hz, fs=20.0), values, axis=0)
    np.testing.assert_allclose(outputs, expected, atol=1e-12)


def test_a_reset_starts_in_the_steady_state():
    low_pass = LowPassFilter(1.5, 20.0)
    low_pass.reset(np.array([0.5, -2.0]))
    for _ in range(3):
        np.testing.assert_allclose(low_pass(np.array([0.5, -2.0])), [0.5, -2.0])


def test_without_a_reset_it_starts_at_its_first_input():
    np.testing.assert_allclose(LowPassFilter(1.5, 20.0)(np.array([0.7])), [0.7])


def test_zero_cutoff_passes_through():
    low_pass = LowPassFilter(0.0, 20.0)
    low_pass.reset(np.zeros(2))
    np.testing.assert_array_equal(low_pass(np.array([3.0, -1.0])), [3.0, -1.0])


@pytest.mark.parametrize("cutoff_hz", [-1.0, 10.0, 30.0])
def test_impossible_cutoffs_are_refused(cutoff_hz):
    with pytest.raises(ValueError, match="half the sampling rate"):
        LowPassFilter(cutoff_hz, 20.0)
