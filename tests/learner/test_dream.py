"""Open-loop predictions: of the right steps, from the right actions and nothing else."""

import jax
import numpy as np
import pytest

from daydreamer.config import resolve
from daydreamer.experience.step import Step
from daydreamer.learner.dream import OpenLoopPredictor, newest_windows
from daydreamer.models.world_model import WorldModel
from daydreamer.replay import Replay
from daydreamer.spec import RobotSpec, Space

RATE_HZ = 20.0
EPISODE_STEPS = 25
STEPS = 500
CONFIG = resolve(
    {
        "model": {
            "deterministic": 32,
            "hidden": 32,
            "stochastic": 4,
            "classes": 4,
            "units": 32,
        },
        "learner": {
            "dream_context_s": 0.25,
            "dream_horizon_s": 0.5,
        },
    }
)


def toy_spec(camera):
    observation = {"x": Space((2,))} | ({"camera": Space((64, 64, 3), "uint8", 0, 255)} if camera else {})
    return RobotSpec("toy", "toy", RATE_HZ, EPISODE_STEPS, ("a",), (), observation, Space((1,), low=-1.0, high=1.0), ())


SPEC = toy_spec(camera=False)


def make_replay(spec, count=STEPS, changed_step=None, field="action"):
    """Everything at random; `field` of one step is another in the replay with `changed_step`."""
    random = np.random.default_rng(0)
    steps = []
    for n in range(count):
        observation = {"x": random.normal(size=2).astype(np.float32)}
        if "camera" in spec.observation:
            observation["camera"] = random.integers(0, 256, (64, 64, 3), np.uint8)
        steps.append(
            Step(
                actor_life=1,
                sequence=n,
                monotonic_ns=n,
                wall_ns=n,
                observation=observation,
                action_requested=random.uniform(-1, 1, 1).astype(np.float32),
                action_sent=np.zeros(1, np.float32),
                reward=random.normal(),
                reward_terms={},
                info={},
                is_first=n % EPISODE_STEPS == 0,
                is_last=n % EPISODE_STEPS == EPISODE_STEPS - 1,
                is_terminal=False,
                policy_version=0,
                intervention=False,
                safety_flags=0,
                latency_s=0.0,
            )
        )
    if changed_step is not None:
        step = steps[changed_step]
        (step.observation["x"] if field == "observation" else step.action_requested)[:] = 0.77
    replay = Replay(spec, 4096)
    replay.append(steps)
    return replay


@pytest.mark.parametrize(
    "firsts, expected",
    [
        ([], [16, 12, 8]),
        ([16], [16, 12, 8]),  # an episode may start with the window
        ([17], [13, 9, 5]),
        ([17, 15], [11, 7, 3]),
        (range(20), []),
    ],
)
def test_windows_are_the_newest_without_an_episode_start_inside(firsts, expected):
    is_first = np.isin(np.arange(20), list(firsts))
    assert newest_windows(is_first, 4, 3) == expected
    assert newest_windows(is_first[:3], 4, 3) == []


@pytest.fixture(scope="module")
def predict():
    """Predicts with fresh networks; one compilation for all tests."""
    model = WorldModel(SPEC, CONFIG.model)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    predictor = OpenLoopPredictor(model, CONFIG.learner)
    return lambda replay: predictor.predict(parameters, replay, 7)


def test_the_newest_whole_sequence_is_predicted(predict):
    dream = predict(make_replay(SPEC))
    # The newest 15 steps, none of which begins an episode.
    assert (dream.actor_life, dream.first_sequence, dream.context_steps, dream.horizon_steps) == (1, 485, 5, 10)
    assert (dream.env_steps, dream.gradient_step, dream.windows) == (STEPS, 7, 4)
    assert dream.prediction["x"].shape == (10, 2) and dream.prediction["reward"].shape == (10,)
    assert predict(make_replay(SPEC, 14)) is None


def test_a_prediction_follows_from_the_context_and_the_actions_before_it_alone(predict):
    before = predict(make_replay(SPEC)).prediction["x"]
    # Step 492 is the eighth of the sequence: its action leads to the fourth predicted observation.
    after = predict(make_replay(SPEC, changed_step=492)).prediction["x"]
    np.testing.assert_array_equal(after[:3], before[:3])
    assert (after[3:] != before[3:]).all()
    later_truth = predict(make_replay(SPEC, changed_step=490, field="observation"))
    np.testing.assert_array_equal(later_truth.prediction["x"], before)
    context = predict(make_replay(SPEC, changed_step=489, field="observation"))
    assert (context.prediction["x"] != before).all()


def test_the_error_is_the_distance_to_what_happened(predict):
    dream = predict(make_replay(SPEC, 15))
    assert dream.windows == 1
    after = dream.truth["x"][5:]
    by_hand = np.sqrt(np.square(dream.prediction["x"] - after).mean(1))
    np.testing.assert_allclose(dream.error["x"], by_hand, rtol=1e-4)
    unchanged = np.sqrt(np.square(dream.truth["x"][4] - after).mean(1))
    np.testing.assert_allclose(dream.unchanged_error["x"], unchanged, rtol=1e-4)
    np.testing.assert_allclose(
        dream.error["reward"], np.abs(dream.prediction["reward"] - dream.truth["reward"][5:]), rtol=1e-4
    )


def test_images_are_predicted_as_images():
    spec = toy_spec(camera=True)
    model = WorldModel(spec, CONFIG.model)
    parameters = jax.jit(model.initialize)(jax.random.key(0))
    dream = OpenLoopPredictor(model, CONFIG.learner).predict(parameters, make_replay(spec, 15), 0)
    assert dream.prediction["camera"].shape == (10, 64, 64, 3) and dream.prediction["camera"].dtype == np.uint8
    difference = dream.prediction["camera"].astype(np.float32) - dream.truth["camera"][5:]
    by_hand = np.sqrt(np.square(difference).mean((1, 2, 3))) / 255
    np.testing.assert_allclose(dream.error["camera"], by_hand, atol=0.002)
