"""Files of dreams: read back as they were written, images pruned, damage named."""

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.robots.registry import make_task
from daydreamer.telemetry.dreams import KEPT_IMAGES, KEPT_IMAGES_EVERY, DreamWriter, list_dreams, read_dream

CONTEXT, HORIZON = 3, 5


@pytest.fixture
def random_dream(make_dream):
    """`random_dream(seed=0, camera=False)`."""

    def make(seed=0, camera=False):
        random = np.random.default_rng(seed)

        def values(steps):
            result = {"x": random.normal(size=(steps, 2)).astype(np.float32), "reward": np.zeros(steps, np.float32)}
            return result | ({"camera": random.integers(0, 255, (steps, 4, 4, 3), np.uint8)} if camera else {})

        errors = {"x": np.arange(HORIZON, dtype=np.float32), "reward": np.ones(HORIZON, np.float32)}
        return make_dream(
            values(CONTEXT + HORIZON),
            CONTEXT,
            gradient_step=10 + seed,
            actor_life=2,
            first_sequence=7,
            prediction=values(HORIZON),
            action=random.normal(size=(CONTEXT + HORIZON, 2)).astype(np.float32),
            error=errors,
            unchanged_error={key: 2 * value for key, value in errors.items()},
        )

    return make


def assert_same(left, right):
    for name in ("truth", "prediction", "error", "unchanged_error"):
        assert getattr(left, name).keys() == getattr(right, name).keys()
        for key, value in getattr(left, name).items():
            np.testing.assert_array_equal(value, getattr(right, name)[key])
    np.testing.assert_array_equal(left.action, right.action)
    assert (left.gradient_step, left.actor_life, left.first_sequence, left.created_wall_s) == (
        right.gradient_step,
        right.actor_life,
        right.first_sequence,
        right.created_wall_s,
    )


def test_what_is_written_is_read_and_numbering_goes_on_after_a_restart(tmp_path, random_dream):
    directory = tmp_path / "dreams"
    dreams = [random_dream(seed) for seed in range(3)]
    writer = DreamWriter(directory)
    for dream in dreams[:2]:
        writer.write(dream)
    assert DreamWriter(directory).write(dreams[2]).name == "000003.safetensors"
    assert [path.name for path in list_dreams(directory)] == [f"00000{n}.safetensors" for n in (1, 2, 3)]
    for dream, path in zip(dreams, list_dreams(directory), strict=True):
        assert_same(read_dream(path), dream)
    assert list_dreams(tmp_path / "none") == []


def test_errors_are_named_by_horizon(random_dream):
    scalars = random_dream().scalars()
    assert scalars["dream/x/0.05s"] == 0.0 and scalars["dream/x/0.25s"] == 4.0
    assert scalars["dream_unchanged/x/0.25s"] == 8.0 and scalars["dream/reward/0.05s"] == 1.0
    assert len(scalars) == 8  # first and last step: 0.5 s lies beyond the five steps


def test_images_of_most_old_dreams_go_and_their_vectors_stay(tmp_path, random_dream):
    writer = DreamWriter(tmp_path / "dreams")
    count = KEPT_IMAGES_EVERY + KEPT_IMAGES + 2
    for _ in range(count):
        writer.write(random_dream(camera=True))
    with_images = [
        n for n, path in enumerate(list_dreams(tmp_path / "dreams"), 1) if "camera" in read_dream(path).truth
    ]
    assert with_images == [KEPT_IMAGES_EVERY, *range(count - KEPT_IMAGES + 1, count + 1)]


def test_damage_is_named(tmp_path, random_dream):
    path = DreamWriter(tmp_path / "dreams").write(random_dream())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"000001\.safetensors is damaged.*delete it"):
        read_dream(path)


@pytest.mark.parametrize(
    "change",
    [
        {"gradient_step": "[" * 100_000},
        {"gradient_step": '"many"'},
        {"gradient_step": "true"},
        {"context_steps": "-3"},
        {"context_steps": "300"},
        {"control_rate_hz": "0"},
        {"control_rate_hz": "1e999"},
        {"actor_life": None},
        {"unknown": "1"},
        {"format_version": None},
        {"created_wall_s": "{}"},
        {"windows": "7"},  # sound by itself; only the checksum knows
    ],
    ids=lambda change: f"{next(iter(change))}={str(next(iter(change.values())))[:9]}",
)
def test_wrong_metadata_are_damage(tmp_path, random_dream, change):
    path = DreamWriter(tmp_path / "dreams").write(random_dream())
    with safetensors.safe_open(path, framework="numpy") as file:
        header = file.metadata() | change
    tensors = safetensors.numpy.load_file(path)
    header = {name: value for name, value in header.items() if value is not None}
    safetensors.numpy.save_file(tensors, path, metadata=header)
    with pytest.raises(UserError, match=r"000001\.safetensors is damaged"):
        read_dream(path)


@pytest.mark.parametrize("change", ["rows", "missing", "group", "no action", "scalar", "other"])
def test_wrong_arrays_are_damage(tmp_path, random_dream, change):
    path = DreamWriter(tmp_path / "dreams").write(random_dream())
    with safetensors.safe_open(path, framework="numpy") as file:
        header = {name: value for name, value in file.metadata().items() if name != "sha256"}
    tensors = safetensors.numpy.load_file(path)
    if change == "rows":
        tensors["prediction/x"] = tensors["prediction/x"][:-1]
    elif change == "missing":
        del tensors["truth/reward"]
    elif change == "group":
        tensors["nonsense/x"] = tensors["truth/x"]
    elif change == "no action":
        del tensors["action"]
    elif change == "scalar":
        tensors["error/x"] = np.array(1.0, np.float32)
    else:
        tensors["error/y"] = tensors["error/x"]
    safetensors.numpy.save_file(tensors, path, metadata=header)
    with pytest.raises(UserError, match=r"000001\.safetensors is damaged"):
        read_dream(path)


@pytest.mark.parametrize("missing", [None, "reward", "joint_position"])
def test_a_dream_of_a_part_of_the_robot_is_damage(tmp_path, make_dream, missing):
    spec = make_task(SessionConfig()).spec
    truth = {key: np.zeros((CONTEXT + HORIZON, *space.shape), np.float32) for key, space in spec.observation.items()}
    truth["reward"] = np.zeros(CONTEXT + HORIZON, np.float32)
    dream = make_dream(truth, CONTEXT)
    if missing:
        for arrays in (dream.error, dream.unchanged_error, *([] if missing == "reward" else [dream.truth])):
            del arrays[missing]
        if missing != "reward":
            del dream.prediction[missing]
    path = DreamWriter(tmp_path / "dreams").write(dream)
    if missing is None:
        assert read_dream(path, spec).error.keys() == truth.keys()
        return
    with pytest.raises(UserError, match=f"damaged .*{missing} is missing"):
        read_dream(path, spec)


def test_a_prediction_of_another_type_is_none_of_this_robot(make_dream):
    spec = make_task(SessionConfig()).spec
    truth = {key: np.zeros((9, *space.shape), space.dtype) for key, space in spec.observation.items()}
    truth["reward"] = np.zeros(9, np.float32)
    make_dream(truth, 3).check_spec(spec)
    in_bytes = {key: values[3:] for key, values in truth.items()} | {"joint_position": np.zeros((6, 12), np.uint8)}
    with pytest.raises(ValueError, match="prediction of joint_position is of type uint8"):
        make_dream(truth, 3, prediction=in_bytes).check_spec(spec)
