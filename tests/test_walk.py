"""The whole path: real processes over real ROS 2."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rerun")

from daydreamer.experience.tail import ExperienceTail
from daydreamer.scheduling import ONLOOKER_NICENESS, missing_permissions
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.telemetry.metrics import truth_tag
from daydreamer.telemetry.session_telemetry import TelemetryReader
from daydreamer.viewer.process import RECORDING

DOMAIN = "61"
TIMEOUT_S = 240.0
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


def wait_until(condition, walk, timeout_s=TIMEOUT_S):
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


class PolicyVersions:
    """Of the policies that have acted so far; 0 stands for random actions. Each step is read once."""

    def __init__(self, path):
        self._path, self._tail, self._versions = path, None, set()

    def read(self):
        if self._tail is None:
            if not (self._path / "session.yaml").exists():
                return set()
            session = Session.open(self._path)
            self._tail = ExperienceTail(session.experience, session.spec)
        self._versions |= {step.policy_version for step in self._tail.read()}
        return self._versions


def kill_dashboard(path, walk):
    """Once it has been announced; it has no more of the machine than is left over."""
    announcement = path / "status" / "dashboard.json"
    end_s = time.monotonic() + TIMEOUT_S
    while not announcement.exists() and walk.poll() is None:
        assert time.monotonic() < end_s, "no dashboard"
        time.sleep(0.1)
    assert dashboard_url(Session.open(path)).startswith("http://127.0.0.1:")
    dashboard = psutil.Process(json.loads(announcement.read_bytes())["process"]["pid"])
    assert dashboard.nice() >= (ONLOOKER_NICENESS if missing_permissions() else 0)
    assert not dashboard.children()
    dashboard.kill()


def processes_of(path):
    """That work for the session."""
    return [process for process in psutil.process_iter(["cmdline"]) if str(path) in (process.info["cmdline"] or [])]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "session"
    yield path
    for process in processes_of(path):
        process.kill()


@pytest.mark.timeout(900)
def test_ctrl_c_ends_all_processes_and_resume_goes_on_to_the_end_beside_a_dashboard_that_nobody_misses(path):
    # A fallen robot would leave it to its policy now and then only.
    settings = ("actor.fallen_reward=null", "actor.rhythm_hz=null", "learner.train_ratio=8")
    policy_acts = [argument for setting in settings for argument in ("--set", setting)]
    walk = start("walk", "--preset", "tiny", "--minutes", "60", "--session", str(path), *policy_acts, "--no-dashboard")
    versions = PolicyVersions(path)
    wait_until(lambda: versions.read() > {0, 1}, walk)
    walk.send_signal(signal.SIGINT)
    code, output = finish(walk)
    assert code == 0, output
    assert f"daydreamer resume {path}" in output and not processes_of(path)
    steps = read_log(path)
    assert {step.policy_version for step in steps} > {0, 1}
    assert all(np.isfinite(step.reward) for step in steps)
    status = status_of(path)
    assert status["state"] == "stopped"
    assert status["replay_steps"] == status["env_steps"] == len(steps)
    assert list((path / "checkpoints").iterdir())
    speed = TelemetryReader(Session.open(path)).read().series(truth_tag("info/forward_velocity_m_s"))
    assert len(speed) and np.all(np.abs(speed.value) < 5.0)

    resume = start("resume", str(path), "--minutes", "0.2")
    kill_dashboard(path, resume)
    code, output = finish(resume)
    assert code == 0, output
    assert f"{len(steps) + 240} steps logged" in output
    assert len(read_log(path)) == len(steps) + 240 and not processes_of(path)
    assert dashboard_url(Session.open(path)) is None
    assert (path / RECORDING).stat().st_size > 0
