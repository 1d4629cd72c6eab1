"""Processes under supervision: what they print, and whether they hang."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from daydreamer.cli import child as child_module
from daydreamer.cli.child import Child
from daydreamer.cli.keeper import Pulse
from daydreamer.cli.supervise import SessionSupervisor
from daydreamer.config import STARTING_PATIENCE, SessionConfig
from daydreamer.processes import ProcessDescription
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space
from daydreamer.stop_request import StopRequest

SPEC = RobotSpec("car", "drive", 10.0, 100, (), (), {"x": Space((1,))}, Space((1,), low=-1.0, high=1.0), ())
TALKER = """
import sys
for number in range(int(sys.argv[1])):
    print("line", number)
print("the end", end="", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "session", SessionConfig(), SPEC)


@pytest.fixture
def talk(session, tmp_path, monkeypatch):
    """Runs a process that prints so many lines, to its end."""
    (tmp_path / "talker.py").write_text(TALKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def talk(lines):
        child = Child(ProcessDescription("talker", "talker", "talker", (str(lines),)), session)
        child.start()
        assert child.wait(60.0) and child.exit_status == 3
        return child

    return talk


def test_what_a_process_prints_is_logged_and_its_end_remembered(talk):
    child = talk(100)
    assert child.last_lines(2) == ["line 99", "the end"]
    assert child.log_path.read_text().splitlines() == [*(f"line {number}" for number in range(100)), "the end"]
    assert talk(1).last_lines(9) == ["line 0", "the end"], "only of its last life"
    assert len(child.log_path.read_text().splitlines()) == 103


def test_a_printed_log_rolls(talk, monkeypatch):
    monkeypatch.setattr(child_module, "LOG_BYTES", 1000)
    child = talk(1000)
    assert child.last_lines(2) == ["line 999", "the end"]
    sizes = {path.name: path.stat().st_size for path in child.log_path.parent.iterdir()}
    assert sizes.keys() == {"talker.log", "talker.log.1"} and max(sizes.values()) <= 1000


def test_a_log_that_cannot_be_written_costs_nothing_but_the_log(talk, session):
    (session.path / "log").write_text("in the way")
    assert talk(10).last_lines(1) == ["the end"]


@pytest.mark.parametrize("can_hurry, killed_s", [(True, 3.0), (False, 20.0)])
def test_a_second_interrupt_hurries_whoever_holds_nothing_up(session, monkeypatch, can_hurry, killed_s):
    clock, killed, said = SimpleNamespace(now_s=0.0), [], []

    def sleep(seconds):
        clock.now_s += seconds

    monkeypatch.setattr(child_module, "time", SimpleNamespace(monotonic=lambda: clock.now_s, sleep=sleep))
    monkeypatch.setattr(Child, "running", True)
    monkeypatch.setattr(Child, "interrupt", lambda child: None)
    monkeypatch.setattr(Child, "kill", lambda child: killed.append(clock.now_s))
    description = ProcessDescription("driver", "driver", "driver", (), stop_timeout_s=20.0, can_hurry=can_hurry)
    Child(description, session).end(SimpleNamespace(signals=2), lambda kind, **fields: None, said.append)
    assert killed == [pytest.approx(killed_s, abs=0.3)]
    assert any("not hurried" in sentence and "up to 20 s" in sentence for sentence in said) != can_hurry


ORPHAN = """
import os, subprocess, sys
from daydreamer.stop_request import PARENT_VARIABLE
program = ["import sys", "from daydreamer.stop_request import StopRequest", "sys.stdin.read()"]
program += ["print(StopRequest().reason)"]
subprocess.Popen(
    [sys.executable, "-c", "\\n".join(program)],
    stdin=int(sys.argv[1]),
    env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
)
"""


def test_a_process_whose_parent_died_while_it_was_starting_knows_it():
    reading, writing = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(reading)],
        pass_fds=[reading],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    parent.wait(60.0)
    os.close(reading)
    os.close(writing)  # only now does the child go on to look who its parent is
    assert parent.stdout.read().decode().strip() == "the process that started this one is gone"


def test_a_process_hangs_when_its_heartbeat_stands_still_on_the_watchers_clock():
    pulse = Pulse(10.0)
    begin_s = time.monotonic()
    pulse.restart(begin_s)
    # Compiling takes its time, before the first heartbeat as after it.
    assert pulse.silence(None, begin_s + 10.0 * STARTING_PATIENCE - 1.0) is None
    assert pulse.silence(None, begin_s + 10.0 * STARTING_PATIENCE + 1.0) is not None
    assert pulse.silence((1.0, True), begin_s + 60.0) is None
    assert pulse.silence((1.0, True), begin_s + 60.0 + 10.0 * STARTING_PATIENCE - 1.0) is None
    assert pulse.silence((2.0, False), begin_s + 200.0) is None
    assert pulse.silence((2.0, False), begin_s + 209.0) is None
    assert pulse.silence((2.0, False), begin_s + 211.0) == 11.0
    assert pulse.silence((1.5, False), begin_s + 212.0) is None, "any change is a sign of life"
    pulse.restart(begin_s + 300.0)
    assert pulse.silence(None, begin_s + 301.0) is None


@pytest.mark.parametrize("writable", [True, False])
def test_silence_counts_only_against_a_learner_that_could_report(session, writable, monkeypatch, capsys):
    """Where the command cannot write its own status it says so, once, and kills nobody for doing no better."""
    supervisor = SessionSupervisor(session, 1.0, StopRequest(watch_parent=False))
    killed = []
    monkeypatch.setattr(Child, "running", True)
    monkeypatch.setattr(Child, "kill", lambda child: killed.append(child.name))
    if not writable:
        session.status.rmdir()
        session.status.write_text("in the way")
    now_s = time.monotonic()
    for hours in range(3):
        monkeypatch.setattr(time, "monotonic", lambda hours=hours: now_s + 3600 * hours)
        supervisor._write_status("running", None)
        supervisor._keeper.end_hung(can_report=supervisor._status_written)
    assert killed == (["learner", "learner"] if writable else [])
    assert capsys.readouterr().out.count("The status cannot be written to") == (0 if writable else 1)
