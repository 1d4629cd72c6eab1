"""What precedes the steps in an experience log: schema, channel and the robot's specification."""

from __future__ import annotations

import dataclasses
import io
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, McapRecord, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import MCAP0_MAGIC, Writer

from daydreamer.config import PictureFormat
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.schema import STEP_TOPIC, STEP_TYPE, step_schema
from daydreamer.spec import RobotSpec, spec_difference
from daydreamer.storage.files import open_file
from daydreamer.texts import decode_json

FORMAT_VERSION, COMPRESSED_VERSION = "1", "2"
"""The formats of logs that hold all pixels, and of those that refer to compressed pictures."""
_METADATA_NAME = "daydreamer"
_MAXIMUM_BYTES = 1 << 18
_COMPRESSED = set(get_args(PictureFormat)) - {"raw"}
_OPCODES = (Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA)
# Opcode and content length of every MCAP record.
RECORD_PREFIX = struct.Struct("<BQ")
# MCAP's specification, "Chunk": opcode, length of what follows, first and last time, uncompressed size, its checksum
# (0: none), length of the compression's name (0: none), length of the records.
CHUNK_HEAD = struct.Struct("<BQQQQIIQ")
_RESERVED_OPCODE = 0x80  # from here on records are private, and passed over by those who do not know them
RESERVED = RECORD_PREFIX.pack(_RESERVED_OPCODE, CHUNK_HEAD.size - RECORD_PREFIX.size).ljust(CHUNK_HEAD.size, b"\0")
"""Room for the head of the chunk that the steps become, see `daydreamer.experience.closing`."""


class CorruptLog(UserError):
    """Bytes of an experience log are not what was written.

    Attributes:
      path: of the log.
      offset: of the damaged record.
      reason: what is wrong there.
    """

    def __init__(self, path: Path, offset: int, reason: str):
        self.path, self.offset, self.reason = path, offset, reason
        super().__init__(
            f"{path} is damaged at byte {offset}: {reason}. Restore the file from a copy, or go on without what is "
            "damaged; all other steps are intact."
        )


@dataclasses.dataclass(frozen=True)
class LogHeader:
    """What precedes the steps of a log.

    Attributes:
      spec: of the robot that was recorded.
      actor_life: whose steps these are.
      channel: MCAP channel of the steps.
      size: bytes before the first step.
      reserved: there is room for the head of a chunk; not so in logs of earlier versions.
      settings: digest of the `session.yaml` that it was recorded by; empty in logs of earlier versions.
      pictures: their format; if it is not 'raw', steps refer to them.
      records: of MCAP, by type; each value is of the type of its key.
    """

    spec: RobotSpec
    actor_life: int
    channel: int
    size: int
    reserved: bool
    settings: str
    pictures: PictureFormat
    records: Mapping[type[McapRecord], Any] = dataclasses.field(repr=False)

    @property
    def refers(self) -> bool:
        """Whether steps refer to their pictures."""
        return self.pictures != "raw"


def write_header(
    writer: Writer, spec: RobotSpec, actor_life: int, settings: str = "", pictures: PictureFormat = "raw"
) -> int:
    """Writes everything that precedes the steps but `RESERVED`; returns the channel of the steps.

    Args:
      settings: digest of the session's settings.
      pictures: their format.

    Raises:
      UserError: the specification cannot be expressed as a ROS 2 message.
    """
    writer.start(profile="ros2")
    refers = pictures != "raw"
    schema = writer.register_schema(STEP_TYPE, SchemaEncoding.ROS2, step_schema(spec, refers).definition.encode())
    channel = writer.register_channel(STEP_TOPIC, MessageEncoding.CDR, schema)
    metadata = {
        "format_version": COMPRESSED_VERSION if refers else FORMAT_VERSION,
        "actor_life": str(actor_life),
        "spec_hash": spec.hash,
        "robot_spec": msgspec.json.encode(spec).decode(),
        "settings": settings,
    }
    if refers:
        metadata["picture_format"] = pictures
    # The metadata ends the header: a reader that has seen it has seen everything.
    writer.add_metadata(_METADATA_NAME, metadata)
    return channel


def read_header(path: Path) -> LogHeader | None:
    """The header of a log, or None while it is not there completely.

    Raises:
      OSError: it cannot be read, see `open_file`.
      CorruptLog: this is not an experience log, or its header is damaged.
      UserError: another version of this program wrote it.
    """
    try:
        descriptor = open_file(path)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(_MAXIMUM_BYTES)
    found = _header_size(path, data)
    if found is None:
        return None
    records_size, reserved = found
    try:
        records: dict[type[McapRecord], Any] = {type(record): record for record in _records(data[:records_size])}
        schema, channel, metadata = records[Schema], records[Channel], records[Metadata].metadata
        version, actor_life = metadata["format_version"], int(metadata["actor_life"])
        spec_json, spec_hash = metadata["robot_spec"], metadata["spec_hash"]
    # What the library makes of bytes that are none of its own is not among its errors.
    except (McapError, LookupError, ValueError, TypeError, struct.error, StopIteration, MemoryError) as error:
        raise CorruptLog(path, 0, f"its header cannot be parsed ({error!r})") from error
    if version not in (FORMAT_VERSION, COMPRESSED_VERSION):
        raise UserError(
            f"{path} has format version {version}, this program reads {FORMAT_VERSION} and {COMPRESSED_VERSION}; use "
            "its own one."
        )
    pictures = metadata.get("picture_format", "raw")
    if pictures not in (_COMPRESSED if version == COMPRESSED_VERSION else {"raw"}):
        raise CorruptLog(path, 0, f"pictures as {pictures!r} are nothing that format version {version} has")
    try:
        spec = decode_json(spec_json, RobotSpec)
        spec.check()
    except ValueError as error:
        raise CorruptLog(path, 0, f"the robot specification in its header is wrong ({error})") from error
    if spec.hash != spec_hash:
        raise CorruptLog(path, 0, f"the robot specification in its header has hash {spec.hash}, not {spec_hash}")
    definition = step_schema(spec, pictures != "raw").definition.encode()
    if (schema.name, channel.topic, schema.data) != (STEP_TYPE, STEP_TOPIC, definition):
        raise CorruptLog(path, 0, "its message definition does not follow from its robot specification")
    size = records_size + (len(RESERVED) if reserved else 0)
    return LogHeader(spec, actor_life, channel.id, size, reserved, metadata.get("settings", ""), pictures, records)


def check_spec(path: Path, header: LogHeader, spec: RobotSpec) -> None:
    """Refuses the log of another robot.

    Raises:
      SpecMismatch: names both hashes and what differs.
    """
    if header.spec.hash != spec.hash:
        raise SpecMismatch(
            f"{path} was recorded with robot specification {header.spec.hash}, this robot's is {spec.hash}: "
            f"{spec_difference(spec, header.spec)}. Use a session of this robot, or start a new one."
        )


def _header_size(path: Path, data: bytes) -> tuple[int, bool] | None:
    """Bytes before the steps without room for the head of a chunk, and whether there is that; None while incomplete."""
    if data[: len(MCAP0_MAGIC)] != MCAP0_MAGIC[: len(data)]:
        raise CorruptLog(path, 0, "it does not begin like an MCAP file")
    end = len(MCAP0_MAGIC)
    for expected in _OPCODES:
        start = end
        if len(data) < start + RECORD_PREFIX.size:
            return None
        opcode, length = RECORD_PREFIX.unpack_from(data, start)
        end = start + RECORD_PREFIX.size + length
        if opcode != expected or end > _MAXIMUM_BYTES:
            raise CorruptLog(path, start, "its header is not that of an experience log")
    if end > len(data):
        return None
    if data[end : end + 1] not in (bytes([_RESERVED_OPCODE]), bytes([Opcode.CHUNK])):
        return end, False
    return (end, True) if end + len(RESERVED) <= len(data) else None


def _records(data: bytes) -> list[McapRecord]:
    reader = iter(StreamReader(io.BytesIO(data)).records)
    records: list[McapRecord] = []
    while not (records and isinstance(records[-1], Metadata)):
        records.append(next(reader))
    return records
