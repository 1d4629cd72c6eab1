import json
import subprocess
import sys

import pytest


def bench(*arguments):
    command = [sys.executable, "-m", "daydreamer.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    ("what", "figure"),
    [("replay", "log_appends_per_s"), ("actor", "policy_p99_ms"), ("learner", "gradient_steps_per_s")],
)
def test_figures_for_programs(what, figure):
    result = bench(what, "--json")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)
    assert figures["benchmark"] == what and figures[figure] > 0
    assert figures["device"] and figures["jax"]


def test_an_unknown_benchmark_is_one_clear_sentence():
    result = bench("flying")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and "learner, actor, replay" in result.stderr
