"""The file beside an experience log that holds its pictures, if these are compressed.

`actor-NNNN.pictures.mcap` is only ever appended to: messages of the type `sensor_msgs/msg/CompressedImage`, which
viewers show. A step refers to its pictures by offset, length and checksum, so that steps keep one length. They are
written before it: a kill leaves at worst a picture that no step refers to, and a power loss, which costs the end of
either file, steps at the end whose pictures are not there. A step without a sound picture is damaged.
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, Header, Schema
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import MCAP0_MAGIC

from daydreamer.config import PictureFormat
from daydreamer.experience.header import RECORD_PREFIX
from daydreamer.experience.pictures import PictureStorage, decode, largest_file, picture_spaces
from daydreamer.experience.schema import CDR_ENCAPSULATION, PICTURE_TOPIC, reference_names
from daydreamer.experience.step import Step
from daydreamer.experience.stream import KernelStream
from daydreamer.spec import RobotSpec
from daydreamer.storage.files import open_file

MESSAGE_HEAD = struct.Struct("<BQHIQQ")
"""The head of an MCAP message: opcode, length of what follows, channel, sequence, log time, publish time."""

_TYPE = "sensor_msgs/msg/CompressedImage"
_RULE = "=" * 80
_DEFINITION = f"""\
std_msgs/Header header
string format
uint8[] data
{_RULE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{_RULE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""


def pictures_path(log: Path) -> Path:
    """The file that holds the pictures of a log."""
    return log.with_suffix(".pictures.mcap")


class PictureFileHead:
    """What precedes the pictures: the same bytes for every file of a robot.

    Attributes:
      content: these bytes.
      schema, channels: MCAP records in it; a channel for each camera.
    """

    def __init__(self, spec: RobotSpec):
        self.schema = Schema(id=1, name=_TYPE, encoding=SchemaEncoding.ROS2, data=_DEFINITION.encode())
        self.channels = {
            key: Channel(
                id=number,
                topic=f"{PICTURE_TOPIC}/{key}",
                message_encoding=MessageEncoding.CDR,
                metadata={},
                schema_id=self.schema.id,
            )
            for number, key in enumerate(picture_spaces(spec), 1)
        }
        builder = RecordBuilder()
        for record in (Header(profile="ros2", library="daydreamer"), self.schema, *self.channels.values()):
            record.write(builder)
        self.content: bytes = MCAP0_MAGIC + builder.end()


@dataclasses.dataclass
class WholePictures:
    """What a file of pictures has from its beginning on.

    Attributes:
      end: of the last whole picture.
      counts: of whole ones, by channel.
      log_times: of each, in ns.
    """

    end: int
    counts: Counter[int] = dataclasses.field(default_factory=Counter)
    log_times: array.array[int] = dataclasses.field(default_factory=lambda: array.array("Q"))

    def add(self, channel: int, log_time: int, end: int) -> None:
        """One more, which ends there."""
        self.counts[channel] += 1
        self.log_times.append(log_time)
        self.end = end


class PictureWriter:
    """Appends the pictures of one actor life; belongs to the thread that logs steps.

    Attributes:
      stream: what it is written through.
      head: of the file.
      whole: what has been written, so that nobody need read it to close the file.
    """

    def __init__(self, path: Path, spec: RobotSpec, storage: PictureStorage):
        """Makes the file, in place of one that no log belongs to.

        Raises:
          OSError: it cannot be written.
        """
        self._storage = storage
        self.head = PictureFileHead(spec)
        self.whole = WholePictures(len(self.head.content))
        self._channels = [(key, channel.id) for key, channel in self.head.channels.items()]
        self._text = storage.format.encode() + b"\0"
        # Stamp, an empty frame's name, the format, and the length of the picture that follows.
        self._payload = struct.Struct(f"<IIII4sI{-(-len(self._text) // 4) * 4}sI")
        self.stream = KernelStream(path, anew=True)
        self.stream.write(self.head.content)
        self.stream.commit()

    def append(self, step: Step) -> list[int]:
        """Writes the pictures of a step with one write(); offset, length and checksum of each, one after another.

        Raises:
          OSError: the disk failed.
        """
        parts: list[bytes] = []
        references: list[int] = []
        ends: list[int] = []
        end = self.stream.tell()
        seconds, nanoseconds = divmod(step.wall_ns, 1_000_000_000)
        for key, channel in self._channels:
            content = self._storage.encode(step.observation[key])
            length = MESSAGE_HEAD.size - RECORD_PREFIX.size + self._payload.size + len(content)
            parts += (
                MESSAGE_HEAD.pack(Opcode.MESSAGE, length, channel, step.sequence, step.wall_ns, step.wall_ns),
                self._payload.pack(
                    CDR_ENCAPSULATION,
                    seconds & 0xFFFFFFFF,
                    nanoseconds,
                    1,
                    b"",
                    len(self._text),
                    self._text,
                    len(content),
                ),
                content,
            )
            end += RECORD_PREFIX.size + length
            ends.append(end)
            references += (end - len(content), len(content), zlib.crc32(content))
        self.stream.write(b"".join(parts))
        for (_, channel), end in zip(self._channels, ends, strict=True):
            self.whole.add(channel, step.wall_ns, end)
        return references


class PictureReader:
    """Reads what steps refer to; a context manager, within which the file is open."""

    def __init__(self, path: Path, spec: RobotSpec, format: PictureFormat):
        self._path = path
        self._spaces = picture_spaces(spec)
        self._format = format
        self._descriptor: int | None = None

    def __enter__(self) -> PictureReader:
        with contextlib.suppress(FileNotFoundError):
            self._descriptor = open_file(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def read(self, records: np.ndarray) -> tuple[dict[str, np.ndarray], int, str]:
        """Pictures of the first of some steps, by key, uint8 `[steps, height, width, channels]`.

        Returns:
          Pictures; of how many steps all of them are sound, from the first on; why those of the next one are not,
          empty if there is none.

        Raises:
          OSError: the file cannot be read.
        """
        pictures = {key: np.empty((len(records), *space.shape), np.uint8) for key, space in self._spaces.items()}
        references = {key: [records[name].tolist() for name in reference_names(key)] for key in self._spaces}
        size = 0 if self._descriptor is None else os.fstat(self._descriptor).st_size
        for index in range(len(records)):
            for key, columns in references.items():
                offset, length, checksum = (column[index] for column in columns)
                try:
                    pictures[key][index] = self._read(key, offset, length, checksum, size)
                except ValueError as error:
                    return pictures, index, f"its picture '{key}' in {self._path.name} {error}"
        return pictures, len(records), ""

    def _read(self, key: str, offset: int, length: int, checksum: int, size: int) -> np.ndarray:
        if self._descriptor is None:
            raise ValueError("is gone with the file")
        space = self._spaces[key]
        if length > largest_file(space):
            raise ValueError(f"would have {length} bytes")
        if offset + length > size:
            raise ValueError(f"would end at byte {offset + length} of {size}, as after a power loss")
        content = os.pread(self._descriptor, length, offset)
        if len(content) != length or zlib.crc32(content) != checksum:
            raise ValueError("does not fit its checksum")
        try:
            return decode(content, space, self._format)
        except ValueError as error:
            raise ValueError(f"is none ({error})") from error
