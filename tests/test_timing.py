"""Latency percentiles over the latest measurements."""

import numpy as np
import pytest

from daydreamer.timing import LatencyStatistics


def test_nothing_measured_is_not_zero():
    assert LatencyStatistics(4).summary() == {"p50": None, "p99": None, "max": None}


def test_percentiles_are_of_the_latest_measurements_in_ms():
    statistics = LatencyStatistics(100)
    for value in range(1000):
        statistics.add(value * 1e-3)
    latest = np.arange(900, 1000)
    summary = statistics.summary()
    assert statistics.count == 1000
    assert summary["p50"] == pytest.approx(np.percentile(latest, 50))
    assert summary["p99"] == pytest.approx(np.percentile(latest, 99))
    assert summary["max"] == pytest.approx(999)


def test_a_partly_filled_ring_counts_only_what_was_added():
    statistics = LatencyStatistics(100)
    statistics.add(0.002)
    statistics.add(0.004)
    assert statistics.summary() == pytest.approx({"p50": 3.0, "p99": 3.98, "max": 4.0})


def test_a_ring_needs_room():
    with pytest.raises(ValueError, match="capacity"):
        LatencyStatistics(0)
