"""Steps to and from serialized messages, specialised on one robot's schema.

Several times faster than a general CDR library, because the layout is fixed: scalars are packed by one
struct call, arrays through numpy views, and whole blocks of records are decoded column by column.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

import numpy as np

from daydreamer.experience.header import RECORD_PREFIX
from daydreamer.experience.pictures import picture_spaces, pixel_bytes
from daydreamer.experience.schema import CDR_ENCAPSULATION, reference_names, step_schema
from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec

MESSAGE_OPCODE = 0x05
# An MCAP message record (specification, "Message"): opcode, length of what follows, channel, sequence,
# log time, publish time; then the serialized message.
_FRAME = np.dtype(
    {
        "names": ["opcode", "length", "channel", "message_sequence", "log_time", "publish_time"],
        "formats": ["u1", "<u8", "<u2", "<u4", "<u8", "<u8"],
        "offsets": [0, 1, 9, 11, 15, 23],
        "itemsize": 31,
    }
)


_STRUCT_CODES = {"uint32": "I", "int64": "q", "uint64": "Q", "float64": "d", "bool": "?"}


class StepEncoder:
    """Serializes steps; the returned bytes start with the CDR encapsulation header and end with the checksum."""

    def __init__(self, spec: RobotSpec, store: Callable[[Step], Sequence[int]] | None = None):
        """With `store`, pictures are where it puts them; it returns the references, see `PictureWriter.append`."""
        self._store = store
        schema = step_schema(spec, store is not None)
        dtype = schema.payload_dtype
        fields = _fields(dtype)
        self._buffer = bytearray(dtype.itemsize)
        self._reward_terms, self._info = spec.reward_terms, spec.info
        self._observation_keys = spec.observation.keys()
        self._reward_term_keys, self._info_keys = set(spec.reward_terms), set(spec.info)
        self._spaces = [(key, space.shape, space.dtype == "uint8") for key, space in spec.observation.items()]
        self._observation = {
            key: self._view(fields[f"observation_{key}"]) for key in spec.observation if f"observation_{key}" in fields
        }
        self._action_requested = self._view(fields["action_requested"])
        self._action_sent = self._view(fields["action_sent"])
        self._checksum_offset = fields["checksum"][1]
        self._covered = memoryview(self._buffer)[: self._checksum_offset]
        arrays = {"action_requested", "action_sent", *(f"observation_{key}" for key in self._observation)}
        self._scalars = _scalar_struct(fields, skip=arrays | {"checksum"})

    def _view(self, field_at: tuple[np.dtype, int]) -> np.ndarray:
        field, offset = field_at
        return np.ndarray(field.shape, field.base, self._buffer, offset)

    def encode(self, step: Step) -> bytes:
        """The serialized step.

        Raises:
          ValueError: the step does not follow the specification; names the key.
          OSError: its pictures could not be stored.
        """
        terms, info = step.reward_terms, step.info
        _require_keys("observation", step.observation, self._observation_keys)
        _require_keys("reward terms", terms, self._reward_term_keys)
        _require_keys("info", info, self._info_keys)
        for key, shape, is_image in self._spaces:
            value = step.observation[key]
            # Assignment would broadcast a wrong shape and truncate a float image without a word.
            if value.shape != shape or (is_image and value.dtype != np.uint8):
                raise ValueError(f"observation '{key}' is {value.dtype}{list(value.shape)}, expected {list(shape)}")
        references = () if self._store is None else self._store(step)
        # Packing zeroes the space of the arrays, so it comes first.
        self._scalars.pack_into(
            self._buffer,
            0,
            CDR_ENCAPSULATION,
            step.actor_life,
            step.sequence,
            step.monotonic_ns,
            step.wall_ns,
            *references,
            step.reward,
            *[terms[name] for name in self._reward_terms],
            *[info[name] for name in self._info],
            step.is_first,
            step.is_last,
            step.is_terminal,
            step.policy_version,
            step.intervention,
            step.safety_flags,
            step.latency_s,
        )
        for key, view in self._observation.items():
            view[...] = step.observation[key]
        self._assign("action_requested", self._action_requested, step.action_requested)
        self._assign("action_sent", self._action_sent, step.action_sent)
        struct.pack_into("<I", self._buffer, self._checksum_offset, zlib.crc32(self._covered))
        return bytes(self._buffer)

    @staticmethod
    def _assign(name: str, view: np.ndarray, value: np.ndarray) -> None:
        if np.shape(value) != view.shape:
            raise ValueError(f"{name} has shape {np.shape(value)}, expected {view.shape}")
        view[...] = value


class StepDecoder:
    """Decodes blocks of message records.

    Attributes:
      record_size: bytes of one record, frame included; the same for every step of a log.
      step_bytes: what a step takes in memory, pictures included.
      frame: the first bytes that every record starts with (opcode, length and channel).
    """

    def __init__(self, spec: RobotSpec, channel: int, refers: bool = False):
        """With `refers`, of steps that refer to their pictures."""
        payload = step_schema(spec, refers).payload_dtype
        names, formats, offsets = [], [], []
        for part, start in ((_FRAME, 0), (payload, _FRAME.itemsize)):
            for name, (field, offset) in _fields(part).items():
                names.append(name)
                formats.append(field)
                offsets.append(start + offset)
        self.record_size = _FRAME.itemsize + payload.itemsize
        self.step_bytes = self.record_size + (pixel_bytes(spec) if refers else 0)
        self._dtype = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": self.record_size})
        self._channel = channel
        self._spec, self._refers = spec, refers
        self._covered = slice(_FRAME.itemsize, self.record_size - 4)
        self.frame = struct.pack("<BQH", MESSAGE_OPCODE, self.record_size - RECORD_PREFIX.size, channel)

    def records(self, data: bytes | memoryview) -> np.ndarray:
        """The records of `data`, which starts at one, whether they are sound or not."""
        return np.frombuffer(data, self._dtype, len(data) // self.record_size)

    def valid_prefix(self, data: memoryview, actor_life: int) -> tuple[np.ndarray, str]:
        """The undamaged records that `data` starts with, and why the record after them is not one.

        The checksum covers the message; its frame and header hold nothing that is not also in there, so that
        comparing the two covers the rest of the record.

        Args:
          data: starts at a record; may end inside of one.
          actor_life: that every step must carry.

        Returns:
          Record array; reason, empty if all complete records are undamaged.
        """
        records = self.records(data)
        checks = {
            "no step record begins here": (records["opcode"] == MESSAGE_OPCODE)
            & (records["length"] == self.record_size - RECORD_PREFIX.size)
            & (records["channel"] == self._channel),
            "its checksum does not fit its content": self._checksums(data, len(records)) == records["checksum"],
            "its message header contradicts its content": (records["message_sequence"] == records["sequence"])
            & (records["log_time"] == records["wall_ns"].view("<u8"))
            & (records["publish_time"] == records["wall_ns"].view("<u8"))
            & (records["encapsulation"] == CDR_ENCAPSULATION),
            f"it is not of actor life {actor_life}": records["actor_life"] == actor_life,
        }
        count, reason = len(records), ""
        for text, passed in checks.items():
            if not passed[:count].all():
                count, reason = int(np.argmin(passed)), text
        return records[:count], reason

    def _checksums(self, data: memoryview, count: int) -> np.ndarray:
        size, start, stop = self.record_size, self._covered.start, self._covered.stop
        crc32 = zlib.crc32
        return np.fromiter((crc32(data[i * size + start : i * size + stop]) for i in range(count)), np.uint32, count)

    def references(self, records: np.ndarray) -> np.ndarray:
        """Offset, length and checksum of each picture that records refer to, uint64 `[pictures, 3]`; sound or not."""
        names = [reference_names(key) for key in picture_spaces(self._spec)] if self._refers else []
        parts = [np.stack([records[name].astype(np.uint64) for name in three], axis=1) for three in names]
        return np.concatenate([np.zeros((0, 3), np.uint64), *parts])

    def steps(self, records: np.ndarray, pictures: Mapping[str, np.ndarray] = MappingProxyType({})) -> list[Step]:
        """Steps of valid records, with the `pictures` that they refer to; their arrays own their memory together."""
        spec = self._spec
        observation = [
            _rows(pictures[key][: len(records)] if key in pictures else records[f"observation_{key}"])
            for key in spec.observation
        ]
        terms = [records[f"reward_{name}"].tolist() for name in spec.reward_terms]
        info = [records[f"info_{name}"].tolist() for name in spec.info]
        rows = zip(
            *(records[name].tolist() for name in ("actor_life", "sequence", "monotonic_ns", "wall_ns")),
            _dictionaries(tuple(spec.observation), observation, len(records)),
            _rows(records["action_requested"]),
            _rows(records["action_sent"]),
            records["reward"].tolist(),
            _dictionaries(spec.reward_terms, terms, len(records)),
            _dictionaries(spec.info, info, len(records)),
            *(records[name].tolist() for name in ("is_first", "is_last", "is_terminal")),
            *(records[name].tolist() for name in ("policy_version", "intervention", "safety_flags", "latency_s")),
            strict=True,
        )
        return [Step(*row) for row in rows]


def _require_keys(what: str, values: Mapping[str, object], keys: Set[str]) -> None:
    if values.keys() != keys:
        raise ValueError(f"the step has {what} {sorted(values)}, the robot specification {sorted(keys)}")


def _rows(column: np.ndarray) -> list[np.ndarray]:
    # A row of a one-dimensional column would be a numpy scalar, not the array of shape () that was logged.
    column = np.ascontiguousarray(column)
    return [column[i, ...] for i in range(len(column))] if column.ndim == 1 else list(column)


def _dictionaries(names: tuple[str, ...], columns: Sequence[Sequence[Any]], count: int) -> list[dict[str, Any]]:
    if not names:
        return [{} for _ in range(count)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _fields(record: np.dtype) -> dict[str, tuple[np.dtype, int]]:
    """Type and offset of each field of a record, by name, in its order."""
    assert record.names is not None and record.fields is not None, "a record has fields"
    return {name: record.fields[name][:2] for name in record.names}


def _scalar_struct(fields: Mapping[str, tuple[np.dtype, int]], skip: Set[str]) -> struct.Struct:
    """One struct over the whole message in which the fields of `skip` are padding."""
    parts, end = ["<"], 0
    for name, (field, offset) in fields.items():
        if name in skip:
            continue
        parts.append(f"{offset - end}x{_STRUCT_CODES[field.name]}")
        end = offset + field.itemsize
    return struct.Struct("".join(parts))
