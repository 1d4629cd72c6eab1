"""Writing experience: nothing that was acknowledged is lost, and other tools can read the file."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mcap.exceptions import EndOfFile
from mcap.reader import NonSeekingReader, make_reader
from mcap_ros2.decoder import DecoderFactory
from mcap_ros2.reader import read_ros2_messages

from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter, list_logs, log_path, next_actor_life
from daydreamer.experience.tail import LogTail, last_sequence

CHILD = Path(__file__).with_name("child_writer.py")


def start_child(directory, actor_life, limit_bytes=0, pictures="raw"):
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(directory), str(actor_life), str(limit_bytes), pictures],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
    )


def test_a_closed_log_opens_with_the_stock_ros_2_reader(spec, make_step, tmp_path):
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1) as writer:
        for sequence in range(25):
            writer.append(make_step(sequence))
    messages = list(read_ros2_messages(writer.path))
    assert [message.ros_msg.sequence for message in messages] == list(range(25))
    assert messages[7].log_time_ns == make_step(7).wall_ns
    assert messages[7].ros_msg.reward_upright == make_step(7).reward_terms["upright"]
    with open(writer.path, "rb") as file:
        summary = make_reader(file).get_summary()
    assert summary.statistics.message_count == 25
    with open(writer.path, "rb") as file:
        checked = NonSeekingReader(file, validate_crcs=True)
        assert sum(1 for _ in checked.iter_messages()) == 25
    with open(writer.path, "rb") as file:
        (metadata,) = make_reader(file).iter_metadata()
    assert metadata.metadata["spec_hash"] == spec.hash and metadata.metadata["actor_life"] == "1"


def test_an_unclosed_log_is_read_up_to_the_tear_by_the_stock_stream_reader(spec, make_step, tmp_path):
    writer = ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1)
    for sequence in range(10):
        writer.append(make_step(sequence))
    torn = tmp_path / "torn.mcap"
    torn.write_bytes(writer.path.read_bytes()[:-100])
    writer.close()
    read = []
    with open(torn, "rb") as file:
        reader = NonSeekingReader(file, decoder_factories=[DecoderFactory()])
        with pytest.raises(EndOfFile):
            for _, _, _, message in reader.iter_decoded_messages(log_time_order=False):
                read.append(message.sequence)
    assert read == list(range(9))


@pytest.mark.parametrize(("after_steps", "pictures"), [(1, "raw"), (50, "png"), (400, "raw")])
def test_a_killed_writer_loses_no_acknowledged_step(spec, make_step, same, tmp_path, after_steps, pictures):
    child = start_child(tmp_path, 1, pictures=pictures)
    for _ in itertools.islice(child.stdout, after_steps):
        pass
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    assert child.returncode == -signal.SIGKILL, child.stderr.read()
    acknowledged = after_steps + len(rest)
    tail = LogTail(log_path(tmp_path, 1), spec)
    steps = tail.read()
    # The one step in between may have been written but not yet reported.
    assert len(steps) in (acknowledged, acknowledged + 1)
    assert same(steps, [make_step(sequence) for sequence in range(len(steps))])
    assert not tail.closed and last_sequence(tail.path) == len(steps) - 1


@pytest.mark.parametrize("pictures", ["raw", "png"])
def test_a_full_disk_names_cause_and_cure_and_keeps_what_was_written(spec, make_step, same, tmp_path, pictures):
    child = start_child(tmp_path, 1, 20_000, pictures)
    output, errors = child.communicate(timeout=200)
    assert child.returncode == 3, errors
    assert "File too large" in errors.decode() and "Free some space" in errors.decode()
    tail = LogTail(log_path(tmp_path, 1), spec)
    assert same(tail.read(), [make_step(sequence) for sequence in range(len(output.split()))])
    assert tail.offset == tail.path.stat().st_size, "the failed record was not removed"


def test_a_failed_fsync_surfaces_on_the_next_append(spec, make_step, tmp_path):
    writer = ExperienceWriter(tmp_path, spec, 1, fsync_period_s=0.01)
    (descriptor,) = (
        int(entry.name) for entry in Path("/proc/self/fd").iterdir() if os.path.realpath(entry) == str(writer.path)
    )
    reading, writing = os.pipe()
    # A pipe takes what is written but cannot be synced.
    os.dup2(writing, descriptor)
    with pytest.raises(UserError, match="Invalid argument.*daydreamer resume"):
        for sequence in range(1000):
            writer.append(make_step(sequence))
            os.read(reading, 1 << 16)
            time.sleep(0.01)
    with pytest.raises(UserError):
        writer.close()
    writer.close()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("sequence", "actor_life"), [(1, 1), (5, 1), (0, 2)])
def test_a_step_out_of_sequence_is_refused_and_not_written(spec, make_step, tmp_path, sequence, actor_life):
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1) as writer:
        with pytest.raises(ValueError, match="expected"):
            writer.append(make_step(sequence, actor_life))
        writer.append(make_step(0))
        with pytest.raises(ValueError, match="expected"):
            writer.append(make_step(0))
    assert last_sequence(writer.path) == 0


def test_a_malformed_step_leaves_the_log_usable(spec, make_step, same, tmp_path):
    broken = make_step(0)
    broken.observation["vector"] = broken.observation["vector"][:2]
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1) as writer:
        with pytest.raises(ValueError, match="vector"):
            writer.append(broken)
        writer.append(make_step(0))
    assert same(LogTail(writer.path, spec).read(), [make_step(0)])


def test_every_life_has_its_own_log(spec, make_step, tmp_path):
    directory = tmp_path / "experience"
    assert next_actor_life(directory) == 1
    for life in (1, 2, 3):
        assert next_actor_life(directory) == life
        with ExperienceWriter(directory, spec, life, fsync_period_s=1) as writer:
            writer.append(make_step(0, life))
    assert list(list_logs(directory)) == [1, 2, 3]
    (directory / "notes.txt").write_text("x")
    (directory / "actor-12345.mcap").write_bytes(b"")
    assert next_actor_life(directory) == 12346


def test_a_log_is_never_opened_twice(spec, tmp_path):
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1):
        with pytest.raises(UserError, match="already exists.*next life"):
            ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1)


def test_a_period_that_is_not_positive_is_refused(spec, tmp_path):
    with pytest.raises(UserError, match="fsync_period_s"):
        ExperienceWriter(tmp_path, spec, 1, fsync_period_s=0.0)
    assert not list_logs(tmp_path)


def test_appends_are_timed(spec, make_step, tmp_path):
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=1) as writer:
        for sequence in range(20):
            writer.append(make_step(sequence))
        summary = writer.append_latency.summary()
    assert writer.append_latency.count == 20
    assert 0 < summary["p50"] <= summary["p99"] <= summary["max"]
