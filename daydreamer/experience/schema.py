"""The ROS 2 message definition of a step, generated from a robot specification, and its binary layout.

Pictures may stand in a file of their own, see `daydreamer.experience.picture_file`; then a step refers to them.

Steps are stored as CDR (little endian) messages of fixed size: arrays have the specification's size, so there
is not one variable length in a record. That makes a step a row of a numpy record array, and a torn or damaged
record recognisable by its frame alone.
"""

from __future__ import annotations

import dataclasses
import functools
import re

import numpy as np

from daydreamer.errors import UserError
from daydreamer.spec import RobotSpec, Space

STEP_TYPE = "daydreamer_msgs/msg/Step"
STEP_TOPIC = "/daydreamer/step"
PICTURE_TOPIC = "/daydreamer/pictures"
# Representation identifier CDR_LE and no options (OMG DDSI-RTPS 2.5, 10.2), read as a little-endian uint32.
CDR_ENCAPSULATION = 0x0100

# Identifiers that rosidl accepts for message fields.
_FIELD_NAME = re.compile(r"[a-z](?:_?[a-z0-9])*")

_NUMPY_TYPES = {
    "bool": "?",
    "uint8": "u1",
    "uint16": "<u2",
    "int32": "<i4",
    "uint32": "<u4",
    "float32": "<f4",
    "int64": "<i8",
    "uint64": "<u8",
    "float64": "<f8",
}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of the message: a ROS 2 builtin type and, for arrays, the shape it is reshaped to."""

    name: str
    ros_type: str
    shape: tuple[int, ...] = ()
    comment: str = ""

    @property
    def definition(self) -> str:
        size = f"[{int(np.prod(self.shape))}]" if self.shape else ""
        line = f"{self.ros_type}{size} {self.name}"
        return f"{line}  # {self.comment}" if self.comment else line


@dataclasses.dataclass(frozen=True)
class StepSchema:
    """Fields of a step of one robot.

    Attributes:
      fields: in the order of the message; the checksum is last.
      definition: ros2msg text.
    """

    fields: tuple[Field, ...]
    definition: str

    @functools.cached_property
    def payload_dtype(self) -> np.dtype:
        """Layout of a serialized message, its encapsulation header of four bytes included.

        CDR aligns every primitive to its own size, counted from the end of that header.
        """
        names, offsets = ["encapsulation"], [0]
        formats: list[np.dtype] = [np.dtype("<u4")]
        end = 4
        for field in self.fields:
            scalar = np.dtype(_NUMPY_TYPES[field.ros_type])
            start = 4 + -(-(end - 4) // scalar.itemsize) * scalar.itemsize
            dtype = np.dtype((scalar, field.shape))
            names.append(field.name)
            formats.append(dtype)
            offsets.append(start)
            end = start + dtype.itemsize
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": end})


def step_schema(spec: RobotSpec, refers: bool = False) -> StepSchema:
    """The message that holds a step of this robot; with `refers`, where its pictures are in place of them.

    Raises:
      UserError: a name in the specification cannot be a ROS 2 field name, or a space is empty.
    """
    fields = [
        Field("actor_life", "uint32", comment="life of the actor process in its session, from 1"),
        Field("sequence", "uint32", comment="from 0 within a life, no gaps"),
        Field("monotonic_ns", "int64", comment="steady clock, when the observation was taken"),
        Field("wall_ns", "int64", comment="wall clock, the same moment"),
        *(field for key, space in spec.observation.items() for field in _observation_fields(key, space, refers)),
        _space_field("action_requested", spec.action, "by the policy"),
        Field("action_sent", "float32", action_sent_shape(spec), "after filter and safety; NaN where damped"),
        Field("reward", "float64", comment="received on arriving at the observation"),
        *(Field(f"reward_{name}", "float64") for name in spec.reward_terms),
        *(Field(f"info_{name}", "float64") for name in spec.info),
        Field("is_first", "bool"),
        Field("is_last", "bool"),
        Field("is_terminal", "bool", comment="a time limit is last but not terminal"),
        Field("policy_version", "uint32", comment="0 for random actions"),
        Field("intervention", "bool", comment="an operator acted"),
        Field("safety_flags", "uint32"),
        Field("latency_s", "float64", comment="from the control tick to this record"),
        Field("checksum", "uint32", comment="CRC-32 of all bytes of the serialized message before it"),
    ]
    _check_names([field.name for field in fields])
    heading = f"# One control step of {spec.robot}, task {spec.task}; robot specification {spec.hash}.\n"
    return StepSchema(tuple(fields), heading + "".join(f"{field.definition}\n" for field in fields))


def action_sent_shape(spec: RobotSpec) -> tuple[int, ...]:
    """One element of what the robot is told for each of its names; one without any is sent the action itself."""
    names = spec.setpoint_names or spec.joint_names
    return (len(names),) if names else spec.action.shape


def reference_names(key: str) -> tuple[str, str, str]:
    """Fields that refer to a picture: where it begins, its bytes, and their checksum."""
    return f"observation_{key}_offset", f"observation_{key}_length", f"observation_{key}_checksum"


def _observation_fields(key: str, space: Space, refers: bool) -> list[Field]:
    if not (refers and space.is_image):
        return [_space_field(f"observation_{key}", space)]
    offset, length, checksum = reference_names(key)
    return [
        Field(offset, "uint64", comment=f"in the file of pictures, of one of shape {space.shape}"),
        Field(length, "uint32", comment="bytes"),
        Field(checksum, "uint32", comment="CRC-32 of them"),
    ]


def _space_field(name: str, space: Space, comment: str = "") -> Field:
    if 0 in space.shape:
        raise UserError(f"{name} has shape {space.shape} and so no elements; remove it from the robot specification.")
    ros_type = "int32" if space.is_discrete else space.dtype
    if ros_type not in _NUMPY_TYPES:
        raise UserError(f"{name} is of type '{space.dtype}'; a robot specification allows float32 and uint8.")
    return Field(name, ros_type, space.shape, ", ".join(filter(None, (comment, f"shape {space.shape}"))))


def _check_names(names: list[str]) -> None:
    for name in names:
        if not _FIELD_NAME.fullmatch(name):
            raise UserError(
                f"'{name}' cannot be a ROS 2 field name; in the robot specification use lower-case letters, digits "
                "and single underscores."
            )
        if names.count(name) > 1:
            raise UserError(f"The robot specification names '{name}' twice; every name must be unique.")
