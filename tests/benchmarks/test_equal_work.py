"""By what the benchmark of equal work judges a world model."""

from pathlib import Path

import numpy as np
import pytest

from daydreamer.errors import UserError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def pay(step):
    step.reward = float(np.sin(step.sequence))


@pytest.fixture
def read(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from equal_work import read_recording

    return read_recording


@pytest.fixture
def recording(read, record_session):
    recorder = record_session()
    recorder.log(60.0, pay)
    return read(recorder.session.path)


def last_seen(recording):
    rows, context = recording.rows(), recording.context
    fields = {key: f"observation/{key}" for key in recording.learned.spec.observation} | {"reward": "reward"}
    steps = recording.window.shape[1] - context
    return {key: np.repeat(rows[field][:, context - 1, None], steps, 1) for key, field in fields.items()}


def test_nothing_that_is_learned_from_is_held_out(recording):
    learned, held_out = (part.rows["sequence"] for part in (recording.learned, recording.held_out))
    assert learned[-1] + 1 == held_out[0] and len(learned) == 4 * len(held_out)
    assert recording.window.max() < len(held_out)
    begun = recording.held_out.rows["is_first"][recording.window]
    assert begun[0, 0] and not begun[:, 1:].any()


def test_a_model_that_knows_the_last_measurement_alone_has_an_error_of_one(recording):
    errors = recording.errors(last_seen(recording))
    assert errors["observation"] == pytest.approx([1.0] * 3) and errors["reward"] == pytest.approx([1.0] * 3)


def test_a_model_that_is_half_as_wrong_has_half_of_that_error(recording):
    unchanged, rows = last_seen(recording), recording.rows()
    after = {
        key: rows["reward" if key == "reward" else f"observation/{key}"][:, recording.context :] for key in unchanged
    }
    errors = recording.errors({key: (unchanged[key] + after[key]) / 2 for key in after})
    assert errors["observation"] == pytest.approx([0.5] * 3) and errors["reward"] == pytest.approx([0.5] * 3)


def test_what_never_changes_is_not_judged(recording):
    rows = recording.learned.rows["observation/joint_target"]
    rows[:] = rows[0]
    predicted = last_seen(recording)
    predicted["joint_target"] = predicted["joint_target"] + 100.0
    assert recording.errors(predicted)["observation"] == pytest.approx([1.0] * 3)


def test_a_log_without_rewards_is_refused(read, record_session):
    recorder = record_session()
    recorder.log(60.0)
    with pytest.raises(UserError, match="reward never changes.*choose another session"):
        read(recorder.session.path)
