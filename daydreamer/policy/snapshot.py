"""Policy snapshots: the weights that the learner hands to the actor, complete or absent, never pickle."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors.numpy

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.spec import RobotSpec, spec_difference
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import file_size, make_folder, numbered_files, read_file, remove_file
from daydreamer.storage.tensors import decode_metadata, read_metadata, read_tensors
from daydreamer.texts import decode_json

FORMAT_VERSION = 1
_POINTER = "latest"
_POINTER_BYTES = 256
SNAPSHOT_BYTES = 1 << 30
"""Of the largest networks; those of the A1 take 2 MB."""
MOST_KEPT, MOST_KEPT_BYTES = 64, 256 << 20
"""Snapshots that are kept of the whole of a session, beside the newest ones, and what they may take together."""
_SNAPSHOT_NAME = re.compile(r"(\d{6,18})\.safetensors", re.ASCII)


class CorruptSnapshot(UserError):
    """A snapshot is not what was written."""

    def __init__(self, path: Path, reason: str):
        super().__init__(
            f"{path} is damaged: {reason}. The policy before it is used until the learner publishes the next."
        )


class NonFiniteParameters(ValueError):
    """What was to be published would make a robot move by numbers that are none."""


class SnapshotMetadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot says about itself, in the header of its file.

    Attributes:
      version: from 1, higher is newer; also its file name.
      gradient_step: of the learner, when the parameters were taken.
      env_steps: that the learner had received by then.
      robot_spec: of the robot that the policy observes and commands.
      model: sizes of the networks, as far as they are needed to rebuild the policy.
      created_wall_s: wall clock.
    """

    version: int
    gradient_step: int
    env_steps: int
    robot_spec: RobotSpec
    model: dict[str, Any]
    created_wall_s: float = msgspec.field(default_factory=time.time)

    @property
    def spec_hash(self) -> str:
        return self.robot_spec.hash


def snapshot_path(directory: Path, version: int) -> Path:
    return directory / f"{version:06d}.safetensors"


def write_snapshot(directory: Path, parameters: Mapping[str, np.ndarray], metadata: SnapshotMetadata) -> Path:
    """Publishes parameters: writes the file, then makes it the latest. Takes two fsyncs.

    Raises:
      NonFiniteParameters: names the parameter.
      ValueError: a parameter is of a type that numpy does not have (named), or this version has already been
        published.
      UserError: the disk failed.
    """
    for name, array in parameters.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(
                f"parameter '{name}' is {array.dtype}, which numpy cannot read back; convert it to float32"
            )
        if not np.isfinite(array).all():
            raise NonFiniteParameters(f"parameter '{name}' is not finite; a policy must not be published like that")
    path = snapshot_path(directory, metadata.version)
    if path.exists():
        raise ValueError(f"{path} has already been published; versions must be new, see next_snapshot_version")
    tensors = {name: np.asarray(array, order="C") for name, array in parameters.items()}
    # The file format keeps metadata as strings; each is JSON, so that every value has one reading.
    header = {name: json.dumps(value) for name, value in msgspec.to_builtins(metadata).items()}
    header |= {"format_version": json.dumps(FORMAT_VERSION), "spec_hash": json.dumps(metadata.spec_hash)}
    header["sha256"] = _digest(header, tensors)
    _publish(path, safetensors.numpy.save(tensors, metadata=header))
    return path


def _publish(path: Path, content: bytes) -> None:
    """Raises UserError if the disk fails."""
    with writing("The policy", path):
        make_folder(path.parent)
        write_atomically(path, content)
        write_atomically(path.with_name(_POINTER), f"{path.name}\n".encode())


def copy_snapshot(path: Path, directory: Path) -> Path:
    """Publishes a snapshot that another session has learned, byte for byte.

    Raises:
      UserError: it cannot be read or written.
    """
    try:
        content = read_file(path, SNAPSHOT_BYTES)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); choose another snapshot.") from error
    copy = directory / path.name
    _publish(copy, content)
    return copy


def read_snapshot(path: Path, spec: RobotSpec) -> tuple[dict[str, np.ndarray], SnapshotMetadata]:
    """Parameters and metadata of a snapshot for this robot.

    Raises:
      CorruptSnapshot: the file is not what was written.
      SpecMismatch: it belongs to another robot; names both hashes and what differs.
      UserError: it cannot be read, or another version of this program wrote it.
    """
    try:
        tensors, header = read_tensors(path, SNAPSHOT_BYTES)
        digest = header.pop("sha256")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); choose another snapshot.") from error
    except (ValueError, KeyError) as error:
        raise CorruptSnapshot(path, f"it is not a complete snapshot ({error!r})") from error
    if digest != _digest(header, tensors):
        raise CorruptSnapshot(path, "its checksum does not fit its content")
    metadata, spec_hash = _decode_header(path, header)
    if spec_hash != spec.hash:
        raise SpecMismatch(
            f"{path} is a policy for robot specification {spec_hash}, this robot's is {spec.hash}: "
            f"{spec_difference(spec, metadata.robot_spec)}. Use a session of this robot, or start a new one."
        )
    return tensors, metadata


def read_snapshot_metadata(path: Path) -> SnapshotMetadata:
    """What a snapshot says about itself; nothing is said about its parameters.

    Raises:
      CorruptSnapshot: its header is not what was written.
      UserError: it cannot be read, or another version of this program wrote it.
    """
    try:
        header = read_metadata(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); choose another snapshot.") from error
    except ValueError as error:
        raise CorruptSnapshot(path, f"its header cannot be read ({error})") from error
    header.pop("sha256", None)
    return _decode_header(path, header)[0]


def _decode_header(path: Path, header: dict[str, str]) -> tuple[SnapshotMetadata, str]:
    """Metadata and hash of the robot's specification; errors as of `read_snapshot_metadata`."""
    try:
        values = decode_metadata(header)
        spec_hash, version = values.pop("spec_hash"), values.pop("format_version")
    except (ValueError, KeyError) as error:
        raise CorruptSnapshot(path, f"its metadata is wrong ({error!r})") from error
    if version != FORMAT_VERSION:
        raise UserError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; use its own one.")
    try:
        metadata = msgspec.convert(values, SnapshotMetadata)
        metadata.robot_spec.check()
    except (msgspec.ValidationError, ValueError) as error:
        raise CorruptSnapshot(path, f"its metadata is wrong ({error})") from error
    return metadata, spec_hash


def latest_snapshot(directory: Path) -> Path | None:
    """The newest published snapshot; None before the first.

    Raises:
      UserError: the pointer names a file that does not exist.
    """
    pointer = directory / _POINTER
    previous = None
    while True:
        try:
            name = read_file(pointer, _POINTER_BYTES).decode(errors="replace").strip()
            path = directory / name
            if _SNAPSHOT_NAME.fullmatch(name) and file_size(path) is not None:
                return path
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(
                f"{pointer} cannot be read ({error.strerror}); the next policy published mends it."
            ) from error
        # A newer one may have been published, and this one removed, in between.
        if name == previous:
            raise UserError(f"{pointer} names '{name}', which is not there; the next policy published mends it.")
        previous = name


def next_snapshot_version(directory: Path) -> int:
    """One more than the highest version published; 1 for the first. A restarted learner goes on there."""
    return max(published_snapshots(directory), default=0) + 1


def prune_snapshots(directory: Path, keep: int, keep_every_steps: int = 0) -> list[Path]:
    """Removes snapshots that are worth nothing any more, and never the latest one; returns what it removed.

    Args:
      keep: how many of the newest stay.
      keep_every_steps: of each stretch of so many environment steps the last one stays as well: the robot may never be
        as good again. Of a session so long that they were more than `MOST_KEPT` or took more than `MOST_KEPT_BYTES`, of
        each two, four, eight ... stretches. 0 keeps none.

    Raises:
      UserError: the pointer is damaged, or the disk failed.
    """
    latest = latest_snapshot(directory)
    published = published_snapshots(directory)
    stale = [published[version] for version in sorted(published)[: max(0, len(published) - keep)]]
    kept = {latest}
    if stale and keep_every_steps:
        kept |= _last_of_stretches(published, keep_every_steps)
    removed = [path for path in stale if path not in kept]
    for path in removed:
        try:
            remove_file(path)
        except OSError as error:
            raise UserError(f"{path} cannot be removed ({error.strerror}); check the disk.") from error
    return removed


def _last_of_stretches(published: Mapping[int, Path], steps: int) -> set[Path]:
    """See `prune_snapshots`. Stretches are counted from the session's beginning, so that the same ones stay each time.

    A snapshot whose header cannot be read is nobody's last.
    """
    env_steps, most_bytes = {}, 1
    for _, path in sorted(published.items()):
        with contextlib.suppress(OSError, ValueError, KeyError):
            env_steps[path] = _env_steps(path)
            most_bytes = max(most_bytes, file_size(path) or 0)
    most = max(1, min(MOST_KEPT, MOST_KEPT_BYTES // most_bytes))
    while True:
        last = {step // steps: path for path, step in env_steps.items()}
        if len(last) <= most:
            return set(last.values())
        steps *= 2


@functools.lru_cache(maxsize=4 * MOST_KEPT)
def _env_steps(path: Path) -> int:
    """Of a published snapshot, which never changes; a learner prunes every few seconds."""
    return max(0, decode_json(read_metadata(path)["env_steps"], int))


def published_snapshots(directory: Path) -> dict[int, Path]:
    """Files of all snapshots there are, by version; nothing is said about their content.

    Raises:
      UserError: the directory cannot be read.
    """
    return numbered_files(directory, _SNAPSHOT_NAME)


def _digest(header: Mapping[str, str], tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over all metadata and over name, type, shape and bytes of all tensors, each in order of name."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name, array in sorted(tensors.items()):
        digest.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
