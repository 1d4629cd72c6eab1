"""Any sequence of what can happen to an actor, in a size for every day; the benchmark of that name tries more."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SEQUENCES, BEFORE_A_RELEASE = 30, 120


@pytest.fixture
def properties(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import safety_properties

    return safety_properties


@pytest.mark.parametrize("sequences", [SEQUENCES, pytest.param(BEFORE_A_RELEASE, marks=pytest.mark.long)])
def test_what_must_hold_holds_whatever_happens(properties, sequences):
    properties.try_sequences(sequences, derandomize=True)
    tried = properties.Murphy.tried
    assert tried["positions"] > 500 and tried["damping"] > 500, tried


def test_each_old_fault_can_still_be_put_back(properties, tmp_path):
    """Otherwise the benchmark's proof that they would be found proves nothing."""
    for index, fault in enumerate(properties.OLD_FAULTS):
        properties.put_back(fault, properties.copy_package(tmp_path / str(index)))
