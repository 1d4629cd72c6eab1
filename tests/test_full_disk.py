"""A disk that fills up under a running session: the robot is stopped, the cause is told, and the session goes on."""

import contextlib
import os
import resource
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

DOMAIN = "27"
TIMEOUT_S = 150.0
DAYDREAMER = [sys.executable, "-m", "daydreamer.cli.main"]
FAST = ["--preset", "tiny", "--set", "learner.checkpoint_period_s=1"]


class SmallDisk:
    """A file system of its own in memory, which only root can mount; `fill` leaves no byte."""

    message = "No space left on device"

    def __init__(self, path):
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], check=True, capture_output=True)
        self.session = path / "session"
        self._path = path

    def fill(self, processes):
        with open(self._path / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(256))

    def cure(self):
        (self._path / "filler").unlink()

    def close(self):
        subprocess.run(["umount", "--lazy", self._path], check=True)


class FileSizeLimit:
    """For whoever may not mount: the kernel refuses to make any file larger than those there are."""

    message = "File too large"

    def __init__(self, path):
        path.mkdir()
        self.session = path / "session"

    def fill(self, processes):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))

    def close(self):
        pass


@pytest.fixture
def disk(tmp_path):
    try:
        disk = SmallDisk(tmp_path / "disk")
    except (subprocess.CalledProcessError, FileNotFoundError):
        disk = FileSizeLimit(tmp_path / "limit")
    yield disk
    for process in processes_of(disk.session):
        process.kill()
    disk.close()


def processes_of(session):
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if str(session) in (process.info["cmdline"] or [])]


def logged(session):
    logs = list_logs(session / "experience")
    return last_sequence(logs[max(logs)]) + 1 if logs else 0


def start(*arguments):
    environment = os.environ | {"ROS_DOMAIN_ID": DOMAIN, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [*DAYDREAMER, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process):
    end_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end_s
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_a_full_disk_stops_the_robot_before_a_step_is_lost_and_the_session_goes_on_after_the_cure(disk):
    walk = start("walk", "--session", disk.session, "--no-dashboard", *FAST)
    wait_for(lambda: logged(disk.session) >= 40, walk)
    disk.fill([process for process in processes_of(disk.session) if process.pid != walk.pid])
    output, _ = walk.communicate(timeout=TIMEOUT_S)
    assert walk.returncode == 1, output
    assert f"The actor cannot go on: Experience cannot be written to {disk.session}" in output, output
    assert disk.message in output and "Free some space, then go on with 'daydreamer resume'" in output
    session = Session.open(disk.session)
    if isinstance(disk, FileSizeLimit):  # a full disk has no room for events either
        ends = [event for event in read_events(session.events) if event["kind"] == "process_end"]
        assert [event["process"] for event in ends][-1] == "actor" and disk.message in ends[-1]["last_line"]
    tail = ExperienceTail(session.experience, session.spec)
    before = [(step.actor_life, step.sequence, step.reward) for step in tail.read()]
    assert tail.problems == [] and [sequence for _, sequence, _ in before] == list(range(len(before)))

    if isinstance(disk, SmallDisk):  # not cured yet: nothing moves, and the cause is told again
        again = start("resume", disk.session, "--minutes", "0.05")
        output, _ = again.communicate(timeout=TIMEOUT_S)
        assert again.returncode != 0 and disk.message in output, output
        assert list(list_logs(session.experience)) == [1]
        disk.cure()
    again = start("resume", disk.session, "--minutes", "0.05")
    output, _ = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0, output
    tail = ExperienceTail(session.experience, session.spec)
    after = [(step.actor_life, step.sequence, step.reward) for step in tail.read()]
    assert after[: len(before)] == before and len(after) == len(before) + 60 and tail.problems == []
    verdict = subprocess.run([*DAYDREAMER, "doctor", str(disk.session), "--json"], capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout
