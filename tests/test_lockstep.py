"""`daydreamer train` for real, with networks small enough for a test."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.snapshot import latest_snapshot

STEPS = 120


def train(out, *arguments, steps=STEPS):
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", "walk", "--out", str(out)]
    command += ["--steps", str(steps), "--preset", "tiny", "--train-ratio", "8", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory):
    """Two runs with the same seed."""
    paths = [tmp_path_factory.mktemp("lockstep") / name for name in "ab"]
    for path in paths:
        result = train(path, "--seed", "3")
        assert result.returncode == 0, result.stderr
        assert f"of {STEPS} steps" in result.stdout
    return [Session.open(path) for path in paths]


def test_trains_exactly_as_often_as_the_ratio_says(sessions):
    status = read_status(sessions[0])
    assert status["state"] == "stopped"
    assert status["env_steps"] == status["replay_steps"] == STEPS
    assert status["gradient_steps"] == STEPS * 8 // 32
    assert status["imagined_steps"] == status["gradient_steps"] * 16 * 15


def test_is_repeatable_for_a_seed(sessions):
    logs = [ExperienceTail(session.experience, session.spec).read() for session in sessions]
    assert [step.sequence for step in logs[0]] == list(range(STEPS))
    assert any(step.policy_version > 0 for step in logs[0])
    for one, other in zip(*logs, strict=True):
        np.testing.assert_array_equal(one.action_requested, other.action_requested)
        assert one.reward == other.reward
    one, other = (load_file(latest_snapshot(session.policy)) for session in sessions)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_refuses_to_write_over_a_session(sessions):
    result = train(sessions[0].path)
    assert result.returncode == 2
    assert "is a session already" in result.stderr and len(result.stderr.splitlines()) == 1


def test_refuses_an_unknown_task(tmp_path):
    command = [
        sys.executable,
        "-m",
        "daydreamer.cli.main",
        "train",
        "fly",
        "--steps",
        "10",
        "--out",
        str(tmp_path / "x"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 2 and "no task 'fly'" in result.stderr
    assert not (tmp_path / "x").exists()
