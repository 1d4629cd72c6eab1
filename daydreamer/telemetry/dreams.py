"""What the world model predicted and what then happened: files that the learner writes and every viewer reads."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from daydreamer.errors import UserError
from daydreamer.session.atomic import write_atomically
from daydreamer.session.tensors import decode_tensors

FORMAT_VERSION = 1
REWARD = "reward"
"""Key of the reward beside the observations."""

KEPT_IMAGES = 20
KEPT_IMAGES_EVERY = 30
"""Images take a hundred times the room of vectors: those of the newest dreams are kept, and of every 30th."""

HORIZONS_S = (0.5, 1.0, 2.0)
"""At which the error is reported as a number, beside the first and the last predicted step."""

_NAME = re.compile(r"(\d{6,})\.safetensors")
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
        self._number = max(_numbers(directory), default=0)

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
        try:
            self._directory.mkdir(exist_ok=True)
            if images:
                # Images first: a reader that sees a dream sees all of it.
                write_atomically(_images_path(path), safetensors.numpy.save(images), durable=False)
                self._prune_images()
            write_atomically(path, safetensors.numpy.save(tensors, metadata=_metadata(dream)), durable=False)
        except OSError as error:
            raise UserError(
                f"A prediction cannot be written to {path} ({error.strerror}); free some space or check the disk."
            ) from error
        return path

    def _prune_images(self) -> None:
        stale = self._number - KEPT_IMAGES
        if stale > 0 and stale % KEPT_IMAGES_EVERY:
            _images_path(self._directory / f"{stale:06d}.safetensors").unlink(missing_ok=True)


def list_dreams(directory: Path) -> list[Path]:
    """The files of all dreams of a session, oldest first; empty if there are none."""
    return [directory / f"{number:06d}.safetensors" for number in sorted(_numbers(directory))]


def read_dream(path: Path) -> Dream:
    """One dream, with its images if they have been kept.

    Raises:
      UserError: the file cannot be read, is not what was written, or another version of this program wrote it.
    """
    try:
        tensors, header = decode_tensors(path.read_bytes())
        fields = {name: json.loads(value) for name, value in header.items()}
        version = fields.pop("format_version")
        if _images_path(path).exists():
            tensors |= safetensors.numpy.load_file(_images_path(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check disk and permissions.") from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error!r}); delete it, the others are not affected.") from error
    if version != FORMAT_VERSION:
        raise UserError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; use its own one.")
    arrays: dict[str, dict[str, np.ndarray]] = {name: {} for name in _ARRAYS}
    action = tensors.pop("action")
    for name, values in tensors.items():
        group, _, key = name.partition("/")
        arrays[group][key] = values
    return Dream(**fields, **arrays, action=action)


def _metadata(dream: Dream) -> dict[str, str]:
    values: dict[str, Any] = {"format_version": FORMAT_VERSION}
    for field in dataclasses.fields(dream):
        if field.name not in (*_ARRAYS, "action"):
            values[field.name] = getattr(dream, field.name)
    # The file format keeps metadata as strings; each is JSON, so that every value has one reading.
    return {name: json.dumps(value) for name, value in values.items()}


def _images_path(path: Path) -> Path:
    return path.with_suffix(".images.safetensors")


def _numbers(directory: Path) -> Iterator[int]:
    if directory.is_dir():
        yield from (int(match[1]) for match in filter(None, map(_NAME.fullmatch, os.listdir(directory))))
