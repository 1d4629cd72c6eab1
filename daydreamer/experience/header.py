"""What precedes the steps in an experience log: schema, channel and the robot's specification."""

from __future__ import annotations

import dataclasses
import io
import struct
from pathlib import Path

import msgspec
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import MCAP0_MAGIC, Writer

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.schema import STEP_TOPIC, STEP_TYPE, step_schema
from daydreamer.spec import RobotSpec, spec_difference

FORMAT_VERSION = 1
_METADATA_NAME = "daydreamer"
_MAXIMUM_BYTES = 1 << 18
_OPCODES = (Opcode.HEADER, Opcode.SCHEMA, Opcode.CHANNEL, Opcode.METADATA)
# Opcode and content length of every MCAP record.
RECORD_PREFIX = struct.Struct("<BQ")


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
    """

    spec: RobotSpec
    actor_life: int
    channel: int
    size: int


def write_header(writer: Writer, spec: RobotSpec, actor_life: int) -> int:
    """Writes everything that precedes the steps; returns the channel of the steps.

    Raises:
      UserError: the specification cannot be expressed as a ROS 2 message.
    """
    writer.start(profile="ros2")
    schema = writer.register_schema(STEP_TYPE, SchemaEncoding.ROS2, step_schema(spec).definition.encode())
    channel = writer.register_channel(STEP_TOPIC, MessageEncoding.CDR, schema)
    metadata = {
        "format_version": str(FORMAT_VERSION),
        "actor_life": str(actor_life),
        "spec_hash": spec.hash,
        "robot_spec": msgspec.json.encode(spec).decode(),
    }
    # The metadata ends the header: a reader that has seen it has seen everything.
    writer.add_metadata(_METADATA_NAME, metadata)
    return channel


def read_header(path: Path) -> LogHeader | None:
    """The header of a log, or None while it is not there completely.

    Raises:
      CorruptLog: this is not an experience log, or its header is damaged.
      UserError: another version of this program wrote it.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAXIMUM_BYTES)
    except FileNotFoundError:
        return None
    size = _header_size(path, data)
    if size is None:
        return None
    try:
        records = {type(record): record for record in _records(data[:size])}
        schema, channel, metadata = records[Schema], records[Channel], records[Metadata].metadata
        version, actor_life = metadata["format_version"], int(metadata["actor_life"])
        spec_json, spec_hash = metadata["robot_spec"], metadata["spec_hash"]
    except (McapError, KeyError, ValueError, struct.error) as error:
        raise CorruptLog(path, 0, f"its header cannot be parsed ({error!r})") from error
    if version != str(FORMAT_VERSION):
        raise UserError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; use its own one.")
    try:
        spec = msgspec.json.decode(spec_json, type=RobotSpec)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise CorruptLog(path, 0, f"the robot specification in its header is wrong ({error})") from error
    if spec.hash != spec_hash:
        raise CorruptLog(path, 0, f"the robot specification in its header has hash {spec.hash}, not {spec_hash}")
    if (schema.name, channel.topic, schema.data) != (STEP_TYPE, STEP_TOPIC, step_schema(spec).definition.encode()):
        raise CorruptLog(path, 0, "its message definition does not follow from its robot specification")
    return LogHeader(spec, actor_life, channel.id, size)


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


def _header_size(path: Path, data: bytes) -> int | None:
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
    return end if end <= len(data) else None


def _records(data: bytes) -> list:
    reader = iter(StreamReader(io.BytesIO(data)).records)
    records = []
    while not (records and isinstance(records[-1], Metadata)):
        records.append(next(reader))
    return records
