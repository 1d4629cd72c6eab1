"""Real sessions whose processes are killed at random moments; `benchmarks/kills.py` does the same for an hour."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

REPOSITORY = Path(__file__).parents[1]
KILLS = 10


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path):
    result = subprocess.run(
        [sys.executable, "benchmarks/kills.py", "--out", tmp_path / "sessions", "--json", tmp_path / "report.json"]
        + ["--kills", str(KILLS), "--sessions", "1", "--longest", "3", "--no-measure", "--seed", "1", "--domain", "28"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    output = "".join(path.read_text() for path in (tmp_path / "sessions").glob("*.txt"))
    assert result.returncode == 0, result.stdout + result.stderr + output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kills_in_all"] == KILLS and sum(count > 0 for count in report["kills"].values()) >= 3
    assert report["faults"] == 0 and report["steps_logged"] > 0
    assert report["training_s"]["count"] > 0
