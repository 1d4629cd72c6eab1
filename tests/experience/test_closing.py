"""What other MCAP readers see of a log: of one that was closed, and of one whose actor was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from daydreamer.errors import UserError
from daydreamer.experience.closing import TornBytes, close_killed, is_complete
from daydreamer.experience.header import RESERVED, read_header
from daydreamer.experience.log import ExperienceWriter, log_path
from daydreamer.experience.rolling import RollingExperienceWriter
from daydreamer.experience.tail import ExperienceTail, LogTail, last_sequence

STEPS = 40
CHILD = Path(__file__).with_name("child_writer.py")


def stock_messages(path):
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        summary = reader.get_summary()
        messages = [message.sequence for _, _, _, message in reader.iter_decoded_messages()]
    return summary, messages


def require_indexed(path, steps):
    """The stock reader finds all steps, by the index."""
    summary, messages = stock_messages(path)
    assert messages == list(range(steps))
    (chunk,) = summary.chunk_indexes
    assert summary.statistics.message_count == steps and summary.statistics.chunk_count == 1
    with open(path, "rb") as file:
        middle = [m.log_time for _, _, m in make_reader(file).iter_messages()][steps // 2]
        file.seek(0)
        later = [m.sequence for _, _, m in make_reader(file).iter_messages(starting_at=middle)]
    assert later == list(range(steps // 2, steps))
    assert chunk.message_index_length == 9 + 6 + 16 * steps
    assert is_complete(path)


@pytest.fixture
def killed(spec, make_step, tmp_path):
    """A log as a kill leaves it: nobody has closed it."""
    writer = ExperienceWriter(tmp_path, spec, 1, 60.0)
    for sequence in range(STEPS):
        writer.append(make_step(sequence))
    content = writer.path.read_bytes()
    writer.close()
    writer.path.write_bytes(content)
    return writer.path


def test_a_closed_log_is_indexed(spec, make_step, tmp_path):
    with ExperienceWriter(tmp_path, spec, 1, 60.0) as writer:
        tail, read = LogTail(writer.path, spec), []
        for sequence in range(STEPS):
            writer.append(make_step(sequence))
            read += tail.read()
        assert not is_complete(writer.path)
    require_indexed(writer.path, STEPS)
    # Whoever read along, and whoever comes later, sees the same steps and the end.
    assert tail.read() == [] and tail.closed and [step.sequence for step in read] == list(range(STEPS))
    late = LogTail(writer.path, spec)
    assert len(late.read()) == STEPS and late.closed and last_sequence(writer.path) == STEPS - 1


def test_a_log_without_steps_is_a_complete_file(spec, tmp_path):
    ExperienceWriter(tmp_path, spec, 1, 60.0).close()
    path = log_path(tmp_path, 1)
    summary, messages = stock_messages(path)
    assert messages == [] and summary.statistics.message_count == 0
    assert is_complete(path) and last_sequence(path) == -1 and LogTail(path, spec).read() == []


@pytest.mark.parametrize("rest", [b"", b"\x05", "half a step", "killed while closing"])
def test_a_killed_log_is_closed(killed, spec, tmp_path, rest):
    whole = killed.read_bytes()
    size = (len(whole) - read_header(killed).size) // STEPS
    if rest == "half a step":
        rest = whole[-size : -size // 2]
    elif rest == "killed while closing":
        ExperienceWriter(tmp_path / "other", spec, 1, 60.0).close()
        rest = log_path(tmp_path / "other", 1).read_bytes()[read_header(log_path(tmp_path / "other", 1)).size :]
    killed.write_bytes(whole + rest)
    tail = ExperienceTail(tmp_path, spec)
    before = tail.read()
    with pytest.raises(Exception):  # noqa: B017  (of the stock reader, whatever it is)
        stock_messages(killed)
    assert close_killed(killed) == TornBytes(len(rest))
    require_indexed(killed, STEPS)
    assert len(before) == STEPS and tail.read() == [] and tail.problems == []
    assert len(ExperienceTail(tmp_path, spec).read()) == STEPS
    content = killed.read_bytes()
    assert close_killed(killed) == TornBytes() and killed.read_bytes() == content  # once more does no harm


def test_what_a_kill_does_not_explain_is_left_alone(killed):
    content = killed.read_bytes()
    middle = len(content) // 2
    for changed in (content[:middle] + b"x" + content[middle:], content + bytes(5000)):
        killed.write_bytes(changed)
        with pytest.raises(UserError, match="cannot be closed"):
            close_killed(killed)
        assert killed.read_bytes() == changed


def test_a_log_of_an_earlier_version_is_read_and_closed(killed, spec, tmp_path):
    """Without room for the head of a chunk, and so without an index."""
    content = killed.read_bytes()
    assert content.count(RESERVED) == 1
    killed.write_bytes(content.replace(RESERVED, b""))
    assert last_sequence(killed) == STEPS - 1
    close_killed(killed)
    summary, messages = stock_messages(killed)
    assert messages == list(range(STEPS)) and not summary.chunk_indexes and is_complete(killed)
    tail = LogTail(killed, spec)
    assert len(tail.read()) == STEPS and tail.closed


@pytest.mark.parametrize("pictures", ["raw", "png"])
def test_the_next_life_closes_what_was_killed(tmp_path, pictures):
    """A real process, killed for real in the middle of writing."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(CHILD), str(tmp_path), "1", "0", pictures]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    for _ in range(20):
        assert child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    path = log_path(tmp_path, 1)
    assert not is_complete(path)
    logged = last_sequence(path) + 1
    spec_there = read_header(path).spec
    RollingExperienceWriter(tmp_path, spec_there, 2, 60.0, 1 << 28).close()
    assert logged >= 20 and is_complete(path)
    require_indexed(path, logged)
