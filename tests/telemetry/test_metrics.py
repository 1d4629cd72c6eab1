"""Curves survive a disk that is full for a while, and nobody waits for it."""

import resource

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daydreamer.telemetry import metrics as metrics_module
from daydreamer.telemetry.metrics import MetricsWriter


def points(directory, tag):
    accumulator = EventAccumulator(str(directory))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_points_are_read_back(tmp_path):
    writer = MetricsWriter(tmp_path / "actor")
    for step in range(3):
        writer.add_scalar("reward", step / 2, step)
    writer.close()
    assert points(tmp_path / "actor", "reward") == [(0, 0.0), (1, 0.5), (2, 1.0)]


def test_a_full_disk_costs_points_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics_module, "FLUSH_PERIOD_S", 0.0)
    writer = MetricsWriter(tmp_path)
    writer.add_scalar("reward", 1.0, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        for _ in range(100):
            writer.add_scalar("reward", 2.0, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.add_scalar("reward", 3.0, 3)
    writer.close()
    assert points(tmp_path, "reward")[0] == (1, 1.0) and points(tmp_path, "reward")[-1] == (3, 3.0)
