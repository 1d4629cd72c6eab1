"""Reading experience: every step exactly once, in order, and never one that was not written."""

import json
import os
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.opcode import Opcode

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.header import CHUNK_HEAD, RESERVED, CorruptLog, read_header
from daydreamer.experience.log import ExperienceWriter, log_path
from daydreamer.experience.tail import MOST_PROBLEMS, ExperienceTail, LogTail, last_sequence
from daydreamer.spec import Space

STEPS = 6


@pytest.fixture(scope="session")
def write_log(spec, make_step):
    """Writes a log of `count` steps; leaves it as a crash would unless `close`."""

    def write(directory, count, actor_life=1, close=True):
        writer = ExperienceWriter(directory, spec, actor_life, fsync_period_s=10)
        for sequence in range(count):
            writer.append(make_step(sequence, actor_life))
        content = writer.path.read_bytes()
        writer.close()
        if not close:
            writer.path.write_bytes(content)
        return writer.path

    return write


@pytest.fixture(scope="session", params=["closed", "unclosed"])
def log_bytes(request, write_log, tmp_path_factory):
    """Content of a log, offset of its first step, and size of a step record."""
    path = write_log(tmp_path_factory.mktemp("whole"), STEPS, close=request.param == "closed")
    start = read_header(path).size
    unclosed = write_log(tmp_path_factory.mktemp("size"), STEPS, close=False)
    return path.read_bytes(), start, (unclosed.stat().st_size - start) // STEPS


@pytest.fixture
def scratch(tmp_path):
    return log_path(tmp_path, 1)


def read_everything(tail):
    steps = []
    while batch := tail.read():
        steps += batch
    return steps


@given(data=st.data())
def test_any_prefix_yields_exactly_its_complete_records(data, log_bytes, spec, make_step, same, tmp_path_factory):
    content, start, size = log_bytes
    length = data.draw(st.integers(0, len(content)))
    path = log_path(tmp_path_factory.mktemp("prefix"), 1)
    path.write_bytes(content[:length])
    complete = min(STEPS, max(0, (length - start) // size))
    tail = LogTail(path, spec)
    assert same(tail.read(), [make_step(sequence) for sequence in range(complete)])
    assert tail.read() == []
    assert last_sequence(path) == complete - 1
    # The rest arrives: exactly what was missing follows.
    path.write_bytes(content)
    assert same(read_everything(tail), [make_step(sequence) for sequence in range(complete, STEPS)])


def test_any_flipped_byte_in_a_step_is_detected_and_costs_only_that_step(log_bytes, spec, make_step, same, scratch):
    content, start, size = log_bytes
    written = [make_step(sequence) for sequence in range(STEPS)]
    first_and_last = (*range(start, start + size), *range(start + (STEPS - 1) * size, start + STEPS * size))
    for position in first_and_last:
        damaged = bytearray(content)
        # A different flip at every position; the property test below draws them freely.
        damaged[position] ^= 1 << position % 8
        scratch.write_bytes(damaged)
        tail = ExperienceTail(scratch.parent, spec)
        index = (position - start) // size
        assert same(read_everything(tail), written[:index] + written[index + 1 :]), position
        kinds = [problem.kind for problem in tail.problems]
        assert kinds == (["damage", "gap"] if index < STEPS - 1 else ["damage"]), position
        assert f"byte {start + index * size}" in tail.problems[0].text and str(scratch) in tail.problems[0].text


@settings(max_examples=300)
@given(data=st.data())
def test_no_damage_invents_or_alters_a_step(data, log_bytes, write_log, spec, make_step, same, tmp_path_factory):
    content, start, size = log_bytes
    position = data.draw(st.integers(0, len(content) - 1))
    kind = data.draw(st.sampled_from(["flip", "insert", "delete", "overwrite"]))
    damaged = bytearray(content)
    if kind == "flip":
        damaged[position] ^= data.draw(st.integers(1, 255))
    elif kind == "insert":
        damaged[position:position] = data.draw(st.binary(min_size=1, max_size=64))
    elif kind == "delete":
        del damaged[position : position + data.draw(st.integers(1, 64))]
    else:
        noise = data.draw(st.binary(min_size=1, max_size=600))
        damaged[position : position + len(noise)] = noise
    path = log_path(tmp_path_factory.mktemp("damage"), 1)
    path.write_bytes(damaged)
    tail = ExperienceTail(path.parent, spec)
    try:
        steps = read_everything(tail)
    except (SpecMismatch, UserError):
        assert position < start, "damage among the steps must not stop the others from being read"
        return
    numbers = [step.sequence for step in steps]
    assert numbers == sorted(set(numbers))
    assert same(steps, [make_step(number) for number in numbers])
    in_steps = start <= position < start + STEPS * size
    if kind == "flip" and in_steps:
        assert tail.problems and len(steps) == STEPS - 1
    if len(steps) < STEPS and len(damaged) >= len(content):
        # A damaged header may look like one that is still being written, until the next life begins.
        write_log(path.parent, 1, actor_life=2)
        assert same(tail.read(), [make_step(0, 2)]) and tail.problems


def test_whatever_the_head_of_the_chunk_becomes_no_step_is_lost_in_silence(log_bytes, spec, make_step, same, scratch):
    content, start, _ = log_bytes
    opcode = start - CHUNK_HEAD.size
    for value in range(256):
        damaged = bytearray(content)
        damaged[opcode] = value
        scratch.write_bytes(damaged)
        tail = ExperienceTail(scratch.parent, spec)
        assert same(read_everything(tail), [make_step(sequence) for sequence in range(STEPS)]), value
        assert tail.problems or value in (Opcode.CHUNK, RESERVED[0]), value


def test_damage_is_an_error_with_file_and_offset_after_the_steps_before_it(log_bytes, spec, make_step, same, scratch):
    content, start, size = log_bytes
    damaged = bytearray(content)
    damaged[start + 2 * size + 100] ^= 1
    scratch.write_bytes(damaged)
    tail = LogTail(scratch, spec)
    assert same(tail.read(), [make_step(0), make_step(1)])
    for _ in range(2):
        with pytest.raises(CorruptLog) as caught:
            tail.read()
        assert (caught.value.path, caught.value.offset) == (scratch, start + 2 * size)
    assert tail.skip_damage()
    assert same(tail.read(), [make_step(sequence) for sequence in range(3, STEPS)])


def test_damage_at_the_end_of_a_growing_log_is_skipped_once_steps_follow(spec, make_step, same, write_log, tmp_path):
    path = write_log(tmp_path, 5, close=False)
    content = bytearray(path.read_bytes())
    size = (len(content) - read_header(path).size) // 5
    content[-2 * size + 50] ^= 255
    path.write_bytes(content[:-size])
    tail = ExperienceTail(tmp_path, spec)
    assert same(tail.read(), [make_step(sequence) for sequence in range(3)])
    assert tail.read() == [] and [problem.kind for problem in tail.problems] == ["damage"]
    path.write_bytes(content)
    assert same(tail.read(), [make_step(4)])
    assert [problem.kind for problem in tail.problems] == ["damage", "gap"]
    assert "Steps 3 to 3 are missing" in tail.problems[1].text


@pytest.mark.parametrize("inserted", [1, 100, 1000, 1234, 2500])
def test_steps_are_found_again_across_blocks(spec, make_step, same, write_log, tmp_path, monkeypatch, inserted):
    monkeypatch.setattr("daydreamer.experience.tail._BLOCK_BYTES", 1)
    monkeypatch.setattr("daydreamer.experience.tail._FEW_RECORDS", 2)
    path = write_log(tmp_path, 8)
    content = path.read_bytes()
    start = read_header(path).size
    path.write_bytes(content[:start] + bytes(inserted) + content[start:])
    tail = ExperienceTail(tmp_path, spec)
    assert same(read_everything(tail), [make_step(sequence) for sequence in range(8)])
    assert [problem.kind for problem in tail.problems] == ["damage"]


def test_a_log_of_which_every_other_step_is_damaged_is_read_in_time_and_not_listed_whole(
    spec, make_step, same, write_log, tmp_path, monkeypatch
):
    count, read_bytes = 2 * MOST_PROBLEMS, 0
    path = write_log(tmp_path, count, close=False)
    content, start = bytearray(path.read_bytes()), read_header(path).size
    size = (len(content) - start) // count
    content[start + 50 :: 2 * size] = b"!" * len(content[start + 50 :: 2 * size])
    path.write_bytes(content)
    pread = os.pread

    def counted(*arguments):
        nonlocal read_bytes
        data = pread(*arguments)
        read_bytes += len(data)
        return data

    monkeypatch.setattr(os, "pread", counted)
    tail = ExperienceTail(tmp_path, spec)
    assert same(read_everything(tail), [make_step(sequence) for sequence in range(1, count, 2)])
    assert len(tail.problems) == MOST_PROBLEMS + 1 and "more damage than is listed" in tail.problems[-1].text
    assert read_bytes < 20 * len(content)


def test_a_log_is_read_while_it_is_written(spec, make_step, same, tmp_path):
    count = 3000
    failure = []

    def write():
        try:
            for life in (1, 2):
                with ExperienceWriter(tmp_path, spec, life, fsync_period_s=0.01) as writer:
                    for sequence in range(count // 2):
                        writer.append(make_step(sequence, life))
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    tail = ExperienceTail(tmp_path, spec)
    steps, reads = [], 0
    while thread.is_alive():
        batch = tail.read()
        reads += bool(batch)
        steps += batch
    thread.join()
    steps += tail.read()
    assert not failure
    assert same(steps, [make_step(sequence, life) for life in (1, 2) for sequence in range(count // 2)])
    assert reads > 1 and tail.problems == []


@given(data=st.data())
def test_cursors_give_the_rest_exactly_once(data, spec, make_step, same, write_log, tmp_path_factory):
    directory = tmp_path_factory.mktemp("lives")
    counts = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=3))
    for life, count in enumerate(counts, start=1):
        write_log(directory, count, life, close=data.draw(st.booleans()))
    expected = [make_step(sequence, life) for life, count in enumerate(counts, 1) for sequence in range(count)]
    steps, cursors = [], None
    for limit in data.draw(st.lists(st.integers(0, 5), max_size=4)) + [None]:
        tail = ExperienceTail(directory, spec, cursors=cursors)
        batch = tail.read(limit)
        assert limit is None or len(batch) == min(limit, len(expected) - len(steps))
        steps += batch
        # As a checkpoint would keep them.
        cursors = json.loads(json.dumps(tail.cursors))
    assert same(steps, expected) and tail.problems == []
    # An actor's next life goes on behind them.
    write_log(directory, 2, len(counts) + 1)
    tail = ExperienceTail(directory, spec, cursors=cursors)
    assert same(tail.read(), [make_step(sequence, len(counts) + 1) for sequence in range(2)])


def test_an_earlier_life_is_read_on_until_it_is_closed(spec, make_step, same, write_log, tmp_path):
    with ExperienceWriter(tmp_path, spec, 1, fsync_period_s=10) as first:
        first.append(make_step(0, 1))
        write_log(tmp_path, 2, actor_life=2)
        tail = ExperienceTail(tmp_path, spec)
        assert same(tail.read(), [make_step(0, 1), make_step(0, 2), make_step(1, 2)])
        first.append(make_step(1, 1))
        assert same(tail.read(), [make_step(1, 1)])
    assert tail.read() == [] and tail.problems == []


def test_gaps_and_duplicates_are_reported(spec, make_step, same, write_log, tmp_path):
    path = write_log(tmp_path, 5, close=False)
    content = path.read_bytes()
    start = read_header(path).size
    size = (len(content) - start) // 5
    records = [content[start + i * size : start + (i + 1) * size] for i in range(5)]
    path.write_bytes(content[:start] + b"".join(records[i] for i in (0, 1, 1, 4)))
    tail = ExperienceTail(tmp_path, spec)
    assert same(tail.read(), [make_step(0), make_step(1), make_step(4)])
    assert [(problem.kind, problem.actor_life) for problem in tail.problems] == [("duplicate", 1), ("gap", 1)]
    assert "Step 1 " in tail.problems[0].text and "2 to 3" in tail.problems[1].text


def test_a_log_that_lost_its_end_or_is_gone_is_reported_and_the_others_are_read(
    spec, make_step, same, write_log, tmp_path
):
    path = write_log(tmp_path, 5, actor_life=1, close=False)
    gone = write_log(tmp_path, 1, actor_life=2)
    tail = ExperienceTail(tmp_path, spec)
    tail.read()
    path.write_bytes(path.read_bytes()[:-500])
    gone.unlink()
    write_log(tmp_path, 1, actor_life=3)
    resumed = ExperienceTail(tmp_path, spec, cursors=tail.cursors)
    assert same(resumed.read(), [make_step(0, 3)])
    assert resumed.read() == []
    assert {(problem.kind, problem.actor_life) for problem in resumed.problems} == {("truncated", 1), ("missing", 2)}
    assert "last 500 bytes" in next(problem.text for problem in resumed.problems if problem.kind == "truncated")


def test_the_log_of_another_robot_is_refused_with_the_difference(spec, make_step, write_log, tmp_path):
    path = write_log(tmp_path, 2)
    observation = {key: space for key, space in spec.observation.items() if key != "image"}
    other = msgspec.structs.replace(
        spec, observation=observation | {"vector": Space((6,)), "depth": Space((2,))}, control_rate_hz=50
    )
    for tail in (LogTail(path, other), ExperienceTail(tmp_path, other)):
        with pytest.raises(SpecMismatch) as caught:
            tail.read()
        text = str(caught.value)
        for part in (
            spec.hash,
            other.hash,
            "'image' exists only there",
            "'depth' exists only here",
            "'vector'",
            "control_rate_hz",
        ):
            assert part in text


def test_steps_read_before_the_log_of_another_robot_are_not_lost(spec, make_step, same, write_log, tmp_path):
    write_log(tmp_path, 2)
    other = msgspec.structs.replace(spec, task="stand")
    ExperienceWriter(tmp_path, other, 2, fsync_period_s=10).close()
    tail = ExperienceTail(tmp_path, spec)
    assert same(tail.read(), [make_step(0), make_step(1)])
    with pytest.raises(SpecMismatch, match="task is 'reach' here and 'stand' there"):
        tail.read()


def test_the_hash_does_not_depend_on_how_numbers_are_written(spec):
    assert msgspec.structs.replace(spec, control_rate_hz=20).hash == spec.hash
    assert msgspec.structs.replace(spec, control_rate_hz=21).hash != spec.hash


@pytest.mark.parametrize("content", [b"not an experience log at all, but text", b"\x00" * 4096])
def test_a_file_that_is_no_log_is_reported_and_the_others_are_read(spec, make_step, same, write_log, tmp_path, content):
    log_path(tmp_path, 1).write_bytes(content)
    write_log(tmp_path, 1, actor_life=2)
    tail = ExperienceTail(tmp_path, spec)
    assert same(tail.read(), [make_step(0, 2)])
    assert tail.read() == []
    assert [(problem.kind, problem.actor_life) for problem in tail.problems] == [("damage", 1)]


def test_a_log_under_another_life_s_name_is_reported(spec, write_log, tmp_path):
    path = write_log(tmp_path, 2, actor_life=1)
    path.rename(log_path(tmp_path, 2))
    tail = ExperienceTail(tmp_path, spec)
    assert tail.read() == []
    assert "life 1" in tail.problems[0].text


def test_a_directory_that_does_not_exist_yet_has_no_steps(spec, tmp_path):
    tail = ExperienceTail(tmp_path / "experience", spec)
    assert tail.read() == [] and tail.cursors == {}
