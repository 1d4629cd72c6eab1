"""The odometry against the simulator's truth; the benchmark's own figures, over a shorter time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "odometry.py"


@pytest.fixture(scope="module")
def figures():
    command = [sys.executable, str(SCRIPT), "--json", "--minutes", "0.75"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": ":".join(filter(None, sys.path))}
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_trotting(figures):
    trotting = figures["trotting"]
    assert trotting["mean_forward_m_s"] > 0.2  # otherwise there is nothing to estimate
    assert trotting["rms_error_m_s"] < 0.1
    assert trotting["rms_error_rewarded_m_s"] < 0.03
    assert abs(trotting["mean_error_m_s"]) < 0.03


def test_scrambling(figures):
    scrambling = figures["scrambling"]
    assert scrambling["rms_of_guessing_zero_m_s"] > 0.1
    assert scrambling["rms_error_m_s"] < 0.2
