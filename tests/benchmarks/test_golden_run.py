"""What the golden run compares, it sees."""

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import golden_run

from daydreamer.policy.snapshot import SnapshotMetadata, latest_snapshot, write_snapshot


def raise_reward(step):
    step.reward += 1e-6 * (step.sequence == 30)


@pytest.fixture
def record(record_session, tmp_path):
    def record(name, change=lambda step: None, reward=None):
        recorder = record_session(tmp_path / name)
        recorder.log(2.0, change)
        recorder.write_metrics(1.0, {} if reward is None else {"actor/reward": lambda share: reward})
        metadata = SnapshotMetadata(version=1, gradient_step=1, env_steps=1, robot_spec=recorder.spec, model={})
        write_snapshot(recorder.session.policy, {"actor/w": np.ones(3, np.float32)}, metadata)
        return recorder.session

    return record


def test_what_is_equal_is_equal_and_what_differs_is_named(record):
    before, after = record("before"), record("after")
    assert list(golden_run.differences(before.path, after.path)) == []
    other = record("other", raise_reward, reward=3.0)
    path = latest_snapshot(other.policy)
    tensors = load_file(path)
    tensors["actor/w"][1] = np.nextafter(np.float32(1.0), np.float32(2.0))
    save_file(tensors, path)
    found = list(golden_run.differences(before.path, other.path))
    assert found == ["step 30: reward", "scalar actor/reward", "the last policy actor/w"]
