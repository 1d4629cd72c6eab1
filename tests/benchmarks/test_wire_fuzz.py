"""The fuzz to the wire in a small size, and that it finds out what was once wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DRAWN, MOTOR_PERIOD_S = None, 0.004
# Fault put back, policy outputs, period of the motors' ticks; and the violations by which it is found out.
RUNS = [
    ["", 400, DRAWN],
    ["", 60, MOTOR_PERIOD_S],
    ["driver as it was", 300, DRAWN],
    ["driver has no joint limits", 300, DRAWN],
    ["driver has no rate limit", 60, MOTOR_PERIOD_S],
    ["measured angles stand in for damping", 300, DRAWN],
    ["supervisor is a third too fast", 100, DRAWN],
]
FOUND = ["", "", "packet: rate", "packet: limits", "packet: rate", "message: ", "message: rate"]
# A child for each: what is broken on purpose stays broken. They are forked from a process without threads.
SCRIPT = """
import json, multiprocessing, sys, wire_fuzz
def run(fault, outputs, period_s):
    figures = wire_fuzz.fuzz(seed=0, outputs=outputs, fault=fault or None, life_steps=30, period_s=period_s)
    return figures.violations, figures.counts
with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(pool.starmap(run, json.loads(sys.argv[1]), chunksize=1)))
"""


@pytest.fixture(scope="module")
def results():
    path = os.pathsep.join([str(BENCHMARKS), *filter(None, sys.path)])
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(RUNS)],
        env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_nothing_outside_limits_and_rate_reaches_the_motors(results):
    for violations, _ in results[:2]:
        assert not sum(violations.values()), violations
    counts = results[0][1]
    assert counts["of them with a measurement that is not finite or leaps"] > 20
    assert counts["packets with targets"] > 100 and counts["messages refused by the driver"] > 5


@pytest.mark.parametrize("number", range(2, len(RUNS)), ids=[run[0] for run in RUNS[2:]])
def test_what_was_once_wrong_is_found_out(results, number):
    violations, _ = results[number]
    assert sum(count for name, count in violations.items() if name.startswith(FOUND[number])), violations
