"""A log that rolls is read as if it had not."""

import os
import stat
import threading
import time

import numpy as np
import pytest

from daydreamer.experience.closing import is_complete
from daydreamer.experience.log import ExperienceWriter, list_logs, log_path
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.experience.tail import ExperienceTail, LogTail

EPISODE_STEPS = 7


def episode_steps(make_step, count):
    for number in range(count):
        step = make_step(number)
        step.is_first, step.is_last = number % EPISODE_STEPS == 0, number % EPISODE_STEPS == EPISODE_STEPS - 1
        yield step


@pytest.mark.parametrize("roll_bytes", [1, 20_000])
def test_a_log_rolls_at_the_end_of_an_episode_and_nothing_is_lost(spec, make_step, tmp_path, roll_bytes):
    written = []
    with RollingExperienceWriter(tmp_path, spec, 3, 10.0, roll_bytes) as writer:
        tail, read = ExperienceTail(tmp_path, spec), []
        for step in episode_steps(make_step, 100):
            writer.append(step)
            assert step.actor_life == writer.actor_life or step.is_last
            written.append((step.actor_life, step.sequence, step.monotonic_ns))
            read += tail.read()
        assert writer.append_latency.count == 100
    read += tail.read()
    assert [(step.actor_life, step.sequence, step.monotonic_ns) for step in read] == written
    assert tail.problems == []
    logs = list_logs(tmp_path)
    assert list(logs) == list(range(3, 3 + len(logs))) and len(logs) > 1
    for path in list(logs.values())[:-1]:
        log = LogTail(path, spec)
        steps = log.read()
        assert steps[0].is_first and steps[-1].is_last and log.read() == [] and log.closed
        index_bytes = 16 * len(steps)
        assert path.stat().st_size - index_bytes < roll_bytes + (EPISODE_STEPS + 8) * path.stat().st_size / len(steps)
    numbers = np.array([identity[:2] for identity in written])
    assert len(np.unique(numbers, axis=0)) == 100


def test_a_small_log_does_not_roll(spec, make_step, tmp_path):
    with RollingExperienceWriter(tmp_path, spec, 1, 10.0, 1 << 30) as writer:
        for step in episode_steps(make_step, 50):
            writer.append(step)
        assert (writer.actor_life, writer.last_sequence) == (1, 49)
    assert list(list_logs(tmp_path)) == [1]


def test_a_log_that_was_killed_before_its_header_keeps_no_other_from_being_closed(spec, make_step, tmp_path):
    with ExperienceWriter(tmp_path, spec, 2, 10.0) as writer:
        writer.append(make_step(0, 2))
        killed = writer.path.read_bytes()
    writer.path.write_bytes(killed)
    log_path(tmp_path, 1).touch()
    assert not is_complete(writer.path)
    RollingExperienceWriter(tmp_path, spec, 3, 10.0, 1 << 30).close()
    assert is_complete(writer.path)


def test_appending_waits_for_no_disk_where_a_log_rolls(spec, make_step, tmp_path, monkeypatch):
    """One that takes its time, over several rolls: the command of the step still has to leave."""
    disk, synced, waited_in_vain = threading.Event(), [], []
    real = {name: getattr(os, name) for name in ("fsync", "fdatasync")}

    def slow(name, descriptor):
        if not disk.wait(20.0):
            waited_in_vain.append(threading.current_thread().name)
        synced.append((threading.current_thread(), stat.S_ISDIR(os.fstat(descriptor).st_mode)))
        real[name](descriptor)

    with RollingExperienceWriter(tmp_path, spec, 1, 1e-3, 1) as writer:
        for name in real:
            monkeypatch.setattr(os, name, lambda descriptor, name=name: slow(name, descriptor))
        for step in episode_steps(make_step, 3 * EPISODE_STEPS):
            writer.append(step)
        disk.set()
        assert waited_in_vain == []
    # Without its name no step would be found again, so that is what is synced first of each log.
    first = {}
    for thread, is_name in synced:
        first.setdefault(thread, is_name)
    assert sum(first.values()) == 3
    tail = ExperienceTail(tmp_path, spec)
    assert [step.monotonic_ns for step in tail.read()] == [
        step.monotonic_ns for step in episode_steps(make_step, 3 * EPISODE_STEPS)
    ]
    assert tail.problems == []


def test_what_rolling_takes_is_part_of_what_appending_takes(spec, make_step, tmp_path, monkeypatch):
    def list_slowly(directory):
        time.sleep(0.05)
        return list_logs(directory)

    with RollingExperienceWriter(tmp_path, spec, 1, 10.0, 1) as writer:
        monkeypatch.setattr("daydreamer.experience.rolling.list_logs", list_slowly)
        for step in episode_steps(make_step, EPISODE_STEPS):
            writer.append(step)
        assert writer.append_latency.summary()["max"] >= 50.0
