"""Policy snapshots: complete or absent, of this robot or refused."""

import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import msgspec
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.policy import snapshot
from daydreamer.policy.snapshot import (
    CorruptSnapshot,
    SnapshotMetadata,
    latest_snapshot,
    next_snapshot_version,
    prune_snapshots,
    published_snapshots,
    read_snapshot,
    read_snapshot_metadata,
    snapshot_path,
    write_snapshot,
)
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec(
    robot="test_car",
    task="drive",
    control_rate_hz=10.0,
    episode_steps=100,
    joint_names=(),
    foot_names=(),
    observation={"vector": Space((4,)), "image": Space((8, 8, 3), "uint8")},
    action=Space((2,), low=-1.0, high=1.0),
    reward_terms=("distance",),
)
PARAMETERS = {
    "actor/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "actor/bias": np.zeros(4, np.float32),
    "encoder/scale": np.asarray(0.5, np.float32),
    "encoder/steps": np.asarray([7], np.int32),
    "encoder/half": np.ones((2, 2), np.float16),
}


def metadata(version=1, env_steps=100):
    return SnapshotMetadata(
        version=version, gradient_step=10 * version, env_steps=env_steps, robot_spec=SPEC, model={"deterministic": 256}
    )


def assert_parameters(found, expected=PARAMETERS):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp("policy"), PARAMETERS, metadata()).read_bytes()


def test_what_was_written_is_read(tmp_path):
    written = metadata(3)
    path = write_snapshot(tmp_path, PARAMETERS, written)
    assert path == latest_snapshot(tmp_path) == tmp_path / "000003.safetensors"
    parameters, read = read_snapshot(path, SPEC)
    assert_parameters(parameters)
    assert read == written and read.spec_hash == SPEC.hash


def test_the_file_is_ordinary_safetensors_that_says_what_it_is(tmp_path):
    path = write_snapshot(tmp_path, PARAMETERS, metadata())
    assert_parameters(safetensors.numpy.load_file(path))
    with safetensors.safe_open(path, framework="numpy") as file:
        header = file.metadata()
    assert header["version"] == "1" and SPEC.hash in header["spec_hash"] and "deterministic" in header["model"]


def test_any_truncation_is_refused(content, tmp_path):
    path = tmp_path / "000001.safetensors"
    for length in range(0, len(content), 37):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptSnapshot, match="000001.safetensors"):
            read_snapshot(path, SPEC)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_refused_or_without_effect(content, data, tmp_path_factory):
    position = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("policy") / "000001.safetensors"
    path.write_bytes(damaged)
    try:
        parameters, _ = read_snapshot(path, SPEC)
    except CorruptSnapshot:
        return
    # One kind of white space between the entries of the header instead of another.
    assert content[position : position + 1].isspace() and bytes(damaged[position : position + 1]).isspace()
    assert_parameters(parameters)


def test_every_flipped_bit_of_the_tensors_is_refused(content, tmp_path):
    path = tmp_path / "000001.safetensors"
    start = 8 + int.from_bytes(content[:8], "little")
    for position in range(start, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(CorruptSnapshot):
            read_snapshot(path, SPEC)


def test_the_policy_of_another_robot_is_refused_with_the_difference(tmp_path):
    path = write_snapshot(tmp_path, PARAMETERS, metadata())
    other = msgspec.structs.replace(SPEC, observation={"vector": Space((4,))})
    with pytest.raises(SpecMismatch) as caught:
        read_snapshot(path, other)
    for part in (SPEC.hash, other.hash, "'image' exists only there"):
        assert part in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_never_published(tmp_path, value):
    broken = PARAMETERS | {"actor/bias": np.asarray([0, value], np.float32)}
    with pytest.raises(ValueError, match="actor/bias"):
        write_snapshot(tmp_path, broken, metadata())
    assert latest_snapshot(tmp_path) is None and not list(tmp_path.iterdir())


def test_types_that_could_not_be_read_back_are_never_published(tmp_path):
    with pytest.raises(ValueError, match="kernel.*bfloat16"):
        write_snapshot(tmp_path, {"kernel": np.ones(2, ml_dtypes.bfloat16)}, metadata())
    assert latest_snapshot(tmp_path) is None


def test_a_version_is_published_once_and_versions_go_on_after_a_restart(tmp_path):
    assert next_snapshot_version(tmp_path / "policy") == 1
    write_snapshot(tmp_path, PARAMETERS, metadata(1))
    with pytest.raises(ValueError, match="already"):
        write_snapshot(tmp_path, PARAMETERS, metadata(1))
    write_snapshot(tmp_path, PARAMETERS, metadata(41))
    assert next_snapshot_version(tmp_path) == 42


def test_pruning_keeps_the_newest_and_the_latest(tmp_path):
    for version in range(1, 6):
        write_snapshot(tmp_path, PARAMETERS, metadata(version))
    removed = prune_snapshots(tmp_path, keep=2)
    assert [path.name for path in removed] == ["000001.safetensors", "000002.safetensors", "000003.safetensors"]
    assert latest_snapshot(tmp_path).name == "000005.safetensors"
    assert prune_snapshots(tmp_path, keep=0) == [tmp_path / "000004.safetensors"]
    assert_parameters(read_snapshot(latest_snapshot(tmp_path), SPEC)[0])


def live(directory, versions, steps_each=50, **options):
    """Publishes and prunes as a learner does; the versions that are left."""
    for version in versions:
        write_snapshot(directory, PARAMETERS, metadata(version, steps_each * version))
        prune_snapshots(directory, 3, **options)
    return sorted(published_snapshots(directory))


def test_pruning_keeps_the_last_of_each_stretch_as_well(tmp_path):
    left = live(tmp_path, range(1, 22), keep_every_steps=300)
    # At 300, 600, 900 steps a stretch begins: versions 5, 11, 17 were the last before.
    assert left == [5, 11, 17, 19, 20, 21]
    # A learner that goes on with another setting, or that of an earlier version, which keeps the newest alone.
    assert [path.stem for path in prune_snapshots(tmp_path, 3)] == ["000005", "000011", "000017"]


def test_of_a_long_session_fewer_are_kept_and_they_are_spread_over_it(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "MOST_KEPT", 4)
    left = live(tmp_path, range(1, 41), steps_each=10, keep_every_steps=20)
    # Stretches of 160 steps: of 20 they would be 21.
    assert left == [15, 31, 38, 39, 40]
    size = snapshot_path(tmp_path, 40).stat().st_size
    monkeypatch.setattr(snapshot, "MOST_KEPT_BYTES", size)
    assert prune_snapshots(tmp_path, 1, keep_every_steps=20) and sorted(published_snapshots(tmp_path)) == [40]


def test_pruning_passes_over_what_is_damaged(tmp_path):
    live(tmp_path, range(1, 10), keep_every_steps=100)
    assert sorted(published_snapshots(tmp_path)) == [1, 3, 5, 7, 8, 9]
    snapshot_path(tmp_path, 3).write_bytes(b"\xff" * 100)
    snapshot._env_steps.cache_clear()  # as in another life of the learner
    assert prune_snapshots(tmp_path, 3, keep_every_steps=100) == [snapshot_path(tmp_path, 3)]


def test_the_header_alone_says_what_a_snapshot_is(tmp_path, content):
    path = write_snapshot(tmp_path, PARAMETERS, metadata(3))
    assert read_snapshot_metadata(path) == read_snapshot(path, SPEC)[1]
    end = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(content[:end])
    assert read_snapshot_metadata(path).version == 1
    for length in (0, 5, end // 2):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptSnapshot, match="000003"):
            read_snapshot_metadata(path)
    path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_snapshot_metadata(path)


def test_a_pointer_to_nothing_is_an_error(tmp_path):
    write_snapshot(tmp_path, PARAMETERS, metadata()).unlink()
    with pytest.raises(UserError, match="not there"):
        latest_snapshot(tmp_path)


def test_a_reader_never_sees_half_a_snapshot_of_a_writer_that_is_killed(tmp_path):
    """A learner that publishes as fast as it can is killed again and again, an actor reads all the while."""
    script = (
        "import sys; from pathlib import Path; import numpy as np; sys.path.insert(0, sys.argv[2]);"
        "from test_snapshot import *; directory = Path(sys.argv[1])\n"
        "while True:\n"
        "    version = next_snapshot_version(directory)\n"
        "    write_snapshot(directory, {'weights': np.full(300_000, version, np.float32)}, metadata(version))\n"
        "    prune_snapshots(directory, keep=3)\n"
    )
    root = Path(__file__).parents[2]
    versions = []
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], env={"PYTHONPATH": str(root)}
        )
        target = len(versions) + 5
        while len(versions) < target:
            assert child.poll() is None
            path = latest_snapshot(tmp_path)
            if path is None or (versions and int(path.stem) == versions[-1]):
                continue
            parameters, read = read_snapshot(path, SPEC)
            assert (parameters["weights"] == read.version).all()
            versions.append(read.version)
        child.kill()
        child.wait()
        if path := latest_snapshot(tmp_path):
            read_snapshot(path, SPEC)
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "[" * 100_000},
        {"version": None},
        {"spec_hash": None},
        {"format_version": None},
        {"robot_spec": "{}"},
        {"env_steps": '"many"'},
        {"unknown": "1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_wrong_metadata_with_the_right_checksum_are_damage(content, tmp_path, change):
    """A stranger can make checksums, too."""
    path = tmp_path / "000001.safetensors"
    path.write_bytes(content)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = file.metadata() | change
    header = {name: value for name, value in header.items() if value is not None and name != "sha256"}
    parameters = safetensors.numpy.load_file(path)
    header["sha256"] = snapshot._digest(header, parameters)
    safetensors.numpy.save_file(parameters, path, metadata=header)
    with pytest.raises(CorruptSnapshot, match="000001.safetensors"):
        read_snapshot(path, SPEC)


def test_a_header_that_claims_to_be_huge_is_refused_at_once(tmp_path):
    path = tmp_path / "000001.safetensors"
    path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
    with pytest.raises(CorruptSnapshot):
        read_snapshot(path, SPEC)
    os.truncate(path, 1 << 40)
    with pytest.raises(UserError, match="larger than"):
        read_snapshot(path, SPEC)
