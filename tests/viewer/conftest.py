"""A recorded session with everything that a dashboard shows, and a real process that serves it."""

import os
import subprocess
import sys

import numpy as np
import pytest

from daydreamer.telemetry.dreams import DreamWriter, list_dreams

SECONDS = 120.0
STEPS = 2400


@pytest.fixture
def recorded(record_session, make_dream):
    """Two minutes of an A1 whose reward rises from 5 to 12, with a dream after a damaged one, metrics and events."""
    recorder = record_session()

    def rising(step):
        step.reward = 5.0 + 7.0 * step.sequence / STEPS

    recorder.log(SECONDS, rising)
    recorder.write_metrics(SECONDS / 60)
    recorder.write_status()
    recorder.events.record("fault", "actor", error="a cable came off")
    truth = {key: np.zeros((70, *space.shape), np.float32) for key, space in recorder.spec.observation.items()}
    truth |= {"reward": np.zeros(70, np.float32)}
    dreams = DreamWriter(recorder.session.dreams)
    for _ in range(2):
        dreams.write(make_dream(truth, 20, env_steps=STEPS, first_sequence=2000))
    damaged = list_dreams(recorder.session.dreams)[0]
    damaged.write_bytes(damaged.read_bytes()[:1000])
    return recorder.session


@pytest.fixture
def watch():
    """`watch(session, *arguments)`: the process of `daydreamer watch`, killed at the end."""
    processes = []

    def start(session, *arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "daydreamer.cli.main", "watch", str(session.path), *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def url_of():
    """`url_of(process)`: the first address that it prints."""

    def read(process):
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Dashboard: "):
                return line.split()[1]
        raise AssertionError(f"no dashboard: {lines}")

    return read
