"""What has been drawn, kept so that whoever comes late gets all of it in a few large pieces."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rerun as rr

from daydreamer.viewer.layout import TIMELINE


@dataclasses.dataclass(frozen=True)
class Kind:
    """What can be drawn at a time.

    Attributes:
      columns: rows to what Rerun takes.
      join: several lots of rows to one.
      spacing_s: robot time between two that are kept; between them only those who are there get to see them.
      is_picture: the newest alone says how things are.
    """

    columns: Callable[[Any], Any]
    join: Callable[[Sequence[Any]], Any]
    spacing_s: float = 0.0
    is_picture: bool = False


def _chain(lots: Sequence[Sequence[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(lots))


def _series_columns(values: np.ndarray) -> Any:
    return rr.Scalars.columns(scalars=values.ravel()).partition([values.shape[1]] * len(values))


def _skeleton_columns(frames: Sequence[Mapping[str, np.ndarray]]) -> Any:
    strips = [strip.astype(np.float32) for frame in frames for strip in frame.values()]
    return rr.LineStrips3D.columns(strips=strips).partition([len(frame) for frame in frames])


def _picture_columns(pictures: Sequence[bytes]) -> Any:
    return rr.EncodedImage.columns(blob=list(pictures), media_type=["image/png"] * len(pictures))


def _image_columns(images: Sequence[bytes]) -> Any:
    return rr.EncodedImage.columns(blob=list(images), media_type=["image/jpeg"] * len(images))


def _text_columns(lines: Sequence[tuple[str, str]]) -> Any:
    return rr.TextLog.columns(text=[text for text, _ in lines], level=[level for _, level in lines])


SERIES = Kind(_series_columns, np.concatenate)
SKELETON = Kind(_skeleton_columns, _chain, spacing_s=5.0, is_picture=True)
PICTURE = Kind(_picture_columns, _chain, spacing_s=60.0, is_picture=True)
IMAGE = Kind(_image_columns, _chain, spacing_s=10.0, is_picture=True)
TEXT = Kind(_text_columns, _chain)


class Track:
    """Everything of one kind at one path."""

    def __init__(self, path: str, kind: Kind):
        self.path = path
        self.kind = kind
        self._times: list[np.ndarray] = []
        self._rows: list[Any] = []
        self._kept_s = -np.inf
        self._newest: tuple[np.ndarray, Any] | None = None

    def add(self, robot_s: np.ndarray, rows: Any) -> None:
        if not self.kind.spacing_s:
            self._keep(robot_s, rows)
            return
        for index, time_s in enumerate(robot_s.tolist()):
            if time_s >= self._kept_s + self.kind.spacing_s:
                self._kept_s = time_s
                self._keep(robot_s[index : index + 1], rows[index : index + 1])
        self._newest = robot_s[-1:], rows[-1:]

    def send_newest(self, stream: rr.RecordingStream) -> None:
        if self._newest is not None:
            send(stream, self.path, self.kind, *self._newest)

    def send_past(self, stream: rr.RecordingStream) -> None:
        """One chunk."""
        # Joined for good: the next who comes late has less work.
        self._times = [np.concatenate(self._times)]
        self._rows = [self.kind.join(self._rows)]
        send(stream, self.path, self.kind, self._times[0], self._rows[0])

    def _keep(self, robot_s: np.ndarray, rows: Any) -> None:
        self._times.append(robot_s)
        self._rows.append(rows)


def send(stream: rr.RecordingStream, path: str, kind: Kind, robot_s: np.ndarray, rows: Any) -> None:
    rr.send_columns(path, [rr.TimeColumn(TIMELINE, duration=robot_s)], kind.columns(rows), recording=stream)
