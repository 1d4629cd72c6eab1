"""What makes an experience log a complete and indexed MCAP file when its steps have come to an end.

While steps are logged they stand one behind the other, each on disk at once; a chunk, which is what an index of MCAP
points at, has a head that tells its length. So room for that head is reserved before the first step, as a record of a
kind that MCAP readers pass over, and filled in last of all. Nothing that was written is moved. A file of pictures
gets an end alike, but no index.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, McapRecord, Metadata, MetadataIndex, Schema, Statistics, SummaryOffset
from mcap.writer import MCAP0_MAGIC

from daydreamer.errors import UserError
from daydreamer.experience.codec import StepDecoder
from daydreamer.experience.header import CHUNK_HEAD, RECORD_PREFIX, RESERVED, CorruptLog, LogHeader, read_header
from daydreamer.experience.picture_file import MESSAGE_HEAD, PictureFileHead, WholePictures, pictures_path
from daydreamer.experience.pictures import largest_file, picture_spaces
from daydreamer.spec import RobotSpec
from daydreamer.storage.files import open_file

DATA_END = RECORD_PREFIX.pack(Opcode.DATA_END, 4)
_BLOCK_BYTES = 4 << 20


def complete(descriptor: int, header: LogHeader, log_times: np.ndarray) -> None:
    """Appends index, summary and footer to a log that ends with its last step, and closes its chunk; syncs all.

    Args:
      descriptor: of the log, open for writing, anywhere in it: not in append mode.
      log_times: `[steps]` uint64, of its messages, in ns.

    Raises:
      OSError: the disk failed. The steps are as readable as before.
    """
    size = StepDecoder(header.spec, header.channel, header.refers).record_size
    begin, end = header.size, header.size + len(log_times) * size
    chunked = header.reserved and len(log_times) > 0
    _write(descriptor, _end(header, log_times, begin, end, size, chunked), end)
    os.fsync(descriptor)
    if chunked:
        first, last = int(log_times.min()), int(log_times.max())
        length = end - begin
        record_length = CHUNK_HEAD.size - RECORD_PREFIX.size + length
        head = CHUNK_HEAD.pack(Opcode.CHUNK, record_length, first, last, length, 0, 0, length)
        _write(descriptor, head, begin - CHUNK_HEAD.size)
        os.fsync(descriptor)


def is_complete(path: Path) -> bool:
    """Whether a log is as `complete` leaves it, as far as its head and its last bytes tell."""
    header = read_header(path)
    descriptor = open_file(path)
    try:
        if header is None or not _is_closed(descriptor, header):
            return False
    finally:
        os.close(descriptor)
    if not header.refers:
        return True
    try:
        descriptor = open_file(pictures_path(path))
    except FileNotFoundError:
        return True  # what is gone lacks no end
    try:
        return _ends_whole(descriptor)
    finally:
        os.close(descriptor)


def _is_closed(descriptor: int, header: LogHeader) -> bool:
    """As `is_complete`, of a log without its pictures."""
    if not _ends_whole(descriptor):
        return False
    if not header.reserved:
        return True
    head = os.pread(descriptor, CHUNK_HEAD.size, header.size - CHUNK_HEAD.size)
    empty = os.pread(descriptor, len(DATA_END), header.size) == DATA_END
    return empty or head[0] == Opcode.CHUNK


def _ends_whole(descriptor: int) -> bool:
    """Whether an MCAP file has its end."""
    return os.pread(descriptor, 8, max(0, os.fstat(descriptor).st_size - 8)) == MCAP0_MAGIC


def complete_pictures(descriptor: int, head: PictureFileHead, whole: WholePictures) -> None:
    """Appends summary and footer to a file that ends with its last whole picture, and syncs it.

    Args:
      descriptor: of the file, open for writing, not in append mode.

    Raises:
      OSError: the disk failed. The pictures are as readable as before.
    """
    log_times = np.array(whole.log_times, np.uint64)
    statistics = _statistics(whole.counts, log_times, schema_count=1, channel_count=len(head.channels))
    groups: _Groups = [
        (Opcode.SCHEMA, [head.schema]),
        (Opcode.CHANNEL, [*head.channels.values()]),
        (Opcode.STATISTICS, [statistics]),
    ]
    _write(descriptor, _ending(groups, whole.end), whole.end)
    os.fsync(descriptor)


def _close_killed_pictures(descriptor: int, path: Path, spec: RobotSpec, references: np.ndarray) -> int:
    """Completes a file of pictures; returns how many bytes were cut off before.

    These are what follows the last whole picture: one that was being written when the actor was killed, or zeros that
    a power loss has left in place of some; if of the file's beginning, everything.

    Args:
      descriptor: of the file, open for reading and writing.
      path: of the file.
      references: of the steps, see `StepDecoder.references`; no sound picture is cut off that one of them is of.

    Raises:
      CorruptLog: a sound picture that a step refers to lies behind bytes that are no pictures, or the file is not one
        of this robot's; then nothing is changed.
      OSError: the disk failed.
    """
    head, size = PictureFileHead(spec), os.fstat(descriptor).st_size
    begin = os.pread(descriptor, len(head.content), 0)
    if any(byte not in (0, expected) for byte, expected in zip(begin, head.content, strict=False)):
        raise CorruptLog(path, 0, "it does not begin like a file of this robot's pictures, so that it cannot be closed")
    begun = begin == head.content
    whole = _whole_pictures(descriptor, head, size) if begun else WholePictures(len(head.content))
    end = whole.end if begun else 0
    largest = max(map(largest_file, picture_spaces(spec).values()), default=0)
    if _is_any_sound(descriptor, _reaching_behind(references, end, size, largest)):
        raise CorruptLog(path, end, "no picture begins here, so that it cannot be closed")
    os.ftruncate(descriptor, end)
    if not begun:
        _write(descriptor, head.content, 0)
    complete_pictures(descriptor, head, whole)
    return size - end


def _reaching_behind(references: np.ndarray, end: int, size: int, largest: int) -> np.ndarray:
    """Those to pictures that reach behind byte `end` of a file, but not out of it, and are not larger than any is."""
    offsets, lengths, _ = references.T
    inside = (lengths <= min(largest, size)) & (offsets <= size - np.minimum(lengths, size))
    reaching: np.ndarray = references[inside & (offsets + lengths > end)]
    return reaching


def _is_any_sound(descriptor: int, references: np.ndarray) -> bool:
    return any(
        zlib.crc32(os.pread(descriptor, length, offset)) == checksum for offset, length, checksum in references.tolist()
    )


def _whole_pictures(descriptor: int, head: PictureFileHead, size: int) -> WholePictures:
    channels = {channel.id for channel in head.channels.values()}
    whole = WholePictures(len(head.content))
    while len(data := os.pread(descriptor, MESSAGE_HEAD.size, whole.end)) == MESSAGE_HEAD.size:
        opcode, length, channel, _, log_time, _ = MESSAGE_HEAD.unpack(data)
        record_size = RECORD_PREFIX.size + length
        if opcode != Opcode.MESSAGE or channel not in channels:
            break
        if not MESSAGE_HEAD.size <= record_size <= size - whole.end:
            break
        whole.add(channel, log_time, whole.end + record_size)
    return whole


@dataclasses.dataclass(frozen=True)
class TornBytes:
    """What was cut off the files of a killed actor.

    Attributes:
      log: bytes of a torn step, or of an end that was being written.
      pictures: the same of its pictures.
    """

    log: int = 0
    pictures: int = 0


def close_killed(path: Path) -> TornBytes:
    """Completes the log of a killed actor, and its pictures before; what is complete of both is left alone.

    Nobody may be writing to it: hold the session's actor lock.

    Raises:
      CorruptLog: what follows a step is neither another one nor what a kill leaves, or its pictures cannot be closed,
        see `_close_killed_pictures`; then nothing is changed.
      UserError: it cannot be read or written.
    """
    try:
        header = read_header(path)
        if header is None:
            raise CorruptLog(path, 0, "its header is incomplete")
        log_times, torn_bytes, references = _log_times(path, header)
        torn_pictures = _close_pictures(pictures_path(path), header.spec, references) if header.refers else 0
        descriptor = open_file(path, os.O_RDWR)
        try:
            if _is_closed(descriptor, header):
                return TornBytes(pictures=torn_pictures)
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn_bytes)
            complete(descriptor, header, log_times)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"{path} cannot be closed ({error.strerror}); check the disk and its permissions.") from error
    return TornBytes(torn_bytes, torn_pictures)


def _close_pictures(path: Path, spec: RobotSpec, references: np.ndarray) -> int:
    try:
        descriptor = open_file(path, os.O_RDWR)
    except FileNotFoundError:
        return 0  # who reads the log is told
    try:
        return 0 if _ends_whole(descriptor) else _close_killed_pictures(descriptor, path, spec, references)
    finally:
        os.close(descriptor)


def _log_times(path: Path, header: LogHeader) -> tuple[np.ndarray, int, np.ndarray]:
    """Times of all whole records, how many bytes follow them, and their references, see `StepDecoder.references`."""
    decoder = StepDecoder(header.spec, header.channel, header.refers)
    size, frame = decoder.record_size, decoder.frame
    times, references = [np.zeros(0, np.uint64)], [np.zeros((0, 3), np.uint64)]
    descriptor = open_file(path)
    try:
        file_size, offset = os.fstat(descriptor).st_size, header.size
        while data := os.pread(descriptor, max(1, _BLOCK_BYTES // size) * size, offset):
            rows = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)
            framed = (rows[:, : len(frame)] == np.frombuffer(frame, np.uint8)).all(axis=1)
            count = len(rows) if framed.all() else int(np.argmin(framed))
            records = decoder.records(data)[:count]
            times.append(records["log_time"].copy())  # a view would keep all of the log in memory
            references.append(decoder.references(records))
            offset += count * size
            rest = data[count * size :]
            if count < len(rows) or len(data) % size or not count:
                begin = rest[: len(frame)]
                torn = len(rest) < size and frame.startswith(begin)
                # An index follows steps, see `LogTail`.
                indexed = begin[:1] == bytes([Opcode.MESSAGE_INDEX]) and offset > header.size
                if not (torn or indexed or DATA_END.startswith(begin[: len(DATA_END)])):
                    raise CorruptLog(path, offset, "no step record begins here, so that it cannot be closed")
                break
    finally:
        os.close(descriptor)
    return np.concatenate(times), file_size - offset, np.concatenate(references)


def _end(header: LogHeader, log_times: np.ndarray, begin: int, end: int, size: int, chunked: bool) -> bytes:
    """All that follows the last step."""
    index = b""
    if chunked:
        entries = np.empty((len(log_times), 2), "<u8")
        entries[:, 0], entries[:, 1] = log_times, np.arange(len(log_times)) * size
        content = struct.pack("<HI", header.channel, entries.nbytes) + entries.tobytes()
        index = RECORD_PREFIX.pack(Opcode.MESSAGE_INDEX, len(content)) + content
    return index + _ending(_summary_groups(header, log_times, begin, end, len(index), chunked), end + len(index))


_Groups = list[tuple[Opcode, Sequence[McapRecord]]]


def _ending(groups: _Groups, begin: int) -> bytes:
    """What ends an MCAP file from byte `begin` on: the end of the data, a summary of these records, and a footer."""
    summary_start = begin + len(DATA_END) + 4
    summary, offsets = RecordBuilder(), RecordBuilder()
    for opcode, records in groups:
        start = summary.count
        for record in records:
            record.write(summary)
        if records:
            SummaryOffset(
                group_opcode=opcode, group_start=summary_start + start, group_length=summary.count - start
            ).write(offsets)
    offset_start = summary_start + summary.count
    summarised: bytes = summary.end() + offsets.end()
    footer = RECORD_PREFIX.pack(Opcode.FOOTER, 20) + struct.pack("<QQ", summary_start, offset_start)
    checksum = struct.pack("<I", zlib.crc32(summarised + footer))
    return DATA_END + bytes(4) + summarised + footer + checksum + MCAP0_MAGIC


def _statistics(counts: Mapping[int, int], log_times: np.ndarray, **others: int) -> Statistics:
    """The statistics of messages by channel; what else there may be is not there unless `others` say so."""
    fields = {"attachment_count": 0, "chunk_count": 0, "metadata_count": 0} | others
    return Statistics(
        channel_message_counts=dict(counts),
        message_count=len(log_times),
        message_start_time=int(log_times.min()) if len(log_times) else 0,
        message_end_time=int(log_times.max()) if len(log_times) else 0,
        **fields,
    )


def _summary_groups(
    header: LogHeader, log_times: np.ndarray, begin: int, end: int, index_length: int, chunked: bool
) -> _Groups:
    schema, channel, metadata = header.records[Schema], header.records[Channel], header.records[Metadata]
    counts = {header.channel: len(log_times)}
    statistics = _statistics(
        counts, log_times, schema_count=1, channel_count=1, chunk_count=int(chunked), metadata_count=1
    )
    chunk = ChunkIndex(
        chunk_length=CHUNK_HEAD.size + end - begin,
        chunk_start_offset=begin - CHUNK_HEAD.size,
        compression="",
        compressed_size=end - begin,
        uncompressed_size=end - begin,
        message_start_time=statistics.message_start_time,
        message_end_time=statistics.message_end_time,
        message_index_offsets={header.channel: end},
        message_index_length=index_length,
    )
    # The metadata is the last record before the room for the chunk's head.
    builder = RecordBuilder()
    metadata.write(builder)
    length = builder.count
    metadata_begin = begin - length - (len(RESERVED) if header.reserved else 0)
    return [
        (Opcode.SCHEMA, [schema]),
        (Opcode.CHANNEL, [channel]),
        (Opcode.STATISTICS, [statistics]),
        (Opcode.CHUNK_INDEX, [chunk] if chunked else []),
        (Opcode.METADATA_INDEX, [MetadataIndex(offset=metadata_begin, length=length, name=metadata.name)]),
    ]


def _write(descriptor: int, data: bytes, offset: int) -> None:
    remaining = memoryview(data)
    while remaining:
        written = os.pwrite(descriptor, remaining, offset)
        offset += written
        remaining = remaining[written:]
