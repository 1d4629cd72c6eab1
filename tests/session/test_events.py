"""The event log: lines of several processes, and what a crash leaves of one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from daydreamer.errors import UserError
from daydreamer.session import events
from daydreamer.session.events import EventLog, EventTail, earlier_events, read_events


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_what_was_recorded_is_read_with_its_time(path):
    before = time.time()
    log = EventLog(path)
    log.record("start", "actor", life=1)
    log.record("emergency_stop", "operator", reason="pressed 'q'\n", height_m=np.float32(0.25), log=path)
    first, second = read_events(path)
    assert (first["kind"], first["source"], first["life"], first["pid"]) == ("start", "actor", 1, os.getpid())
    assert second["reason"] == "pressed 'q'\n" and second["height_m"] == 0.25 and second["log"] == str(path)
    assert before <= first["wall_s"] <= second["wall_s"] <= time.time()
    assert len(path.read_text().splitlines()) == 2
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_no_file_is_no_events(path):
    assert read_events(path) == []


def test_lines_of_several_processes_do_not_mix(path):
    script = (
        "import sys; from pathlib import Path; from daydreamer.session.events import EventLog\n"
        "for i in range(300): EventLog(Path(sys.argv[1])).record('tick', sys.argv[2], i=i, padding='x' * 3000)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name], env=environment) for name in ("a", "b")
    ]
    assert [child.wait() for child in children] == [0, 0]
    events = read_events(path)
    for name in ("a", "b"):
        assert [event["i"] for event in events if event["source"] == name] == list(range(300))
    assert len(events) == 600


def test_a_torn_last_line_is_left_out_and_does_not_swallow_the_next(path):
    log = EventLog(path)
    log.record("start", "actor")
    log.record("crash", "actor")
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert [event["kind"] for event in read_events(path)] == ["start"]
    log.record("restart", "actor")
    kinds = [event["kind"] for event in read_events(path)]
    assert kinds == ["start", "unreadable", "restart"]


def test_a_tail_reads_each_event_once_and_a_torn_one_when_it_is_whole(path):
    log, tail = EventLog(path), EventTail(path)
    assert tail.read() == []
    log.record("start", "actor")
    assert [event["kind"] for event in tail.read()] == ["start"] and tail.read() == []
    path.write_bytes(path.read_bytes() + b"{torn")
    assert tail.read() == []
    log.record("restart", "actor")
    unreadable, restart = tail.read()
    assert {**unreadable, "wall_s": 0} == {"wall_s": 0, "kind": "unreadable", "source": "events", "line": 2}
    assert restart["kind"] == "restart"


def test_fields_of_the_log_itself_cannot_be_overwritten(path):
    with pytest.raises(ValueError, match="pid"):
        EventLog(path).record("start", "actor", pid=0)
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        EventLog(tmp_path / "missing" / "events.jsonl").record("start", "actor")


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"wall_s": 1, "source": "actor"}',
        b'{"wall_s": "1", "kind": "start", "source": "actor"}',
        b'{"wall_s": 1e300, "kind": "start", "source": "actor"}',
        b'{"wall_s": 1, "kind": 7, "source": "actor"}',
        b'{"wall_s": 1, "kind": "milestone", "source": "actor", "nom": "debout"}',
        b'{"wall_s": 1, "kind": "milestone", "source": "actor", "name": "standing", "robot_seconds": "soon"}',
        b'{"wall_s": 1, "kind": "update_skipped", "source": "learner", "count": "many"}',
        b'{"wall_s": 1, "kind": "start", "source": "actor","checksum":1}',
        b'{"wall_s": 1, "kind": "start", "source": "actor", "deep": ' + b"[" * 100_000,
        b'{"wall_s": 1, "kind": "start", "source": "actor", "deep": ' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"wall_s": 1, "kind": "start", "source": "actor", "long": "' + b"x" * (1 << 17) + b'"}',
        b"\xff\xfe",
        b'{"wall_s": 1, "kind": "safety_state", "source": "actor", "after": [1]}',
        b'{"wall_s": 1, "kind": "intervention", "source": "actor", "by": {}}',
    ],
    ids=range(16),
)
def test_what_is_no_event_of_this_version_is_passed_over(path, line):
    log = EventLog(path)
    log.record("start", "actor")
    with open(path, "ab") as file:
        file.write(line + b"\n")
    log.record("stop", "actor")
    start, unreadable, stop = read_events(path)
    assert (start["kind"], unreadable["kind"], stop["kind"]) == ("start", "unreadable", "stop")
    assert unreadable["line"] == 2 and unreadable["wall_s"] == start["wall_s"]


def test_events_of_earlier_versions_have_no_checksum(path):
    path.write_bytes(b'{"wall_s":1.5,"kind":"start","source":"actor","pid":1}\n')
    assert read_events(path)[0]["kind"] == "start"


def test_a_changed_digit_is_noticed(path):
    EventLog(path).record("milestone", "actor", name="standing", robot_seconds=61.25)
    assert read_events(path)[0]["kind"] == "milestone"
    path.write_bytes(path.read_bytes().replace(b"61.25", b"16.25"))
    assert read_events(path)[0]["kind"] == "unreadable"


def test_the_file_rolls_and_whoever_reads_along_misses_nothing(path, monkeypatch):
    monkeypatch.setattr(events, "ROLL_BYTES", 2000)
    log, tail, late, read = EventLog(path), EventTail(path), EventTail(path), []
    for number in range(100):
        log.record("tick", "actor", number=number)
        if number % 7 == 0:  # less often than it rolls
            read += tail.read()
    read += tail.read()
    assert [event["number"] for event in read] == list(range(100))
    assert path.stat().st_size < 2200 and earlier_events(path).stat().st_size < 2200
    kept = [event["number"] for event in late.read()]
    assert kept == list(range(kept[0], 100)) and len(kept) > 10


def test_of_a_file_that_never_rolled_the_latest_is_read(path, monkeypatch):
    monkeypatch.setattr(events, "MOST_BYTES", 3000)
    log = EventLog(path)
    for number in range(100):
        log.record("tick", "actor", number=number)
    first, *_, last = read_events(path)
    assert first["kind"] == "unreadable" and last["number"] == 99
