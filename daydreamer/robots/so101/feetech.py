"""The bytes that Feetech's STS servos and their host exchange: packets, registers, and numbers in them.

A packet is 255, 255, the servo's id, the number of bytes that follow, what is wanted or what is wrong, parameters, and
a sum over all but the first two. Words have their low byte first; what may be negative has its sign in a bit of its
own. Compared byte for byte with what the maker's own library sends; not yet exchanged with a servo.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

HEADER = b"\xff\xff"
BROADCAST = 0xFE
LARGEST_ID = 0xFC

PING, READ, WRITE, SYNC_READ, SYNC_WRITE = 1, 2, 3, 0x82, 0x83

MODEL_STS3215 = 777

LARGEST_LENGTH = 250
"""Of what follows the third byte."""


@dataclasses.dataclass(frozen=True)
class Register:
    """Where a servo has a number.

    Attributes:
      address: of its low byte.
      size: bytes.
      sign_bit: that says that it is negative; None if it never is.
    """

    address: int
    size: int = 1
    sign_bit: int | None = None

    def encode(self, value: int) -> bytes:
        """A whole number as the servo has it.

        Raises:
          ValueError: it does not fit.
        """
        magnitude = abs(value)
        limit = 1 << (8 * self.size if self.sign_bit is None else self.sign_bit)
        if magnitude >= limit or (value < 0 and self.sign_bit is None):
            raise ValueError(f"{value} does not fit into register {self.address}")
        if value < 0 and self.sign_bit is not None:
            magnitude |= 1 << self.sign_bit
        return magnitude.to_bytes(self.size, "little")

    def decode(self, content: bytes) -> int:
        """The number in its `size` bytes."""
        value = int.from_bytes(content, "little")
        if self.sign_bit is None or not value >> self.sign_bit & 1:
            return value
        return -(value & ~(1 << self.sign_bit))


MODEL = Register(3, 2)
LOWER_LIMIT, UPPER_LIMIT = Register(9, 2), Register(11, 2)
P_GAIN, D_GAIN, I_GAIN = Register(21), Register(22), Register(23)
HOMING_OFFSET = Register(31, 2, sign_bit=11)
TORQUE_ENABLE, ACCELERATION = Register(40), Register(41)
GOAL_POSITION = Register(42, 2, sign_bit=15)
TORQUE_LIMIT = Register(48, 2)
POSITION, VELOCITY = Register(56, 2, sign_bit=15), Register(58, 2, sign_bit=15)
LOAD = Register(60, 2, sign_bit=10)
VOLTAGE, TEMPERATURE = Register(62), Register(63)
STATUS = Register(65)
CURRENT = Register(69, 2, sign_bit=15)

STATE = (POSITION, VELOCITY, LOAD, VOLTAGE, TEMPERATURE, STATUS, CURRENT)
"""What is read at every tick: one block."""
STATE_ADDRESS, STATE_SIZE = POSITION.address, CURRENT.address + CURRENT.size - POSITION.address

FAULTS = {1: "voltage", 2: "angle sensor", 4: "overheated", 8: "current", 32: "overloaded"}
"""By bit of what a servo says is wrong."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A packet of a servo.

    Attributes:
      servo: its id.
      faults: bits of `FAULTS`.
      content: what was read.
    """

    servo: int
    faults: int
    content: bytes


def packet(servo: int, instruction: int, parameters: bytes = b"") -> bytes:
    """What the host sends."""
    body = bytes((servo, len(parameters) + 2, instruction)) + parameters
    return HEADER + body + bytes((checksum(body),))


def ping(servo: int) -> bytes:
    return packet(servo, PING)


def read(servo: int, address: int, size: int) -> bytes:
    return packet(servo, READ, bytes((address, size)))


def write(servo: int, register: Register, value: int) -> bytes:
    return packet(servo, WRITE, bytes((register.address,)) + register.encode(value))


def sync_read(servos: Sequence[int], address: int, size: int) -> bytes:
    """Every one of the servos answers, in this order."""
    return packet(BROADCAST, SYNC_READ, bytes((address, size, *servos)))


def sync_write(register: Register, values: Mapping[int, int]) -> bytes:
    """Nobody answers. Values by servo."""
    content = b"".join(bytes((servo,)) + register.encode(value) for servo, value in values.items())
    return packet(BROADCAST, SYNC_WRITE, bytes((register.address, register.size)) + content)


def answer(servo: int, content: bytes = b"", faults: int = 0) -> bytes:
    """What a servo sends."""
    return packet(servo, faults, content)


def checksum(body: bytes) -> int:
    return ~sum(body) & 0xFF


def state_of(content: bytes) -> dict[Register, int]:
    """The numbers of `STATE` in a block of `STATE_SIZE` bytes."""
    begin = STATE_ADDRESS
    return {each: each.decode(content[each.address - begin : each.address - begin + each.size]) for each in STATE}


def fault_names(faults: int) -> str:
    """What a servo says is wrong, in words; empty for nothing."""
    return ", ".join(name for bit, name in FAULTS.items() if faults & bit)


class AnswerReader:
    """Finds answers among bytes that come in pieces, and among others.

    Attributes:
      damaged: packets whose sum was wrong.
      skipped: bytes that belonged to no packet.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.damaged = self.skipped = 0

    def forget(self) -> None:
        """Whatever has begun will not be ended."""
        self.skipped += len(self._bytes)
        self._bytes.clear()

    def feed(self, content: bytes) -> list[Answer]:
        """The answers that are complete with these bytes."""
        self._bytes += content
        answers = []
        while (found := self._next()) is not None:
            answers.append(found)
        return answers

    def _next(self) -> Answer | None:
        data = self._bytes
        while True:
            begin = data.find(HEADER)
            keep = begin if begin >= 0 else len(data) - (data[-1:] == b"\xff")
            self.skipped += keep
            del data[:keep]
            if len(data) < 4:
                return None
            servo, length = data[2], data[3]
            if servo > LARGEST_ID or not 2 <= length <= LARGEST_LENGTH:
                self.skipped += 1
                del data[:1]  # a third 255, perhaps, before the packet
                continue
            if len(data) < length + 4:
                return None
            body = bytes(data[2 : length + 3])
            if data[length + 3] != checksum(body):
                self.damaged += 1
                del data[:2]  # a packet may begin within
                continue
            del data[: length + 4]
            return Answer(servo, body[2], body[3:])


def count_by(values: Iterable[int]) -> dict[int, int]:
    """How often each is there, of those that are there more than once."""
    return {value: number for value, number in collections.Counter(values).items() if number > 1}
