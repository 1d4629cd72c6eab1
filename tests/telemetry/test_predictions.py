import msgspec
import numpy as np
import pytest

from daydreamer.instrument.trust import trust_of
from daydreamer.presentation import Occurrence
from daydreamer.report import style
from daydreamer.spec import Space
from daydreamer.telemetry.predictions import PredictionErrors, error_ratio, judged_keys
from daydreamer.telemetry.quantities import occurs
from daydreamer.telemetry.session_telemetry import TelemetryReader

AT_REST, WALKING = 1e-3, 0.5


def errors(*unchanged, error=0.1):
    """A point a second, with an error of `error` of both observations."""
    guess = np.array(unchanged)
    of = {key: np.full(len(guess), error) for key in ("joint_position", "up")}
    return PredictionErrors(np.arange(len(guess), dtype=float), of, {"joint_position": guess, "up": guess})


def test_what_is_predicted_twice_as_well_makes_good_for_what_is_predicted_half_as_well():
    assert error_ratio({"a": 0.5, "b": 2.0}, {"a": 1.0, "b": 1.0}) == pytest.approx(1.0)
    assert error_ratio({"a": 0.5, "still": 9.0}, {"a": 1.0, "still": 0.0}) == pytest.approx(0.5)
    assert error_ratio({"still": 9.0}, {"still": 0.0}) is None and errors().ratio is None


def test_a_moment_at_rest_does_not_make_a_model_useless():
    assert errors(WALKING, AT_REST, WALKING, WALKING).ratio == pytest.approx(0.1 / (WALKING * np.sqrt(0.75)), rel=1e-3)
    assert errors(AT_REST).ratio == pytest.approx(100.0)
    np.testing.assert_allclose(errors(WALKING, WALKING, AT_REST).running(1), [0.2, 0.2, 100.0])
    assert errors(AT_REST, WALKING, WALKING).last(2.0).ratio == pytest.approx(0.2)


def test_session_and_instrument_say_the_same_of_the_same_dream(record_session, make_dream):
    recorder = record_session()
    spec, random = recorder.spec, np.random.default_rng(0)
    truth = {key: np.zeros((70, space.size), np.float32) for key, space in spec.observation.items()}
    keys = (*truth, "reward")
    error, unchanged = ({key: random.uniform(0.1, 1.0, 50) for key in keys} for _ in range(2))
    fields = dict(prediction={key: values[20:] for key, values in truth.items()} | {"reward": np.zeros(50)})
    dream = make_dream(truth | {"reward": np.zeros(70)}, 20, error=error, unchanged_error=unchanged, **fields)
    recorder.log(60.0)
    scalars = {tag.replace("/1s", "/1.0s"): value for tag, value in dream.scalars().items()}
    recorder.write_metrics(60.0, {tag: lambda share, value=value: value for tag, value in scalars.items()})
    told = TelemetryReader(recorder.session).read().predictions.ratio
    assert told == pytest.approx(trust_of(dream, recorder.session).ratio[1.0], rel=1e-5)


def test_an_image_that_is_not_drawn_is_no_part_of_it(record_session):
    recorder = record_session()
    seen = recorder.spec.observation | {"camera": Space((8, 8, 3), "uint8")}
    spec = msgspec.structs.replace(recorder.spec, observation=seen)
    for image_loss, judged in (("pixels", True), ("none", False)):
        model = msgspec.structs.replace(recorder.session.config.model, image_loss=image_loss)
        config = msgspec.structs.replace(recorder.session.config, model=model)
        recorder.session.record = msgspec.structs.replace(recorder.session.record, config=config, robot_spec=spec)
        assert ("camera" in judged_keys(recorder.session)) is judged


def test_what_is_not_known_in_the_middle_of_a_fall_does_not_hide_it():
    fell = Occurrence(did="fell", quantity="info/up_z", start=0.5, to=0.0)
    assert occurs(fell, np.array([1.0, 0.3, np.nan, -0.5, np.nan, -0.6])).tolist() == [False] * 3 + [True] + [False] * 2
    np.testing.assert_allclose(
        style.running_means(np.array([1.0, np.nan, 3.0, np.nan, np.nan]), 2), [1, 1, 3, 3, np.nan]
    )
