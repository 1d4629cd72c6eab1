"""TensorBoard files that are not what was written."""

import os
import tracemalloc

import numpy as np
import pytest
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import RecordWriter

from daydreamer.telemetry import scalars
from daydreamer.telemetry.scalars import ScalarReader
from daydreamer.telemetry.session_telemetry import TelemetryReader


@pytest.fixture
def path(tmp_path):
    with SummaryWriter(str(tmp_path / "metrics" / "learner")) as writer:
        for step in range(50):
            writer.add_scalar("loss" if step % 3 else "a_longer_tag/of/another_length", 1.0 / (step + 1), step)
    (path,) = (tmp_path / "metrics" / "learner").iterdir()
    return path


def read(path):
    reader = ScalarReader(path.parents[1])
    return reader.read(), reader.problems


def test_a_sound_file_is_read(path):
    curves, problems = read(path)
    assert not problems and sum(len(each.value) for each in curves.values()) == 50
    np.testing.assert_allclose(curves["loss"].value[:2], [1 / 2, 1 / 3])


def test_every_flipped_bit_is_noticed(path):
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        curves, problems = read(path)
        # What looks like the beginning of a longer record may still be written to the end.
        assert problems or sum(len(each.value) for each in curves.values()) < 50, position


def test_what_is_read_has_a_bound(path, monkeypatch):
    monkeypatch.setattr(scalars, "MOST_BYTES", 1000)
    curves, problems = read(path)
    assert "more than" in problems[path] and 0 < sum(len(each.value) for each in curves.values()) < 50


def test_what_stands_before_damage_is_kept(path):
    sound, _ = read(path)
    whole = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\xff" * 100)  # a length that none has
    curves, problems = read(path)
    assert f"damaged at byte {whole};" in problems[path]
    for tag, curve in sound.items():
        np.testing.assert_array_equal(curves[tag].value, curve.value)


def test_it_makes_no_difference_where_blocks_end(path, monkeypatch):
    sound, _ = read(path)
    for block_bytes in (100, 101, 257, 1000):
        monkeypatch.setattr(scalars, "_BLOCK_BYTES", block_bytes)
        curves, problems = read(path)
        assert not problems and curves.keys() == sound.keys()
        for tag, curve in sound.items():
            np.testing.assert_array_equal(curves[tag].step, curve.step)


def test_a_hole_takes_no_more_memory_than_a_block(path):
    """Zeros look like millions of empty records."""
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        curves, problems = read(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "damaged" in problems[path] and sum(len(each.value) for each in curves.values()) == 50
    assert peak_bytes < 16 * scalars._BLOCK_BYTES


def dense(path, points, tag):
    """Adds a record that has as many points as there is room for, each of the tag that `tag` makes of its number."""
    event = Event(wall_time=1.0)
    for number in range(points):
        event.summary.value.add(tag=tag(number), simple_value=1.0)
    writer = RecordWriter(str(path))
    writer.write(event.SerializeToString())
    writer.close()


def test_points_and_curves_have_a_bound_however_few_bytes_they_take(path, monkeypatch):
    monkeypatch.setattr(scalars, "MOST_POINTS", 300)
    dense(path.with_name("events.out.tfevents.dense"), 400, lambda number: "")
    curves, problems = read(path)
    assert sum(len(each.value) for each in curves.values()) == 300 and "more than 300 points" in str(problems)
    monkeypatch.setattr(scalars, "MOST_CURVES", 20)
    dense(path.with_name("events.out.tfevents.dense"), 40, str)
    curves, problems = read(path)
    assert len(curves) == 20 and "20 curves" in str(problems)


def test_tags_that_are_no_horizons_are_passed_over(record_session):
    recorder = record_session()
    recorder.log(5.0)
    recorder.write_metrics(2.0, {"dream/joint_position/soons": lambda share: 1.0, "dream/x/": lambda share: 1.0})
    assert len(TelemetryReader(recorder.session).read().predictions)
