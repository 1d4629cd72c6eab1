"""Real sessions whose processes are killed at random moments; `benchmarks/kills.py` does the same for an hour."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("rclpy")

REPOSITORY = Path(__file__).parents[1]
TWO = 190
"""Seed that draws everything at once, moves the session, and then draws the actor."""
FOUR = 36
"""Everything at once, then actor, learner and twin, unless one of them has not begun when its turn comes."""


@pytest.fixture
def sessions(tmp_path):
    """A directory for sessions none of whose processes is left behind."""
    yield tmp_path / "sessions"
    for process in psutil.process_iter(["cmdline"]):
        if any(str(tmp_path) in argument for argument in process.info["cmdline"] or []):
            process.kill()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills, seed", [(2, TWO), pytest.param(4, FOUR, marks=pytest.mark.long)])
def test_nothing_is_lost_or_doubled_whatever_is_killed(sessions, tmp_path, kills, seed):
    result = subprocess.run(
        [sys.executable, "benchmarks/kills.py", "--out", sessions, "--json", tmp_path / "report.json"]
        + ["--kills", str(kills), "--sessions", "1", "--longest", "3", "--no-measure", "--domain", "28"]
        + ["--seed", str(seed), "--set", "learner.train_ratio=8"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    output = "".join(path.read_text() for path in sessions.glob("*.txt"))
    assert result.returncode == 0, result.stdout + result.stderr + output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["kills_in_all"] == kills and sum(count > 0 for count in report["kills"].values()) >= kills - 1
    assert report["faults"] == 0 and report["steps_logged"] > 0
    assert report["training_s"]["count"] > 0
