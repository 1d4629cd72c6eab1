"""A session as a LeRobotDataset, version 3.0: parquet, video and metadata, as the package `lerobot` opens it.

    info.json, stats.json, tasks.parquet, episodes/chunk-000/file-000.parquet     in meta/
    data/chunk-000/file-000.parquet                            a row for each frame
    videos/observation.images.<camera>/chunk-000/file-000.mp4  the frames of all episodes, one after the other

A frame is a transition: what was observed, what was done, and what came of it. Our rewards belong to the observation on
arriving at which they were received; theirs to the one before, and are called `next.reward`. So the last step of an
episode is the end of its last frame, and none of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec

VERSION = "v3.0"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
FILES_PER_CHUNK = 1000
DATA_MB, VIDEO_MB = 100, 200
"""A file that has become this large is followed by another one."""
LONGEST_FRAMES = 10_000
"""Of an episode; one that goes on is cut there, because it is held in memory."""
QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
CODEC, CODEC_OPTIONS = "libx264", {"crf": "18", "g": "2"}
"""Of videos: a key frame in two, so that any frame is found soon."""
_READ_STEPS = 1024

Features = dict[str, dict[str, Any]]


def write_lerobot(session: Session, directory: Path) -> tuple[int, int, list[str]]:
    """Writes all of a session's experience into a new directory; numbers of episodes and frames, and what was not read.

    Raises:
      UserError: a library is missing, there is not one whole transition, the directory is there already, or a log
        cannot be read.
      OSError: it cannot be written.
    """
    pictured = any(space.is_image for space in session.spec.observation.values())
    require_libraries("pandas", "pyarrow", *(["av"] if pictured else []))
    if os.path.lexists(directory):
        raise UserError(f"{directory} is there already; choose another --out.")
    tail = ExperienceTail(session.experience, session.spec)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        with contextlib.closing(_Dataset(session.spec, unfinished)) as dataset:
            for episode in episodes(tail):
                dataset.add(episode)
        if not dataset.frames:
            raise UserError(f"{session.path} has not one step that follows another; there is nothing to export.")
        unfinished.chmod(0o755)
        unfinished.rename(directory)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return dataset.episodes, dataset.frames, [problem.text for problem in tail.problems]


def require_libraries(*needed: str) -> None:
    """Raises UserError: one of them is missing; says how to install it."""
    for name in needed:
        try:
            __import__(name)
        except ImportError as error:
            raise UserError(
                f"A LeRobotDataset takes {', '.join(needed)}, of which {name} is missing; install them with "
                "pip install 'daydreamer[lerobot]'."
            ) from error


def episodes(tail: ExperienceTail) -> Iterator[list[Step]]:
    """The steps of each episode, as they followed one another; one step alone is none."""
    episode: list[Step] = []
    while steps := tail.read(_READ_STEPS):
        for step in steps:
            if episode and not _follows(step, episode[-1]):
                yield from _whole(episode)
                episode = []
            elif len(episode) > LONGEST_FRAMES:
                yield from _whole(episode)
                episode = episode[-1:]
            episode.append(step)
    yield from _whole(episode)


def _whole(episode: list[Step]) -> Iterator[list[Step]]:
    if len(episode) > 1:
        yield episode


def _follows(step: Step, before: Step) -> bool:
    return not step.is_first and (step.actor_life, step.sequence) == (before.actor_life, before.sequence + 1)


def features_of(spec: RobotSpec) -> Features:
    """What a frame has, as `info.json` says it."""
    vectors = [(key, space) for key, space in spec.observation.items() if not space.is_image]
    state = [f"{key}_{index}" for key, space in vectors for index in range(space.size)]
    sent = list(spec.setpoint_names or spec.joint_names)
    features: Features = {}
    if state:
        features["observation.state"] = {"dtype": "float32", "shape": [len(state)], "names": state}
    for key, space in spec.observation.items():
        if space.is_image:
            features[f"observation.images.{key}"] = {
                "dtype": "video",
                "shape": [*space.shape[:2], 3],
                "names": ["height", "width", "channels"],
                "info": _video_info(spec, space.shape[0], space.shape[1]),
            }
    actions = 1 if spec.action.is_discrete else spec.action.size
    features["action"] = {
        "dtype": "int64" if spec.action.is_discrete else "float32",
        "shape": [actions],
        "names": [f"action_{index}" for index in range(actions)],
    }
    if sent:  # not among what a policy of theirs would learn to do
        features["setpoint_sent"] = {"dtype": "float32", "shape": [len(sent)], "names": sent}
    for name, dtype in (
        ("next.reward", "float32"),
        ("next.done", "bool"),
        ("next.truncated", "bool"),
        ("is_intervention", "bool"),
        ("policy_version", "int64"),
        ("timestamp", "float32"),
        ("frame_index", "int64"),
        ("episode_index", "int64"),
        ("index", "int64"),
        ("task_index", "int64"),
    ):
        features[name] = {"dtype": dtype, "shape": [1], "names": None}
    return features


def _video_info(spec: RobotSpec, height: int, width: int) -> dict[str, Any]:
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": _rate(spec),
        "video.channels": 3,
        "has_audio": False,
    }


def _rate(spec: RobotSpec) -> int | float:
    """Frames a second; a whole number where it is one, as theirs are."""
    rate_hz = spec.control_rate_hz
    return int(rate_hz) if rate_hz == int(rate_hz) else rate_hz


def frames_of(episode: list[Step], spec: RobotSpec) -> dict[str, np.ndarray]:
    """What a row has of all but places and times, `[frames, ...]`, by feature."""
    steps, following = episode[:-1], episode[1:]
    vectors = [key for key, space in spec.observation.items() if not space.is_image]
    frames: dict[str, np.ndarray] = {}
    if vectors:
        rows = [np.concatenate([step.observation[key].ravel() for key in vectors]) for step in steps]
        frames["observation.state"] = np.stack(rows).astype(np.float32)
    action = np.stack([np.ravel(step.action_requested) for step in steps])
    frames["action"] = action.astype(np.int64 if spec.action.is_discrete else np.float32)
    if spec.setpoint_names or spec.joint_names:
        frames["setpoint_sent"] = np.stack([step.action_sent for step in steps]).astype(np.float32)
    last = np.arange(len(steps)) == len(steps) - 1
    frames["next.reward"] = np.array([step.reward for step in following], np.float32)
    frames["next.done"] = last & following[-1].is_last
    frames["next.truncated"] = last & (following[-1].is_last and not following[-1].is_terminal)
    frames["is_intervention"] = np.array([step.intervention for step in steps])
    frames["policy_version"] = np.array([step.policy_version for step in steps], np.int64)
    frames["timestamp"] = (np.arange(len(steps)) / spec.control_rate_hz).astype(np.float32)
    frames["frame_index"] = np.arange(len(steps))
    return frames


class _Dataset:
    """Writes episode by episode; whole once it is closed.

    Attributes:
      episodes, frames: written so far.
    """

    def __init__(self, spec: RobotSpec, directory: Path):
        import pyarrow

        self.episodes = self.frames = 0
        self._spec, self._directory = spec, directory
        self._features = features_of(spec)
        types = {"float32": pyarrow.float32(), "int64": pyarrow.int64(), "bool": pyarrow.bool_()}
        self._schema = pyarrow.schema(
            (
                name,
                types[each["dtype"]] if each["shape"] == [1] else pyarrow.list_(types[each["dtype"]], *each["shape"]),
            )
            for name, each in self._features.items()
            if each["dtype"] != "video"
        )
        self._data = _DataFiles(directory, self._schema)
        self._videos = {
            key: _VideoFiles(directory, f"observation.images.{key}", spec.control_rate_hz, *space.shape[:2])
            for key, space in spec.observation.items()
            if space.is_image
        }
        self._rows: list[dict[str, Any]] = []
        self._stats: dict[str, _Aggregate] = {}

    def add(self, episode: list[Step]) -> None:
        frames = frames_of(episode, self._spec)
        count = len(frames["frame_index"])
        frames["episode_index"] = np.full(count, self.episodes)
        frames["index"] = self.frames + np.arange(count)
        frames["task_index"] = np.zeros(count, np.int64)
        row: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": [self._spec.task],
            "length": count,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + count,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        row |= self._data.write(frames)
        stats = {name: _statistics(values) for name, values in frames.items()}
        known = {name: np.isfinite(values.reshape(count, -1)).sum(0) for name, values in frames.items()}
        for key, video in self._videos.items():
            images = np.stack([_in_colour(step.observation[key]) for step in episode[:-1]])
            row |= video.write(images)
            stats[f"observation.images.{key}"] = _image_statistics(images)
        for name, each in stats.items():
            row |= {f"stats/{name}/{kind}": values.tolist() for kind, values in each.items()}
            self._stats.setdefault(name, _Aggregate()).add(each, known.get(name, each["count"]))
        self._rows.append(row)
        self.episodes, self.frames = self.episodes + 1, self.frames + count

    def close(self) -> None:
        import pandas
        import pyarrow
        import pyarrow.parquet

        self._data.close()
        for video in self._videos.values():
            video.close()
        if not self._rows:
            return
        path = self._directory / EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(self._rows), path)
        tasks = pandas.DataFrame({"task_index": [0]}, index=[self._spec.task])
        tasks.to_parquet(self._directory / "meta/tasks.parquet")
        self._write_json("meta/stats.json", {name: each.totals() for name, each in self._stats.items()})
        self._write_json("meta/info.json", self._info())

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self._spec.robot,
            "total_episodes": self.episodes,
            "total_frames": self.frames,
            "total_tasks": 1,
            "chunks_size": FILES_PER_CHUNK,
            "data_files_size_in_mb": DATA_MB,
            "video_files_size_in_mb": VIDEO_MB,
            "fps": _rate(self._spec),
            "splits": {"train": f"0:{self.episodes}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._videos else None,
            "features": self._features,
        }

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        (self._directory / name).write_text(json.dumps(values, indent=4, ensure_ascii=False) + "\n")


class _Numbered:
    """Where the next file goes, when the one before has become too large."""

    def __init__(self, directory: Path, pattern: str, most_mb: int):
        self._directory, self._pattern, self._most_bytes = directory, pattern, most_mb << 20
        self._number = -1

    def next(self) -> Path:
        self._number += 1
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path

    @property
    def full(self) -> bool:
        return self._number < 0 or self.path.stat().st_size > self._most_bytes

    @property
    def place(self) -> dict[str, int]:
        return {"chunk_index": self._number // FILES_PER_CHUNK, "file_index": self._number % FILES_PER_CHUNK}

    @property
    def path(self) -> Path:
        return self._directory / self._pattern.format(**self.place)


class _DataFiles:
    """The rows of all frames, an episode a row group."""

    def __init__(self, directory: Path, schema: Any):
        self._schema = schema
        self._files = _Numbered(directory, DATA_PATH, DATA_MB)
        self._writer: Any = None

    def write(self, frames: Mapping[str, np.ndarray]) -> dict[str, int]:
        """Adds an episode; where it is."""
        import pyarrow
        import pyarrow.parquet

        if self._files.full:
            self.close()
            self._writer = pyarrow.parquet.ParquetWriter(self._files.next(), self._schema, compression="snappy")
        columns = []
        for field in self._schema:
            values = pyarrow.array(frames[field.name].ravel())
            lists = pyarrow.types.is_fixed_size_list(field.type)
            columns.append(pyarrow.FixedSizeListArray.from_arrays(values, type=field.type) if lists else values)
        self._writer.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))
        return {f"data/{name}": value for name, value in self._files.place.items()}

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _VideoFiles:
    """The frames of a camera, the episodes one after the other."""

    def __init__(self, directory: Path, key: str, rate_hz: float, height: int, width: int):
        self._key, self._shape = key, (height, width)
        self._rate = Fraction(rate_hz).limit_denominator(1 << 16)
        self._files = _Numbered(directory, VIDEO_PATH.replace("{video_key}", key), VIDEO_MB)
        self._container: Any = None
        self._stream: Any = None
        self._frames = 0

    def write(self, images: np.ndarray) -> dict[str, Any]:
        """Adds the frames of an episode `[frames, height, width, 3]`; where they are, and from when to when."""
        import av

        if self._files.full:
            self._open()
        begin = self._frames
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = self._frames
            self._container.mux(self._stream.encode(frame))
            self._frames += 1
        place = {f"videos/{self._key}/{name}": value for name, value in self._files.place.items()}
        times_s = {"from_timestamp": begin / self._rate, "to_timestamp": self._frames / self._rate}
        return place | {f"videos/{self._key}/{name}": float(time_s) for name, time_s in times_s.items()}

    def _open(self) -> None:
        import av

        self.close()
        self._container = av.open(str(self._files.next()), "w")
        self._stream = self._container.add_stream(CODEC, rate=self._rate, options=CODEC_OPTIONS)
        self._stream.height, self._stream.width = self._shape
        self._stream.pix_fmt = "yuv420p"
        self._frames = 0

    def close(self) -> None:
        if self._container is not None:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None


def _in_colour(image: np.ndarray) -> np.ndarray:
    """An image `[height, width, channels]` with three channels."""
    return np.repeat(image[..., :1], 3, -1) if image.shape[-1] < 3 else image[..., :3]


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """The statistics of an episode `[frames, ...]`, as `[elements]`; what is no number does not count.

    An element that never is one is told as 0, because LeRobot reads numbers alone.
    """
    rows = values.reshape(len(values), -1).astype(np.float64)
    finite = np.isfinite(rows)
    rows = np.where(finite, rows, np.nan)
    rows = np.where(finite.any(0), rows, 0.0)
    quantiles = np.nanquantile(rows, QUANTILES, axis=0)
    return {
        "min": np.nanmin(rows, 0),
        "max": np.nanmax(rows, 0),
        "mean": np.nanmean(rows, 0),
        "std": np.nanstd(rows, 0),
        "count": np.array([len(rows)]),
    } | {f"q{round(100 * share):02d}": each for share, each in zip(QUANTILES, quantiles, strict=True)}


def _image_statistics(images: np.ndarray) -> dict[str, np.ndarray]:
    """Of the colours of an episode's images, in [0, 1], as `[3, 1, 1]`; of a hundred frames at most."""
    chosen = images[np.unique(np.linspace(0, len(images) - 1, 100).round().astype(int))]
    stats = _statistics(chosen.reshape(-1, 3) / 255.0)
    return {name: values.reshape(3, 1, 1) for name, values in stats.items() if name != "count"} | {
        "count": np.array([len(chosen)])
    }


class _Aggregate:
    """Statistics of all episodes out of those of each, as LeRobot itself joins them."""

    def __init__(self) -> None:
        self._each: list[dict[str, np.ndarray]] = []
        self._known: list[np.ndarray] = []

    def add(self, stats: dict[str, np.ndarray], known: np.ndarray) -> None:
        """`known` is how many numbers each element has in that episode, `[elements]`, or one for all."""
        self._each.append(stats)
        mean = stats["mean"]
        self._known.append(np.broadcast_to(known.reshape(*known.shape, *[1] * (mean.ndim - 1)), mean.shape))

    def totals(self) -> dict[str, Any]:
        stacked = {name: np.stack([stats[name] for stats in self._each]) for name in self._each[0]}
        count, known = stacked.pop("count"), np.stack(self._known).astype(np.float64)
        known[:, known.sum(0) == 0] = 1.0  # never a number: 0 in all of them
        weight = known / known.sum(0)
        mean = (weight * stacked["mean"]).sum(0)
        variance = (weight * (stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2)).sum(0)
        totals = {name: (weight * values).sum(0) for name, values in stacked.items() if name.startswith("q")}
        lowest = np.where(known > 0, stacked["min"], np.inf).min(0)
        highest = np.where(known > 0, stacked["max"], -np.inf).max(0)
        totals |= {"min": lowest, "max": highest, "mean": mean, "std": np.sqrt(variance)}
        return {name: values.tolist() for name, values in totals.items()} | {"count": [int(count.sum())]}
