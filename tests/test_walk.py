"""The whole path: real processes over real ROS 2, killed for real."""

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
from daydreamer.session.events import read_events

DOMAIN = "61"
MORE_STEPS = 240
DAYDREAMER = [sys.executable, "-m", "daydreamer.cli.main"]


def status_of(path):
    result = subprocess.run([*DAYDREAMER, "status", str(path), "--json"], capture_output=True, text=True, timeout=60)
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


def progress_of(path, role, key):
    file = path / "status" / f"{role}.json"
    return (json.loads(file.read_text()).get(key) or 0) if file.exists() else 0


@pytest.mark.timeout(900)
def test_a_session_survives_its_processes_and_is_resumed(tmp_path):
    """Learner killed in mid-run: it is started again. Actor killed: the session ends and is resumed to its end."""
    path = tmp_path / "session"
    walk = start("walk", "--minutes", "60", "--session", str(path), "--preset", "tiny", "--no-dashboard")
    try:
        wait_until(lambda: any(entry.name.isdecimal() for entry in (path / "checkpoints").glob("*")), walk)
        killed = progress_of(path, "learner", "pid")
        os.kill(killed, signal.SIGKILL)
        steps_at_kill = progress_of(path, "actor", "env_steps")
        wait_until(lambda: progress_of(path, "actor", "env_steps") > steps_at_kill + 20, walk)
        wait_until(lambda: progress_of(path, "learner", "pid") != killed, walk)
        actor_pid = progress_of(path, "actor", "pid")
        reported = progress_of(path, "actor", "last_logged_sequence")
        os.kill(actor_pid, signal.SIGKILL)
        code, output = finish(walk)
    finally:
        walk.kill()
    assert code == 1, output
    assert "daydreamer resume" in output
    kept = read_log(path)
    assert kept[-1].sequence >= reported  # what had been reported as logged is there

    resume = start("resume", str(path), "--minutes", f"{MORE_STEPS / 1200:g}", "--no-dashboard")
    try:
        code, output = finish(resume)
    finally:
        resume.kill()
    assert code == 0, output
    steps = read_log(path)
    assert len(steps) == len(kept) + MORE_STEPS
    assert [s.sequence for s in steps if s.actor_life == 1] == list(range(len(kept)))
    assert [s.sequence for s in steps if s.actor_life == 2] == list(range(MORE_STEPS))
    for before, after in zip(kept, steps, strict=False):
        assert (before.actor_life, before.sequence, before.reward) == (after.actor_life, after.sequence, after.reward)
    status = status_of(path)
    assert status["state"] == "stopped"
    assert status["env_steps"] == status["replay_steps"] == len(steps)
    assert status["gradient_steps"] > 0
    assert status["last_logged_sequence"] == {"1": len(kept) - 1, "2": MORE_STEPS - 1}
    kinds = [(event["source"], event["kind"]) for event in read_events(path / "events.jsonl")]
    assert kinds.count(("learner", "start")) == 3


@pytest.mark.timeout(600)
def test_ctrl_c_leaves_a_session_that_can_be_resumed(tmp_path):
    path = tmp_path / "session"
    walk = start("walk", "--minutes", "60", "--session", str(path), "--preset", "tiny", "--no-dashboard")
    try:
        wait_until(lambda: progress_of(path, "actor", "policy_version") >= 2, walk)
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
