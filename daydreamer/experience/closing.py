"""What makes an experience log a complete and indexed MCAP file when its steps have come to an end.

While steps are logged they stand one behind the other, each on disk at once; a chunk, which is what an index of MCAP
points at, has a head that tells its length. So room for that head is reserved before the first step, as a record of a
kind that MCAP readers pass over, and filled in last of all. Nothing that was written is moved.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import Channel, ChunkIndex, McapRecord, Metadata, MetadataIndex, Schema, Statistics, SummaryOffset
from mcap.writer import MCAP0_MAGIC

from daydreamer.errors import UserError
from daydreamer.experience.codec import StepDecoder
from daydreamer.experience.header import CHUNK_HEAD, RECORD_PREFIX, RESERVED, CorruptLog, LogHeader, read_header
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
    size = StepDecoder(header.spec, header.channel).record_size
    begin, end = header.size, header.size + len(log_times) * size
    chunked = header.reserved and len(log_times) > 0
    _write(descriptor, _end(header, log_times, begin, end, size, chunked), end)
    os.fsync(descriptor)
    if chunked:
        first, last = int(log_times.min()), int(log_times.max())
        length = end - begin
        head = CHUNK_HEAD.pack(Opcode.CHUNK, CHUNK_HEAD.size - 9 + length, first, last, length, 0, 0, length)
        _write(descriptor, head, begin - CHUNK_HEAD.size)
        os.fsync(descriptor)


def is_complete(path: Path) -> bool:
    """Whether a log is as `complete` leaves it, as far as its head and its last bytes tell."""
    header = read_header(path)
    descriptor = open_file(path)
    try:
        size = os.fstat(descriptor).st_size
        if header is None or os.pread(descriptor, 8, max(0, size - 8)) != MCAP0_MAGIC:
            return False
        if not header.reserved:
            return True
        head = os.pread(descriptor, CHUNK_HEAD.size, header.size - CHUNK_HEAD.size)
        empty = os.pread(descriptor, len(DATA_END), header.size) == DATA_END
        return empty or head[0] == Opcode.CHUNK
    finally:
        os.close(descriptor)


def close_killed(path: Path) -> int:
    """Completes the log of an actor that was killed; returns how many bytes of a torn step were cut off.

    Nobody may be writing to it: hold the session's actor lock.

    Raises:
      CorruptLog: what follows a step is neither another one nor what a kill leaves; then nothing is changed.
      UserError: it cannot be read or written.
    """
    try:
        header = read_header(path)
        if header is None:
            raise CorruptLog(path, 0, "its header is incomplete")
        log_times, torn_bytes = _log_times(path, header)
        descriptor = open_file(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - torn_bytes)
            complete(descriptor, header, log_times)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"{path} cannot be closed ({error.strerror}); check the disk and its permissions.") from error
    return torn_bytes


def _log_times(path: Path, header: LogHeader) -> tuple[np.ndarray, int]:
    """Of all whole records, and how many bytes follow them."""
    decoder = StepDecoder(header.spec, header.channel)
    size, frame = decoder.record_size, decoder.frame
    times = [np.zeros(0, np.uint64)]
    descriptor = open_file(path)
    try:
        file_size, offset = os.fstat(descriptor).st_size, header.size
        while data := os.pread(descriptor, max(1, _BLOCK_BYTES // size) * size, offset):
            rows = np.frombuffer(data, np.uint8, len(data) // size * size).reshape(-1, size)
            framed = (rows[:, : len(frame)] == np.frombuffer(frame, np.uint8)).all(axis=1)
            count = len(rows) if framed.all() else int(np.argmin(framed))
            times.append(np.ascontiguousarray(rows[:count, 15:23]).view("<u8").ravel())
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
    return np.concatenate(times), file_size - offset


def _end(header: LogHeader, log_times: np.ndarray, begin: int, end: int, size: int, chunked: bool) -> bytes:
    """All that follows the last step."""
    index = b""
    if chunked:
        entries = np.empty((len(log_times), 2), "<u8")
        entries[:, 0], entries[:, 1] = log_times, np.arange(len(log_times)) * size
        content = struct.pack("<HI", header.channel, entries.nbytes) + entries.tobytes()
        index = RECORD_PREFIX.pack(Opcode.MESSAGE_INDEX, len(content)) + content
    summary_start = end + len(index) + len(DATA_END) + 4
    groups = _summary_groups(header, log_times, begin, end, len(index), chunked)
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
    return index + DATA_END + bytes(4) + summarised + footer + checksum + MCAP0_MAGIC


def _summary_groups(
    header: LogHeader, log_times: np.ndarray, begin: int, end: int, index_length: int, chunked: bool
) -> list[tuple[Opcode, Sequence[McapRecord]]]:
    schema, channel, metadata = header.records[Schema], header.records[Channel], header.records[Metadata]
    counted = len(log_times)
    statistics = Statistics(
        attachment_count=0,
        channel_count=1,
        channel_message_counts={header.channel: counted},
        chunk_count=int(chunked),
        message_count=counted,
        message_start_time=int(log_times.min()) if counted else 0,
        message_end_time=int(log_times.max()) if counted else 0,
        metadata_count=1,
        schema_count=1,
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
