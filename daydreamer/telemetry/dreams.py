"""What the world model predicted and what then happened: files that the learner writes and every viewer reads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from daydreamer.errors import UserError
from daydreamer.spec import MOST_HZ, RobotSpec
from daydreamer.storage.atomic import write_atomically, writing
from daydreamer.storage.files import file_size, make_folder, numbered_files, read_file, remove_file
from daydreamer.storage.tensors import decode_metadata, read_tensors

FORMAT_VERSION = 1
REWARD = "reward"
"""Key of the reward beside the observations."""

KEPT_IMAGES = 20
KEPT_IMAGES_EVERY = 30
"""Images take a hundred times the room of vectors: those of the newest dreams are kept, and of every 30th."""

HORIZONS_S = (0.5, 1.0, 2.0)
"""At which the error is reported as a number, beside the first and the last predicted step."""

DREAM_BYTES = 1 << 28
"""A dream with images takes some millions."""

_NAME = re.compile(r"(\d{6,18})\.safetensors", re.ASCII)
_ARRAYS = ("truth", "prediction", "error", "unchanged_error")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dream:
    """One open-loop prediction: the model sees the context and the logged actions, then goes on by itself.

    Keys are those of `RobotSpec.observation`, in its units, and `REWARD`. With C context and H predicted steps, row i
    of a prediction belongs beside row C + i of the truth.

    Attributes:
      gradient_step, env_steps: of the learner when it dreamt.
      actor_life, first_sequence: identify the first step of the context in the experience log.
      control_rate_hz: steps per second.
      context_steps: C.
      windows: how many sequences the errors are taken over; the rest is of the newest of them.
      truth: by key `[C + H, *shape]`.
      prediction: by key `[H, *shape]`.
      action: `[C + H, action]`, as the policy requested it.
      error: by key `[H]`, root mean square over elements and windows; images in units of white.
      unchanged_error: the same of the prediction that nothing changes after the context, which a model must beat.
      created_wall_s: wall clock.
    """

    gradient_step: int
    env_steps: int
    actor_life: int
    first_sequence: int
    control_rate_hz: float
    context_steps: int
    windows: int
    truth: Mapping[str, np.ndarray]
    prediction: Mapping[str, np.ndarray]
    action: np.ndarray
    error: Mapping[str, np.ndarray]
    unchanged_error: Mapping[str, np.ndarray]
    created_wall_s: float = dataclasses.field(default_factory=time.time)

    @property
    def horizon_steps(self) -> int:
        return len(self.prediction[REWARD])

    @property
    def horizon_s(self) -> np.ndarray:
        """`[H]`, how far ahead each predicted step lies."""
        return np.arange(1, self.horizon_steps + 1) / self.control_rate_hz

    def check(self) -> None:
        """Raises ValueError, naming the field, for what no learner records: the file may be a stranger's."""
        whole = ("gradient_step", "env_steps", "actor_life", "first_sequence", "context_steps", "windows")
        for name in (*whole, "control_rate_hz", "created_wall_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int if name in whole else int | float):
                raise ValueError(f"{name} is {value!r}")
            if not 0 <= value < 1 << 53:
                raise ValueError(f"{name} is {value}")
        if not (0.0 < self.control_rate_hz <= MOST_HZ and self.context_steps and REWARD in self.prediction):
            raise ValueError("it has no rate, no context or no reward")
        steps = self.horizon_steps
        lengths = {"truth": self.context_steps + steps, "prediction": steps, "error": steps, "unchanged_error": steps}
        if not steps or len(self.action) != self.context_steps + steps:
            raise ValueError("its action has another length than what happened")
        if self.truth.keys() != self.prediction.keys() or self.error.keys() != self.unchanged_error.keys():
            raise ValueError("its arrays are not of the same observations")
        for name, length in lengths.items():
            for key, values in getattr(self, name).items():
                if len(values) != length or (name in ("error", "unchanged_error") and values.ndim != 1):
                    raise ValueError(f"{name} of {key} has shape {values.shape}")

    def check_spec(self, spec: RobotSpec) -> None:
        """Raises ValueError for the prediction of another robot, or of a part of this one; images may be gone."""
        shapes = {key: space.shape for key, space in spec.observation.items()} | {REWARD: ()}
        in_bytes = {key for key, space in spec.observation.items() if space.dtype == "uint8"}
        for key in (REWARD, *(key for key, space in spec.observation.items() if not space.is_image)):
            if key not in self.truth or key not in self.error:
                raise ValueError(f"{key} is missing")
        for name in _ARRAYS:
            for key, values in getattr(self, name).items():
                shown = name in ("truth", "prediction")
                if key not in shapes or (shown and values.shape[1:] != shapes[key]):
                    raise ValueError(f"{name} of {key} is not of this robot")
                if (values.dtype == np.uint8) != (shown and key in in_bytes) or values.dtype.kind not in "uif":
                    raise ValueError(f"{name} of {key} is of type {values.dtype}")
        if not self.error.keys() - {REWARD} or self.control_rate_hz != spec.control_rate_hz:
            raise ValueError("it is not of this robot")

    def scalars(self) -> dict[str, float]:
        """Errors at a few horizons by TensorBoard tag, `dream/<key>/<horizon>s` and `dream_unchanged/...`."""
        steps = {round(horizon_s * self.control_rate_hz) for horizon_s in HORIZONS_S}
        steps = sorted({1, self.horizon_steps} | {step for step in steps if 1 <= step <= self.horizon_steps})
        return {
            f"{name}/{key}/{step / self.control_rate_hz:.3g}s": float(errors[key][step - 1])
            for name, errors in (("dream", self.error), ("dream_unchanged", self.unchanged_error))
            for key in errors
            for step in steps
        }


class DreamWriter:
    """Numbers and writes the dreams of a session; about 30 kB each without images."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._number = max(numbered_files(directory, _NAME), default=0)

    def write(self, dream: Dream) -> Path:
        """Writes the next file, complete or absent; images go to a file of their own, of which not all are kept.

        Raises:
          UserError: the disk failed.
        """
        self._number += 1
        path = self._directory / f"{self._number:06d}.safetensors"
        tensors: dict[str, np.ndarray] = {"action": dream.action}
        for name in _ARRAYS:
            tensors |= {f"{name}/{key}": values for key, values in getattr(dream, name).items()}
        images = {name: tensors.pop(name) for name in list(tensors) if tensors[name].dtype == np.uint8}
        with writing("A prediction", path):
            make_folder(self._directory)
            if images:
                # Images first: a reader that sees a dream sees all of it.
                write_atomically(_images_path(path), safetensors.numpy.save(images), durable=False)
                self._prune_images()
            write_atomically(path, safetensors.numpy.save(tensors, metadata=_metadata(dream)), durable=False)
        return path

    def _prune_images(self) -> None:
        stale = self._number - KEPT_IMAGES
        if stale > 0 and stale % KEPT_IMAGES_EVERY:
            remove_file(_images_path(self._directory / f"{stale:06d}.safetensors"))


def list_dreams(directory: Path) -> list[Path]:
    """The files of all dreams of a session, oldest first; empty if there are none.

    Raises:
      UserError: the directory cannot be read.
    """
    return list(numbered_files(directory, _NAME).values())


def read_dream(path: Path, spec: RobotSpec | None = None) -> Dream:
    """One dream, with its images if they have been kept; with `spec` only one of this robot.

    Raises:
      UserError: the file cannot be read, is not what was written, or another version of this program wrote it.
    """
    try:
        tensors, header = read_tensors(path, DREAM_BYTES)
        fields = decode_metadata(header)
        version = fields.pop("format_version")
        if file_size(_images_path(path)) is not None:
            tensors |= safetensors.numpy.load(read_file(_images_path(path), DREAM_BYTES))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check disk and permissions.") from error
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError) as error:
        raise _damaged(path, repr(error)) from error
    if version != FORMAT_VERSION:
        raise UserError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; use its own one.")
    digest = fields.pop("sha256", None)  # those of earlier versions have none
    arrays: dict[str, dict[str, np.ndarray]] = {name: {} for name in _ARRAYS}
    try:
        for name, values in tensors.items():
            group, _, key = name.partition("/")
            if group != "action":
                arrays[group][key] = values
        dream = Dream(**fields, **arrays, action=tensors["action"])
        dream.check()
        if spec is not None:
            dream.check_spec(spec)
    except (LookupError, TypeError, ValueError) as error:
        raise _damaged(path, repr(error)) from error
    if digest is not None and digest != _digest(dream):
        raise _damaged(path, "its checksum does not fit its content")
    return dream


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}); delete it, the others are not affected.")


def _metadata(dream: Dream) -> dict[str, str]:
    values: dict[str, Any] = {"format_version": FORMAT_VERSION}
    for field in dataclasses.fields(dream):
        if field.name not in (*_ARRAYS, "action"):
            values[field.name] = getattr(dream, field.name)
    values["sha256"] = _digest(dream)
    # The file format keeps metadata as strings; each is JSON, so that every value has one reading.
    return {name: json.dumps(value) for name, value in values.items()}


def _digest(dream: Dream) -> str:
    """SHA-256 over all fields but the images, which need not be kept."""
    digest = hashlib.sha256()
    for field in dataclasses.fields(dream):
        value = getattr(dream, field.name)
        arrays = value if isinstance(value, Mapping) else {"": value}
        for key, each in sorted(arrays.items()):
            if not (isinstance(each, np.ndarray) and each.dtype == np.uint8):
                digest.update(f"{field.name}/{key}".encode())
                digest.update(each.tobytes() if isinstance(each, np.ndarray) else json.dumps(each).encode())
    return digest.hexdigest()


def _images_path(path: Path) -> Path:
    return path.with_suffix(".images.safetensors")
