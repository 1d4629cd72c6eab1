"""The whole path: real processes over real ROS 2."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session
from daydreamer.telemetry.evidence import EvidenceReader
from daydreamer.telemetry.metrics import truth_tag

DOMAIN = "61"
DAYDREAMER = [sys.executable, "-m", "daydreamer.cli.main"]


def status_of(path):
    result = subprocess.run([*DAYDREAMER, "status", str(path), "--json"], capture_output=True, text=True, timeout=150)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def start(*arguments):
    environment = os.environ | {"ROS_DOMAIN_ID": DOMAIN}
    return subprocess.Popen(
        [*DAYDREAMER, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process, timeout_s=150):
    output, _ = process.communicate(timeout=timeout_s)
    return process.returncode, output


def wait_until(condition, walk, timeout_s=240):
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if condition():
            return
        if walk.poll() is not None:
            pytest.fail(f"walk ended early: {walk.stdout.read()}")
        time.sleep(0.2)
    pytest.fail("condition not met in time")


def read_log(path):
    session = Session.open(path)
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    assert tail.problems == []
    return steps


def policy_versions(path):
    """Of the policies that have acted; 0 stands for random actions."""
    return {step.policy_version for step in read_log(path)} if (path / "session.yaml").exists() else set()


@pytest.mark.timeout(600)
def test_ctrl_c_leaves_a_session_that_can_be_resumed(tmp_path):
    path = tmp_path / "session"
    # A fallen robot would leave it to its policy now and then only.
    policy_acts = ["--preset", "tiny", "--set", "actor.fallen_reward=null", "--set", "actor.rhythm_hz=null"]
    walk = start("walk", "--minutes", "60", "--session", str(path), *policy_acts, "--no-dashboard")
    try:
        wait_until(lambda: policy_versions(path) > {0, 1}, walk)
        walk.send_signal(signal.SIGINT)
        code, output = finish(walk)
    finally:
        walk.kill()
    assert code == 0, output
    steps = read_log(path)
    assert {step.policy_version for step in steps} > {0, 1}
    assert all(np.isfinite(step.reward) for step in steps)
    status = status_of(path)
    assert status["state"] == "stopped"
    assert status["replay_steps"] == status["env_steps"] == len(steps)
    assert list((path / "checkpoints").iterdir())
    assert "daydreamer resume" in output
    speed = EvidenceReader(Session.open(path)).read().series(truth_tag("info/forward_velocity_m_s"))
    assert len(speed) and np.all(np.abs(speed.value) < 5.0)
