"""Reads a LeRobotDataset, version 3, which may come from a stranger: see `lerobot_dataset` for what lies where.

Its metadata say where files are by their numbers alone, no link is followed, and parquet and video are read by
libraries that run nothing of what they read. A few bytes of parquet may stand for gigabytes: what a table has is held
against what it should have before it is read, and as a file may lie about itself, reading it gets so much memory and no
more. What is wrong with one episode ends that one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from daydreamer.contract.pictures import LARGEST_PIXELS, scaled
from daydreamer.errors import UserError
from daydreamer.export.bounded_memory import bounded_memory
from daydreamer.export.lerobot_dataset import DATA_PATH, EPISODES_PATH, FILES_PER_CHUNK, VIDEO_PATH, require_libraries
from daydreamer.storage.files import file_size, open_file, read_file
from daydreamer.texts import decode_json, printable_line

INFO_BYTES = 1 << 22
MOST_FILES = 100_000
MOST_EPISODES = 100_000
MOST_ROWS = 10_000_000
"""Of a table."""
TABLE_BYTES = 1 << 29
"""Of the numbers that are taken of a table; LeRobot's files have 100 MB, compressed."""
READ_BYTES = 3 * TABLE_BYTES
"""Of memory, for reading a table."""
LONGEST_FRAMES = 36_000
"""Of an episode: 20 minutes at 30 Hz."""
MOST_HZ = 1000.0

PICTURES = "observation.images."
_PICTURES = re.compile(r"observation\.images\.[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
COPY = "take a copy that is whole"


class EpisodeUnusable(Exception):
    """An episode cannot be read; says why, for the middle of a sentence."""


class Feature(msgspec.Struct):
    """What a frame has under a name."""

    dtype: str
    shape: list[Annotated[int, msgspec.Meta(ge=1)]] = []
    names: Any = None


class _Info(msgspec.Struct):
    """Of `info.json`, what is needed."""

    features: dict[str, Feature]
    total_episodes: int
    data_path: str | None = None
    video_path: str | None = None
    fps: float | None = None
    robot_type: str | None = None


@dataclasses.dataclass(frozen=True)
class Clip:
    """Where the pictures of an episode are: in which file, and from when."""

    file: tuple[int, int]
    begin_s: float


@dataclasses.dataclass(frozen=True)
class Episode:
    """Where an episode is.

    Attributes:
      number: that it has in the dataset.
      frames: that it has.
      file: chunk and file of its numbers.
      clips: of its pictures, by feature.
    """

    number: int
    frames: int
    file: tuple[int, int]
    clips: Mapping[str, Clip]


class RecordedDataset:
    """A dataset in a directory; only reads.

    Attributes:
      path: of it.
      features: by name.
      rate_hz: of its frames.
      robot: as it calls it; None if it does not say.
    """

    def __init__(self, directory: Path):
        """Raises UserError: a library is missing, or it is none, is empty, or is of another version."""
        require_libraries("pyarrow", "av")
        self.path = Path(os.path.realpath(directory))  # the operator's own links on the way to it are followed
        info = self._read_info()
        for name, said, ours in (
            ("data_path", info.data_path, DATA_PATH),
            ("video_path", info.video_path or VIDEO_PATH, VIDEO_PATH),
        ):
            if said != ours:
                raise self.refusal(f"its files lie elsewhere than LeRobot puts them ({name} {_short(said)})", COPY)
        if not (info.fps is not None and 0.0 < info.fps <= MOST_HZ):
            raise self.refusal(f"it does not say how many frames it has a second ({_short(info.fps)})", COPY)
        if not info.total_episodes > 0:
            raise self.refusal("it has no episode", "record one")
        self.features, self.rate_hz = info.features, info.fps
        self.robot = None if info.robot_type is None else printable_line(info.robot_type)
        self._columns: tuple[object, dict[str, np.ndarray]] = None, {}

    @property
    def pictures(self) -> list[str]:
        """Features that are pictures, and can be read."""
        return [name for name, each in self.features.items() if each.dtype == "video" and _PICTURES.fullmatch(name)]

    def read_episodes(self, pictures: Sequence[str] = ()) -> list[Episode]:
        """Where each episode is, with clips of these pictures; in their order, one at least.

        Raises:
          UserError: the metadata are damaged.
        """
        columns = ["episode_index", "length", "data/chunk_index", "data/file_index"]
        for key in pictures:
            columns += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
        episodes: list[Episode] = []
        for path in self._episode_files():
            with self._listing(path):
                most = MOST_EPISODES - len(episodes)
                for row in self._read_table(path, dict.fromkeys(columns, 1), most).to_pylist():
                    episode = _episode(row, pictures)
                    if episodes and episode.number <= episodes[-1].number:
                        raise ValueError(f"episode {episode.number} comes after {episodes[-1].number}")
                    episodes.append(episode)
        if not episodes:
            raise self.refusal("it lists no episode", COPY)
        return episodes

    def read_task(self) -> str | None:
        """What the first episode says it shows; None if it says nothing.

        Raises:
          UserError: the metadata are damaged.
        """
        import pyarrow.compute

        path = EPISODES_PATH.format(**_place((0, 0)))
        with self._listing(path), self._open_table(path) as parquet:
            rows = next(parquet.iter_batches(1, columns=["tasks"], use_threads=False), None)
            tasks = [] if rows is None else pyarrow.compute.list_flatten(rows.column("tasks"))
            return printable_line(str(tasks[0])) if len(tasks) else None

    @contextlib.contextmanager
    def _listing(self, path: str) -> Iterator[None]:
        """Raises UserError for whatever is found to be wrong in there with a list of episodes."""
        try:
            yield
        except (LookupError, ValueError, TypeError, OverflowError) as error:
            raise self.refusal(f"{path} is no list of its episodes ({_short(error)})", COPY) from error

    def _episode_files(self) -> Iterator[str]:
        for number in range(MOST_FILES):
            path = EPISODES_PATH.format(**_place(divmod(number, FILES_PER_CHUNK)))
            try:
                if number and file_size(self.path / path) is None:
                    return
            except OSError as error:
                raise self._unreadable(path, error) from error
            yield path

    def read_numbers(self, episode: Episode, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Features of an episode `[frames, elements]`, by name.

        Raises:
          EpisodeUnusable: they cannot be read, or are not those of the episode.
        """
        wanted = (*names, "timestamp", "frame_index", "episode_index")
        path = DATA_PATH.format(**_place(episode.file))
        if self._columns[0] != (path, wanted):
            self._columns = (path, wanted), self._read_columns(path, wanted)
        columns = self._columns[1]
        rows = np.flatnonzero(columns["episode_index"][:, 0] == episode.number)
        values = {name: columns[name][rows] for name in wanted}
        if not np.array_equal(values["frame_index"][:, 0], np.arange(episode.frames)):
            raise EpisodeUnusable(f"its {episode.frames} frames are not all in {path}, one after the other")
        late_s = values["timestamp"][:, 0] - np.arange(episode.frames) / self.rate_hz
        if not np.all(np.abs(late_s) < 0.5 / self.rate_hz):
            raise EpisodeUnusable(f"its frames are not {self.rate_hz:g} a second, as the dataset says")
        return values

    def read_pictures(self, episode: Episode, key: str, frames: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The pictures of some of an episode's frames, uint8 `[frames, *shape]`, RGB.

        Args:
          frames: their numbers, none smaller than the one before it.

        Raises:
          EpisodeUnusable: they cannot be decoded, or are not there.
        """
        import av

        clip = episode.clips[key]
        path = VIDEO_PATH.format(video_key=key, **_place(clip.file))
        pictures = np.empty((len(frames), *shape), np.uint8)
        try:
            # The form is stated, because others, as play lists, lead to other files.
            with os.fdopen(open_file(self.path / path), "rb") as file, av.open(file, format="mp4") as container:
                found = self._decode(container, clip.begin_s + frames / self.rate_hz, shape)
                for number, picture in enumerate(found):
                    pictures[number] = picture
        except Exception as error:  # a damaged file may make a decoder raise anything
            raise EpisodeUnusable(f"its pictures in {path} cannot be decoded ({_reason(error)})") from error
        return pictures

    def _decode(self, container: Any, times_s: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """The picture at each time. Raises ValueError: there is none."""
        stream, half_s = container.streams.video[0], 0.5 / self.rate_hz
        if not 0 < stream.width * stream.height <= LARGEST_PIXELS:
            raise ValueError(f"they have {stream.width}x{stream.height} pixels")
        container.seek(math.floor(times_s[0] / stream.time_base), stream=stream)
        frames, frame, picture = container.decode(stream), None, None
        for time_s in times_s:
            while frame is None or frame.time < time_s - half_s:
                frame, picture = next(frames, None), None
                if frame is None or frame.time is None:
                    raise ValueError(f"there is none at {time_s:.2f} s")
            if frame.time > time_s + half_s:
                raise ValueError(f"there is none at {time_s:.2f} s")
            if picture is None:
                if frame.width * frame.height > LARGEST_PIXELS:
                    raise ValueError(f"one has {frame.width}x{frame.height} pixels")
                picture = scaled(frame.to_ndarray(format="rgb24"), shape)[..., : shape[2]]
            yield picture

    def _read_info(self) -> _Info:
        path = self.path / "meta/info.json"
        try:
            info = decode_json(read_file(path, INFO_BYTES))
        except FileNotFoundError as error:
            raise UserError(
                f"{self.path} is no LeRobotDataset: it has no meta/info.json. Name the directory that has, as "
                "~/.cache/huggingface/lerobot/<user>/<name>."
            ) from error
        except (OSError, ValueError) as error:
            raise self._unreadable("meta/info.json", error) from error
        version = info.get("codebase_version") if isinstance(info, dict) else None
        if not (isinstance(version, str) and version.startswith("v3.")):
            cure = "convert it with LeRobot's convert_dataset_v21_to_v30" if version else COPY
            raise self.refusal(f"it is of version {_short(version)}, and 3 is read", cure)
        try:
            return msgspec.convert(info, _Info)
        except msgspec.ValidationError as error:
            raise self._unreadable("meta/info.json", error) from error

    @contextlib.contextmanager
    def _open_table(self, path: str) -> Iterator[Any]:
        """A parquet file, of pyarrow's. Raises ValueError: what is done with it in there fails."""
        import pyarrow.parquet

        try:
            with os.fdopen(open_file(self.path / path), "rb") as file, bounded_memory(READ_BYTES):
                yield pyarrow.parquet.ParquetFile(file)
        except MemoryError as error:
            raise ValueError(f"reading it takes more than {READ_BYTES >> 20} MiB of memory") from error
        except (OSError, pyarrow.ArrowException) as error:
            raise ValueError(_reason(error)) from error

    def _read_table(self, path: str, widths: Mapping[str, int], most_rows: int) -> Any:
        """Columns of a parquet file, as a table of pyarrow's. Raises ValueError: they cannot be read.

        Args:
          widths: of each column, how many numbers a row has.
        """
        with self._open_table(path) as parquet:
            # In this thread alone: the stacks of others would take of the memory that there is for it.
            return parquet.read(columns=_leaves(parquet, widths, most_rows), use_threads=False)

    def _read_columns(self, path: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Raises EpisodeUnusable: they cannot be read, or are not what the dataset says."""
        shapes = {name: self.features[name].shape if name in self.features else [1] for name in names}
        widths = {name: math.prod(shape) for name, shape in shapes.items()}
        try:
            table = self._read_table(path, widths, MOST_ROWS)
            return {name: _numbers(table.column(name), width) for name, width in widths.items()}
        except (LookupError, ValueError) as error:
            raise EpisodeUnusable(f"{path} cannot be read ({_short(error)})") from error

    def refusal(self, what: str, cure: str) -> UserError:
        """Why the dataset cannot be imported, a sentence of cause and cure."""
        return UserError(f"The dataset {self.path} cannot be imported: {what}; {cure}.")

    def _unreadable(self, path: str, error: Exception) -> UserError:
        link = isinstance(error, OSError) and error.errno == errno.ELOOP
        cure = "download it as files, by 'hf download --repo-type dataset <user>/<name> --local-dir'" if link else COPY
        return self.refusal(f"{path} cannot be read ({_reason(error)})", cure)


def _reason(error: Exception) -> str:
    return _short(getattr(error, "strerror", None) or error)


def _place(file: tuple[int, int]) -> dict[str, int]:
    return {"chunk_index": file[0], "file_index": file[1]}


def _episode(row: Mapping[str, Any], pictures: Sequence[str]) -> Episode:
    """Raises LookupError, ValueError or TypeError for a row that is of none."""
    clips = {key: Clip(_file(row, f"videos/{key}"), float(row[f"videos/{key}/from_timestamp"])) for key in pictures}
    number, frames = int(row["episode_index"]), int(row["length"])
    if not 0 < frames <= LONGEST_FRAMES:
        raise ValueError(f"episode {number} has {frames} frames, and 1 to {LONGEST_FRAMES} are read")
    if not all(0.0 <= clip.begin_s < 1e9 for clip in clips.values()):
        raise ValueError(f"the pictures of episode {number} begin at no time")
    return Episode(number, frames, _file(row, "data"), clips)


def _file(row: Mapping[str, Any], where: str) -> tuple[int, int]:
    chunk, file = (int(row[f"{where}/{name}"]) for name in ("chunk_index", "file_index"))
    if not (0 <= chunk < MOST_FILES and 0 <= file < MOST_FILES):
        raise ValueError(f"there is no file {file} of chunk {chunk}")
    return chunk, file


def _leaves(parquet: Any, widths: Mapping[str, int], most_rows: int) -> list[str]:
    """The paths in a parquet file of these columns of numbers.

    Raises:
      ValueError: one is not there once, is of something else, or they are larger than they may be.
    """
    groups = [parquet.metadata.row_group(number) for number in range(parquet.metadata.num_row_groups)]
    paths = [parquet.schema.column(number).path for number in range(parquet.metadata.num_columns)]
    rows, size, leaves = sum(group.num_rows for group in groups), 0, list[str]()
    if rows > most_rows:
        raise ValueError(f"it has {rows} rows, and {most_rows} are read")
    for name, width in widths.items():
        if (count := parquet.schema_arrow.names.count(name)) != 1:
            raise ValueError(f"it has {count} columns {name}" if count else f"it lacks {name}")
        element_bytes = _element_bytes(parquet.schema_arrow.field(name))
        leaf = next((path for path in (name, f"{name}.list.element", f"{name}.list.item") if path in paths), None)
        if leaf is None:
            raise ValueError(f"the lists of {name} are laid out in no known way")
        leaves.append(leaf)
        numbers = sum(group.column(paths.index(leaf)).num_values for group in groups)
        if numbers > rows * width:
            raise ValueError(f"{rows} rows of {name} have {numbers} numbers where each has {width}")
        size += numbers * element_bytes
    if size > TABLE_BYTES:
        raise ValueError(f"it has {size} bytes of numbers, and {TABLE_BYTES} are read")
    return leaves


def _element_bytes(field: Any) -> int:
    """Of a number in a column. Raises ValueError: it has something else."""
    from pyarrow import types

    kind = field.type.value_type if _is_list(field.type) else field.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise ValueError(f"{field.name} is of type {_short(field.type)}")
    return math.ceil(kind.bit_width / 8)


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return types.is_list(kind) or types.is_fixed_size_list(kind) or types.is_large_list(kind)


def _numbers(column: Any, width: int) -> np.ndarray:
    """A column of numbers of a table as `[rows, width]`. Raises ValueError: it has another width."""
    import pyarrow
    import pyarrow.compute

    values = column.combine_chunks()
    values = pyarrow.concat_arrays(values.chunks) if isinstance(values, pyarrow.ChunkedArray) else values
    rows, nulls = len(values), values.null_count
    if _is_list(values.type):
        lengths = pyarrow.compute.unique(pyarrow.compute.list_value_length(values)).to_pylist()
        if lengths not in ([], [width]):
            raise ValueError(f"a row has {lengths[0]} numbers where {width} were said")
        values = values.flatten()
        nulls += values.null_count
    if nulls or len(values) != rows * width:
        raise ValueError(f"{rows} rows have {len(values) - nulls} numbers where each has {width}")
    return values.to_numpy(zero_copy_only=False).reshape(rows, width)


def _short(what: object) -> str:
    return printable_line(str(what), 120)
