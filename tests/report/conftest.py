import numpy as np
import pytest

from daydreamer.telemetry.dreams import Dream, DreamWriter

RANDOM = np.random.default_rng(0)


def make_dream(spec, env_steps, ratio):
    """A dream whose error is `ratio` of that of 'nothing changes' for every observation and horizon."""
    context, horizon = 20, 50
    times_s = np.arange(context + horizon) / spec.control_rate_hz
    truth = {
        key: np.sin(times_s[:, None] + np.arange(space.size)).astype(np.float32)
        for key, space in spec.observation.items()
    } | {"reward": np.sin(times_s).astype(np.float32)}
    unchanged = {key: np.linspace(0.1, 0.5, horizon, dtype=np.float32) for key in truth}
    return Dream(
        gradient_step=env_steps // 4,
        env_steps=env_steps,
        actor_life=1,
        first_sequence=env_steps - context - horizon,
        control_rate_hz=spec.control_rate_hz,
        context_steps=context,
        windows=1,
        truth=truth,
        prediction={key: values[context:] * (1 - ratio) for key, values in truth.items()},
        action=np.zeros((context + horizon, 12), np.float32),
        error={key: ratio * values for key, values in unchanged.items()},
        unchanged_error=unchanged,
    )


@pytest.fixture
def record_dreams():
    """`record_dreams(recorder, ratios)`: dreams a minute apart, each with its error ratio."""

    def record(recorder, ratios):
        writer = DreamWriter(recorder.session.dreams)
        for minute, ratio in enumerate(ratios, start=1):
            writer.write(make_dream(recorder.spec, 1200 * minute, ratio))

    return record
