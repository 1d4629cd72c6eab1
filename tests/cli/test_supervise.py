"""`daydreamer walk` with all its processes, of which one hangs or dies; tests/test_walk.py ends it and goes on."""

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

TIMEOUT_S = 250.0
NOTHING = ("--preset", "tiny", "--set", "learner.train_ratio=0", "--set", "learner.dream_period_s=0")
"""Is to be learned, and so nothing compiled; what is looked at here are the processes."""


class Command:
    """`daydreamer` in a ROS domain of its own."""

    def __init__(self, directory, domain):
        self.session_path = directory / "session"
        self._directory = directory
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "ROS_DOMAIN_ID": str(domain),
        }

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "daydreamer.cli.main", *map(str, arguments), "--no-dashboard"],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_steps(self, count, life=1):
        end_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end_s:
            logs = list_logs(self.session_path / "experience")
            if life in logs and last_sequence(logs[life]) + 1 >= count:
                return
            time.sleep(0.1)
        raise AssertionError(f"no {count} steps in life {life}")

    def pid_of(self, module):
        """Of the process that runs a module, which may not have reported yet; None if there is none now."""
        pids = [process.pid for process in leftover(self) if module in process.info["cmdline"]]
        return pids[0] if pids else None

    def problems(self):
        tail = ExperienceTail(self.session_path / "experience", Session.open(self.session_path).spec)
        tail.read()
        return tail.problems


def leftover(command):
    """Processes that work for the session."""
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if str(command.session_path) in (process.info["cmdline"] or [])]


@pytest.fixture
def command(tmp_path, request):
    command = Command(tmp_path, request.param)
    yield command
    for process in leftover(command):
        process.kill()


@pytest.mark.parametrize("command", [92], indirect=True)
def test_a_hanging_learner_is_replaced_and_a_dead_actor_ends_the_session(command):
    silence = "learner.silence_timeout_s=4"
    walk = command.start("walk", "--session", command.session_path, *NOTHING, "--set", silence)
    command.wait_for_steps(10)
    learner, actor = command.pid_of("daydreamer.learner.process"), command.pid_of("ros_nodes.actor_node")
    os.kill(learner, signal.SIGSTOP)
    end_s = time.monotonic() + TIMEOUT_S
    while command.pid_of("daydreamer.learner.process") in (learner, None) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert command.pid_of("daydreamer.learner.process") not in (learner, None)
    assert command.pid_of("ros_nodes.actor_node") == actor
    os.kill(actor, signal.SIGKILL)
    output, _ = walk.communicate(timeout=TIMEOUT_S)
    assert walk.returncode == 1
    assert "The learner has not reported for" in output and "The actor was ended by SIGKILL" in output
    assert f"daydreamer resume {command.session_path}" in output
    events = read_events(command.session_path / "events.jsonl")
    assert any(event["kind"] == "process_kill" and event["reason"] == "hung" for event in events)
    ends = [event["process"] for event in events if event["kind"] == "process_end"]
    assert ends[0] == "learner" and ends[-1] == "actor"
    assert not command.problems() and not leftover(command)


@pytest.mark.long
@pytest.mark.parametrize("command", [96], indirect=True)
def test_an_actor_that_somebody_ends_has_not_completed_the_session(command):
    walk = command.start("walk", "--session", command.session_path, *NOTHING)
    command.wait_for_steps(10)
    os.kill(command.pid_of("ros_nodes.actor_node"), signal.SIGTERM)
    output, _ = walk.communicate(timeout=TIMEOUT_S)
    assert walk.returncode == 1 and f"Go on with: daydreamer resume {command.session_path}" in output
    assert not leftover(command)


@pytest.mark.long
@pytest.mark.parametrize("command", [97], indirect=True)
def test_a_session_in_which_nobody_can_learn_ends_as_failed(command):
    walk = command.start("walk", "--session", command.session_path, *NOTHING, "--set", "learner.devices=4")
    output, _ = walk.communicate(timeout=TIMEOUT_S)
    assert walk.returncode == 1
    assert "learner.devices is 4, and JAX finds 1 here" in output and "No learner is started any more" in output
    assert not command.problems() and not leftover(command)


@pytest.mark.parametrize("command", [93], indirect=True)
def test_nothing_outlives_a_killed_supervisor(command):
    walk = command.start("walk", "--session", command.session_path, *NOTHING)
    command.wait_for_steps(10)
    walk.kill()
    walk.communicate()
    end_s = time.monotonic() + TIMEOUT_S
    while leftover(command) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not leftover(command)
    assert not command.problems()
