"""TensorBoard files that are not what was written."""

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from daydreamer.telemetry import scalars
from daydreamer.telemetry.evidence import EvidenceReader
from daydreamer.telemetry.scalars import ScalarReader


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


def test_tags_that_are_no_horizons_are_passed_over(record_session):
    recorder = record_session()
    recorder.log(5.0)
    recorder.write_metrics(2.0, {"dream/joint_position/soons": lambda share: 1.0, "dream/x/": lambda share: 1.0})
    assert len(EvidenceReader(recorder.session).read().prediction_ratio)
