"""The learner's keeper as ros2 launch runs it: a real process with a real learner."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from daydreamer.errors import USER_ERROR_STATUS
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import StatusWriter, read_status

TIMEOUT_S = 250.0


@pytest.fixture
def session(tmp_path, request):
    nothing_to_learn = ["learner.train_ratio=0", "learner.dream_period_s=0"]  # and so nothing to compile
    nothing_to_learn += getattr(request, "param", [])
    config = configure(robot="a1", minutes=1.0, seed=0, preset="tiny", overrides=nothing_to_learn)
    return new_session(tmp_path / "session", config)


@pytest.fixture
def keeper(session):
    StatusWriter(session, "walk").write({"state": "running"})  # of a `daydreamer walk` that was killed
    command = [sys.executable, "-m", "daydreamer.cli.keeper", "--session", str(session.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    keeper = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    yield keeper
    keeper.kill()


def learner_of(keeper):
    """The process, once there is one."""
    return wait_for(
        lambda: next((c for c in psutil.Process(keeper.pid).children() if "learner" in " ".join(c.cmdline())), None)
    )


def wait_for(condition):
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it has not come to be")


def test_a_learner_that_dies_is_started_again_and_ends_with_its_keeper(session, keeper):
    first = learner_of(keeper)
    first.kill()
    first.wait(TIMEOUT_S)
    second = learner_of(keeper)
    assert second.pid != first.pid
    wait_for(lambda: read_status(session)["processes"].get("learner", {}).get("state") == "running")
    assert read_status(session)["processes"]["keeper"]["state"] == "running"
    assert "walk" not in read_status(session)["processes"], "nobody is in that role now"
    keeper.send_signal(signal.SIGINT)
    output, _ = keeper.communicate(timeout=TIMEOUT_S)
    assert keeper.returncode == 0 and not second.is_running()
    assert "The learner was ended by SIGKILL" in output
    assert "The robot goes on; the learner is started again in 1 s." in output
    kinds = [event["kind"] for event in read_events(session.events) if event["source"] == "keeper"]
    assert kinds == ["process_start", "process_end", "process_start"]
    assert read_status(session)["processes"]["keeper"]["state"] == "stopped"


@pytest.mark.parametrize("session", [["learner.devices=4"]], indirect=True)
def test_where_no_learner_can_begin_none_is_started_for_ever(session, keeper):
    output, _ = keeper.communicate(timeout=TIMEOUT_S)
    assert keeper.returncode == USER_ERROR_STATUS
    assert output.count("The learner cannot go on: learner.devices is 4, and JAX finds 1 here") == 3
    assert "No learner is started any more" in output


def test_a_learner_does_not_outlive_a_killed_keeper(session, keeper):
    learner = learner_of(keeper)
    keeper.kill()
    learner.wait(TIMEOUT_S)
