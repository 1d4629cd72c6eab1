"""A disk that takes nothing more under a running session: the robot is stopped, told why, and the session goes on."""

import collections
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.executors import SingleThreadedExecutor

from daydreamer.experience.log import list_logs
from daydreamer.experience.tail import ExperienceTail, last_sequence
from daydreamer.replay import APPEND_SIZES, Replay
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.status import read_process_status
from ros_nodes import topics

DOMAIN = "27"
TIMEOUT_S = 150.0
LEARNING_TIMEOUT_S = 600.0  # the learner is niced, and may have to compile
DAYDREAMER = [sys.executable, "-m", "daydreamer.cli.main"]
FAST = ["--preset", "tiny", "--set", "learner.checkpoint_period_s=1"]
NOTHING = ["--set", "learner.train_ratio=0", "--set", "learner.dream_period_s=0"]
"""Is to be learned, and so nothing compiled, where nothing is looked at that the learner does."""


class SmallDisk:
    """A file system of its own in a file, which only root can mount: it can fill up, and it can break."""

    full_message = "No space left on device"
    read_only_message = "Read-only file system"

    def __init__(self, path):
        path.mkdir()
        self.session = path / "session"
        self._path = path
        self._image = path.with_suffix(".image")
        with open(self._image, "wb") as file:
            file.truncate(64 << 20)
        run("mkfs.ext4", "-q", "-m", "0", self._image)
        self._mount()
        try:
            if not os.access(self._trigger, os.W_OK):
                raise OSError(f"{self._trigger} is not there")
        except BaseException:
            self.close()
            raise

    def _mount(self):
        # Synchronous, because what is not synced when a file system breaks is lost as in a power loss.
        run("mount", "-o", "loop,sync,barrier=0,errors=remount-ro", self._image, self._path)
        device = os.stat(self._path).st_dev
        name = os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
        self._trigger = Path("/sys/fs/ext4") / name / "trigger_fs_error"

    def fill(self, processes):
        with open(self._path / "filler", "wb", buffering=0) as file:
            for size in (1 << 20, 256):  # what is left for the small ones is soon filled
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def fill_but(self, free_bytes):
        with open(self._path / "filler", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(self._path).free - free_bytes)

    def empty(self):
        (self._path / "filler").unlink()

    def make_read_only(self):
        """What the kernel does by itself when it finds that a file system is damaged, open files or not."""
        self._trigger.write_text("a test")

    def make_writable(self):
        run("umount", self._path)
        self._mount()

    def close(self):
        run("umount", "--lazy", self._path)


class FileSizeLimit:
    """For whoever may not mount: the kernel refuses to make any file larger than those there are."""

    full_message = "File too large"

    def __init__(self, path):
        path.mkdir()
        self.session = path / "session"

    def fill(self, processes):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))

    def empty(self):
        pass  # the limit went with the processes

    def close(self):
        pass


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path):
    try:
        disk = SmallDisk(tmp_path / "disk")
    except (subprocess.CalledProcessError, OSError):
        disk = FileSizeLimit(tmp_path / "limit")
    yield disk
    for process in processes_of(disk.session):
        process.kill()
        process.wait()
    disk.close()


class Listener:
    """What the robot is told."""

    def __init__(self):
        self._context = rclpy.Context()
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        rclpy.init(context=self._context, domain_id=int(DOMAIN))
        self._node = rclpy.create_node("listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._commands = []
        self._node.create_subscription(topics.JointState, topics.JOINT_COMMAND, self._commands.append, 100)

    def last_was_damping(self):
        for _ in range(200):
            self._executor.spin_once(timeout_sec=0.01)
        command = self._commands[-1]
        self._commands.clear()
        return not command.position and list(command.velocity) == [0.0] * 12

    def close(self):
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.shutdown()


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.close()


def processes_of(session):
    processes = psutil.process_iter(["cmdline"])
    return [process for process in processes if str(session) in (process.info["cmdline"] or [])]


def logged(session):
    """Steps in the newest log."""
    logs = list_logs(session / "experience")
    return last_sequence(logs[max(logs)]) + 1 if logs else 0


def start(*arguments, bound_by_permissions=False):
    """A command; with `bound_by_permissions` also root may only write what its permissions say."""
    environment = os.environ | {"ROS_DOMAIN_ID": DOMAIN, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    prefix = []
    if bound_by_permissions and os.geteuid() == 0:
        prefix = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    return subprocess.Popen(
        [*prefix, *DAYDREAMER, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process, timeout_s=TIMEOUT_S):
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end_s
        time.sleep(0.1)


def steps_of(session):
    """All that is logged, which must be whole: each life without gap or duplicate, and readers without complaint."""
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    assert tail.problems == []
    lives = collections.defaultdict(list)
    for step in steps:
        lives[step.actor_life].append(step.sequence)
    assert all(sequences == list(range(len(sequences))) for sequences in lives.values())
    return [(step.actor_life, step.sequence, step.reward) for step in steps]


def ends_for_lack_of(message, process, listener):
    """That the session ends by itself, with a damped robot, and says why; what it says."""
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1, output
    assert "The actor cannot go on: Experience cannot be written to" in output and message in output, output
    assert "then go on with 'daydreamer resume'" in output
    assert listener.last_was_damping()
    return output


def refused_for_lack_of(message, *arguments, **options):
    """That what is not cured is told again, and nothing is started."""
    again = start(*arguments, **options)
    output, _ = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 2 and message in output.splitlines()[-1], output


def ends_whole(session, before, minutes):
    """That `resume` goes on to the end, and that nothing is missing or damaged then."""
    again = start("resume", session.path, "--minutes", minutes, "--no-dashboard")
    output, _ = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 0, output
    after = steps_of(session)
    assert after[: len(before)] == before and len(after) == len(before) + round(minutes * 1200)
    replay = Replay(session.spec, len(after) + APPEND_SIZES[-1])
    tail = ExperienceTail(session.experience, session.spec)
    while batch := tail.read(APPEND_SIZES[-1]):
        replay.append(batch)
    rows = (np.asarray(replay.state.rows[name])[: len(replay)] for name in ("actor_life", "sequence", "reward"))
    np.testing.assert_allclose(np.stack([*rows], axis=1, dtype=np.float64), after, rtol=1e-6)
    verdict = subprocess.run([*DAYDREAMER, "doctor", str(session.path), "--json"], capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout


@pytest.mark.timeout(900)
def test_a_disk_that_is_full_or_read_only_stops_the_robot_before_a_step_is_lost(disk, listener):
    walk = start("walk", "--session", disk.session, "--no-dashboard", *FAST, *NOTHING)
    wait_for(lambda: logged(disk.session) >= 40, walk)
    disk.fill([process for process in processes_of(disk.session) if process.pid != walk.pid])
    output = ends_for_lack_of(disk.full_message, walk, listener)
    assert "Free some space" in output
    session = Session.open(disk.session)
    if isinstance(disk, FileSizeLimit):  # a full disk has no room for events either
        ends = [event for event in read_events(session.events) if event["kind"] == "process_end"]
        assert [event["process"] for event in ends][-1] == "actor" and disk.full_message in ends[-1]["last_line"]
    before = steps_of(session)

    if isinstance(disk, SmallDisk):
        refused_for_lack_of(disk.full_message, "resume", disk.session, "--minutes", "0.05")
        assert list(list_logs(session.experience)) == [1]
        # Room for a log, but not for long.
        disk.empty()
        disk.fill_but(8 << 20)
        refused_for_lack_of("a beginning takes", "resume", disk.session, "--minutes", "0.05")
        assert list(list_logs(session.experience)) == [1] and steps_of(session) == before
    disk.empty()
    if isinstance(disk, SmallDisk):
        again = start("resume", disk.session, "--no-dashboard")
        # A step is read as soon as its write has begun, and is on the disk for certain when the next one's has.
        wait_for(lambda: len(list_logs(session.experience)) == 2 and logged(disk.session) > 20, again)
        disk.make_read_only()
        output = ends_for_lack_of(disk.read_only_message, again, listener)
        assert "Check the disk and its permissions" in output
        refused_for_lack_of(disk.read_only_message, "resume", disk.session)
        disk.make_writable()
        before, earlier = steps_of(session), before
        assert before[: len(earlier)] == earlier and len(before) >= len(earlier) + 20
    else:
        warnings.warn("Without the right to mount, a read-only file system is not tried.", stacklevel=1)
    ends_whole(session, before, minutes=0.05)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_lost_permission_is_told_and_stops_the_robot_before_a_step_is_lost(tmp_path, listener):
    """A log that is open is the actor's, whatever is done to its permissions; the next one is refused."""
    path = tmp_path / "session"
    roll = ["--set", "actor.log_roll_bytes=1"]
    walk = start("walk", "--session", path, "--no-dashboard", *FAST, *roll, bound_by_permissions=True)
    try:
        # Early in an episode, so that the learner mostly notices before it is over, and not only when it ends.
        wait_for(lambda: (path / "policy" / "latest").exists() and logged(path) % 250 < 100, walk, LEARNING_TIMEOUT_S)
        session = Session.open(path)
        learner = read_process_status(session, "learner").pid
        lost_at = logged(path)
        permit(path, 0o555)
        output = ends_for_lack_of("Permission denied", walk, listener)
        assert f"The status cannot be written to {path}" in output and "Check the disk and its permissions" in output
        before = steps_of(session)
        assert len(before) > lost_at, "the open log must have been written on"
        events = {event["kind"]: event for event in read_events(session.events)}
        for kind in ("publish_failed", "checkpoint_failed"):
            assert events[kind]["pid"] == learner and "Permission denied" in events[kind]["error"]
        assert events["process_end"]["process"] == "actor" and "Permission denied" in events["process_end"]["last_line"]
        refused_for_lack_of("Permission denied", "resume", path, "--minutes", "0.05", bound_by_permissions=True)
    finally:
        permit(path, 0o755)
        for process in processes_of(path):
            process.kill()
    assert steps_of(session) == before
    ends_whole(session, before, minutes=0.05)


def permit(session, mode):
    """Sets the permissions of all folders of a session."""
    for folder, _, _ in os.walk(session):
        os.chmod(folder, mode)
