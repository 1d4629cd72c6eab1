import numpy as np
import pytest

from daydreamer.telemetry.dreams import DreamWriter

CONTEXT, HORIZON = 20, 50


@pytest.fixture
def record_dreams(make_dream):
    """`record_dreams(recorder, ratios)`: dreams a minute apart.

    The error of each is `ratio` of that of 'nothing changes' for every observation and horizon.
    """

    def make(spec, env_steps, ratio):
        times_s = np.arange(CONTEXT + HORIZON) / spec.control_rate_hz
        truth = {
            key: np.sin(times_s[:, None] + np.arange(space.size)).astype(np.float32)
            for key, space in spec.observation.items()
        } | {"reward": np.sin(times_s).astype(np.float32)}
        unchanged = {key: np.linspace(0.1, 0.5, HORIZON, dtype=np.float32) for key in truth}
        return make_dream(
            truth,
            CONTEXT,
            gradient_step=env_steps // 4,
            env_steps=env_steps,
            first_sequence=env_steps - CONTEXT - HORIZON,
            prediction={key: values[CONTEXT:] * (1 - ratio) for key, values in truth.items()},
            error={key: ratio * values for key, values in unchanged.items()},
            unchanged_error=unchanged,
        )

    def record(recorder, ratios):
        writer = DreamWriter(recorder.session.dreams)
        for minute, ratio in enumerate(ratios, start=1):
            writer.write(make(recorder.spec, 1200 * minute, ratio))

    return record
