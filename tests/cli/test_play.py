"""`daydreamer play` with all its processes: a frozen policy drives the twin, and there is no learner."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytest.importorskip("rclpy")

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import ExperienceTail, last_sequence
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.status import read_status

DOMAIN = "95"
TIMEOUT_S = 240.0
RESCUE_NONE = ("--set", "actor.fallen_reward=null")
"""What gets a fallen robot up would act in the policy's place now and then."""


def daydreamer(directory, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "daydreamer.cli.main", *map(str, arguments)],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "ROS_DOMAIN_ID": DOMAIN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(path):
    found = psutil.process_iter(["cmdline"])
    return [process for process in found if str(path) in (process.info["cmdline"] or [])]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "played"
    yield path
    for process in processes_of(path):
        process.kill()


def test_the_policy_acts_alone_from_the_first_step_on_and_a_resumed_session_goes_on_with_it(learner_compiled, path):
    before = sorted(file.stat().st_mtime_ns for file in learner_compiled.rglob("*"))
    play = daydreamer(
        path.parent, "play", learner_compiled, "--minutes", 60, "--session", path, *RESCUE_NONE, "--no-dashboard"
    )
    end_s = time.monotonic() + TIMEOUT_S
    while not (logs := list_logs(path / "experience") if path.exists() else {}) or last_sequence(logs[1]) < 100:
        assert time.monotonic() < end_s and play.poll() is None
        time.sleep(0.1)
    learners = [each for each in processes_of(path) if "daydreamer.learner.process" in each.info["cmdline"]]
    status = read_status(Session.open(path))
    play.send_signal(signal.SIGINT)
    output, _ = play.communicate(timeout=TIMEOUT_S)
    assert play.returncode == 0, output
    assert not learners and not processes_of(path)
    assert f"plays policy 100 of {learner_compiled}" in output and f"daydreamer resume {path}" in output
    assert (status["learner_silence_s"], status["policy_age_s"], status["watchdogs_raised"]) == (None, None, {})

    resume = daydreamer(path.parent, "resume", path, "--minutes", "0.05", "--no-dashboard")
    output, _ = resume.communicate(timeout=TIMEOUT_S)
    assert resume.returncode == 0, output
    session = Session.open(path)
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    assert {step.actor_life for step in steps} == {1, 2} and not tail.problems
    assert {step.policy_version for step in steps} == {100}
    events = read_events(session.events)
    assert not [event for event in events if event["kind"] in ("fault", "policy_refused", "watchdog")]
    assert sorted(file.stat().st_mtime_ns for file in learner_compiled.rglob("*")) == before

    # Whatever becomes of its policy, nothing is tried in its place.
    (snapshot,) = session.policy.glob("*.safetensors")
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    resume = daydreamer(path.parent, "resume", path, "--minutes", "0.05", "--no-dashboard")
    output, _ = resume.communicate(timeout=TIMEOUT_S)
    assert resume.returncode == 1 and "is to play a policy, and there is none" in output
    assert sum(last_sequence(log) + 1 for log in list_logs(session.experience).values()) == len(steps)
