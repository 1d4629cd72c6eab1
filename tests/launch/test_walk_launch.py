"""`ros2 launch daydreamer walk.launch.py` itself; only where ROS's launch and an installed daydreamer are."""

import os
import pty
import signal
import subprocess
import time

import psutil
import pytest

pytest.importorskip("ros2launch")

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import last_sequence
from daydreamer.session.events import read_events

TIMEOUT_S = 120.0


@pytest.fixture
def launch(tmp_path):
    """Starts it with arguments, as from a terminal of its own; what is left of it is killed."""
    started = []
    # A terminal: without one launch sends each process a signal of its own beside that of Ctrl-C.
    terminal, standard_input = pty.openpty()

    def start(*arguments):
        started.append(
            subprocess.Popen(
                ["ros2", "launch", "daydreamer", "walk.launch.py", *arguments],
                env=os.environ | {"ROS_DOMAIN_ID": "94"},
                cwd=tmp_path,
                stdin=standard_input,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
    os.close(terminal)
    os.close(standard_input)


def processes_of(session, module=""):
    found = psutil.process_iter(["cmdline"])
    lines = [(each, each.info["cmdline"] or []) for each in found]
    return [each for each, line in lines if str(session) in line and (not module or module in line)]


def killed(session):
    """Processes that had to be killed because they did not end in time."""
    return [event for event in read_events(session / "events.jsonl") if event["kind"] == "process_kill"]


def wait_for_steps(session, count):
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        if sum(last_sequence(log) + 1 for log in list_logs(session / "experience").values()) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"no {count} steps")


def test_a_session_is_told_from_beginning_to_end_and_goes_on(launch, tmp_path):
    session = tmp_path / "session"
    arguments = ("session:=session", "preset:=tiny", "dashboard:=false", "namespace:=one")
    output, _ = (first := launch(*arguments, "minutes:=0.3")).communicate(timeout=TIMEOUT_S)
    assert first.returncode == 0, output
    assert f"Session {session} for 0.3 robot minutes" in output
    assert "of 0.3 robot minutes" in output and "360 steps logged" in output
    assert not processes_of(session)
    output, _ = (second := launch("resume:=session", "minutes:=0.1", "dashboard:=false")).communicate(timeout=TIMEOUT_S)
    assert second.returncode == 0 and "480 steps logged" in output, output
    assert not killed(session)


def test_an_interrupt_ends_it_in_order_and_a_dead_twin_badly(launch, tmp_path):
    session = tmp_path / "session"
    first = launch("session:=session", "preset:=tiny", "dashboard:=false")
    wait_for_steps(session, 20)
    os.killpg(first.pid, signal.SIGINT)
    output, _ = first.communicate(timeout=TIMEOUT_S)
    assert first.returncode == 0, output
    assert f"Go on with: ros2 launch daydreamer walk.launch.py resume:={session}" in output
    assert not killed(session) and not processes_of(session)
    second = launch("resume:=session", "dashboard:=false")
    wait_for_steps(session, 100)
    processes_of(session, "ros_nodes.twin_node")[0].kill()
    output, _ = second.communicate(timeout=TIMEOUT_S)
    assert second.returncode == 1, output
    assert "the twin ended by itself" in output
    assert not processes_of(session)


def test_an_interrupt_for_launch_alone_ends_it_in_order(launch, tmp_path):
    """In a terminal launch takes it for granted that all its processes have had it."""
    session = tmp_path / "session"
    process = launch("session:=session", "preset:=tiny", "dashboard:=false")
    wait_for_steps(session, 20)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0 and "steps logged" in output, output
    states = [event for event in read_events(session / "events.jsonl") if event["kind"] == "safety_state"]
    assert (states[-1]["after"], states[-1]["cause"]) == ("stopped", "SIGINT")
    assert not killed(session) and not processes_of(session)


def test_a_mistake_ends_it_before_anything_is_made(launch, tmp_path):
    output, _ = (process := launch("minuts:=8")).communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1 and "did you mean minutes:=" in output
    assert list(tmp_path.iterdir()) == []
