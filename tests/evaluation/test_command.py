"""`daydreamer evaluate` with its processes."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from daydreamer.evaluation.measures import Measure
from daydreamer.evaluation.statistics import INTERVAL

SHORT = ("--episodes", 1, "--seconds", 1, "--robots", 1)


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "daydreamer.cli.main", "evaluate", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*arguments):
    process = start(*arguments)
    return (*process.communicate(timeout=200), process.returncode)


def works(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_two_policies_on_the_same_robots(learned, learned_again, tmp_path):
    before = sorted(file.stat().st_mtime_ns for file in learned.path.rglob("*"))
    picture = tmp_path / "both.png"
    output, errors, status = run(learned.path, learned_again.path, *SHORT, "--workers", 2, "--out", picture, "--json")
    assert status == 0 and errors == f"The picture is in {picture}.\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(output)
    assert (found["robot"], found["task"], found["episodes"], found["episode_s"]) == ("a1", "walk", 1, 1.0)
    assert found["complete"] and found["interval"] == INTERVAL and found["robot_minutes"] == pytest.approx(12 / 60)
    monday, tuesday = found["policies"]
    assert (monday["name"], monday["policy"]["version"], monday["differences"]) == ("monday", 1, {})
    assert monday["groups"]["nominal"]["robots"] == 5 and monday["groups"]["random"]["robots"] == 1
    # The same policy on the same robots is the same.
    difference = tuesday["differences"]["nominal"]["reward"]
    assert (difference["mean"], difference["low"], difference["high"], difference["robots"]) == (0.0, 0.0, 0.0, 5)
    assert monday["worst"]["seed"] == 1000 and "friction" in monday["worst"]["words"]
    titles = {Measure(**each).key for each in found["measures"]}
    assert {"info/published_reward", "reward", "info/forward_velocity_m_s", "fell_per_minute", "power_w"} <= titles
    assert sorted(file.stat().st_mtime_ns for file in learned.path.rglob("*")) == before


def test_an_interrupt_ends_it_and_its_processes(learned):
    process = start(learned.path, *SHORT, "--episodes", 1_000_000, "--workers", 1)
    parent = psutil.Process(process.pid)
    end_s = time.monotonic() + 100.0
    while not (children := parent.children()):
        assert time.monotonic() < end_s and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=100)
    assert process.returncode == 130 and "It was interrupted" in output and "Traceback" not in errors
    while any(map(works, children)):
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_mistake_is_one_line(learned, tmp_path):
    output, errors, status = run(learned.path, *SHORT, "--set", "twin.randomisation.friction=[0.9,0.1]")
    assert status == 2 and output == ""
    said = "daydreamer: twin.randomisation.friction=[0.9, 0.1] cannot be drawn from"
    assert errors.splitlines()[-1].startswith(said), errors
