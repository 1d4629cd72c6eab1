"""A bus of Feetech servos on a serial port: half duplex, where a packet is lost or damaged now and then."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import fcntl
import os
import select
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.robots.so101 import feetech
from daydreamer.robots.so101.feetech import Answer, Register

BAUD = 1_000_000

SENDING_S = 0.5
"""An adapter has taken what is sent within this; a packet is on its way for a millisecond."""
ANSWER_S = 0.02
"""Within which servos have answered: what they say takes 1.3 ms of it, the rest is the adapter's, of which some keep
everything back for 16 ms."""

TRIES = 4
"""Of a request that gets no answer that can be used."""


@dataclasses.dataclass(frozen=True)
class ArmNames:
    """How people know an arm, and what names its port and its calibration: for errors."""

    arm: str = "the arm"
    port: str = "parameter port"
    calibration: str = "parameter calibration"


DRIVEN = ArmNames()
"""That its driver drives."""


class NoAnswer(Exception):
    """A servo has not answered, however often it was asked.

    Attributes:
      servo: its id.
      garbled: whether something came each time, which could not be understood.
      several: whether more than one answered.
    """

    def __init__(self, servo: int, garbled: bool, several: bool):
        super().__init__(f"servo {servo}")
        self.servo, self.garbled, self.several = servo, garbled, several


class SerialPort:
    """A serial port in raw mode, which nobody else has open."""

    def __init__(self, path: str, names: ArmNames = DRIVEN, baud: int = BAUD):
        """Raises UserError if it cannot be opened."""
        speed = getattr(termios, f"B{baud}")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise UserError(
                f"The port {path} of {names.arm} cannot be opened ({error.strerror}); {_cure(error, names)}"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _, _, control, _, _, _, characters = termios.tcgetattr(self._file)
            control = control & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | termios.CRTSCTS)
            control |= termios.CS8 | termios.CREAD | termios.CLOCAL
            termios.tcsetattr(self._file, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        except BlockingIOError as error:
            os.close(self._file)
            raise UserError(
                f"The port {path} of {names.arm} is in use by another driver of ours; end that first, or give "
                f"{names.port} another one."
            ) from error
        except (OSError, termios.error) as error:
            os.close(self._file)
            raise UserError(
                f"The port {path} is no serial port ({error}); give {names.port} the adapter of {names.arm}."
            ) from error

    def close(self) -> None:
        os.close(self._file)

    def send(self, content: bytes) -> None:
        """Sends all of it, and forgets what has come before.

        Raises:
          OSError: the adapter is gone, or takes nothing any more.
        """
        try:
            termios.tcflush(self._file, termios.TCIFLUSH)
        except termios.error as error:  # which is no OSError
            raise OSError(*error.args) from error
        until_s = time.monotonic() + SENDING_S
        while content:
            with contextlib.suppress(BlockingIOError):
                content = content[os.write(self._file, content) :]
            if content:
                if time.monotonic() > until_s:
                    raise OSError(errno.ETIMEDOUT, "the adapter takes nothing any more")
                select.select([], [self._file], [], ANSWER_S)

    def receive(self, until_s: float) -> bytes:
        """What comes next; nothing if nothing does until then, by the steady clock.

        Raises:
          OSError: the adapter is gone.
        """
        wait_s = until_s - time.monotonic()
        if wait_s <= 0.0 or not select.select([self._file], [], [], wait_s)[0]:
            return b""
        with contextlib.suppress(BlockingIOError):
            content = os.read(self._file, 4096)
            if not content:
                raise OSError(errno.EIO, "the adapter is gone")
            return content
        return b""


class ServoBus:
    """Asks and tells servos.

    Attributes:
      asked_again: requests that had to be repeated.
      damaged: packets whose sum was wrong.
      unexpected: answers that nobody had asked for.
    """

    def __init__(self, port: SerialPort, answer_s: float = ANSWER_S) -> None:
        """After `answer_s` no answer is waited for any more."""
        self._port, self._answer_s = port, answer_s
        self.asked_again = self.damaged = self.unexpected = 0

    def ping(self, servo: int) -> None:
        """Raises NoAnswer, also where two servos answer."""
        self._ask(servo, feetech.ping(servo), 0, most=2)

    def read(self, servo: int, register: Register) -> int:
        """Raises NoAnswer."""
        return register.decode(self._ask(servo, feetech.read(servo, register.address, register.size), register.size))

    def write(self, servo: int, register: Register, value: int) -> None:
        """Raises NoAnswer if the servo does not say that it has taken it."""
        self._ask(servo, feetech.write(servo, register, value), 0)

    def write_all(self, register: Register, values: Mapping[int, int]) -> None:
        """Tells several servos at once, which do not answer."""
        self._port.send(feetech.sync_write(register, values))

    def states(self, servos: Sequence[int]) -> dict[int, Answer]:
        """What the servos say of themselves; without those that do not answer, after one more request for them."""
        found: dict[int, Answer] = {}
        for attempt in range(2):
            missing = [servo for servo in servos if servo not in found]
            if not missing:
                break
            self.asked_again += attempt
            request = feetech.sync_read(missing, feetech.STATE_ADDRESS, feetech.STATE_SIZE)
            for answer in self._answers(request, len(missing)):
                if answer.servo in missing and len(answer.content) == feetech.STATE_SIZE:
                    found[answer.servo] = answer
                else:
                    self.unexpected += 1
        return found

    def _ask(self, servo: int, request: bytes, size: int, most: int = 1) -> bytes:
        several = garbled = False
        for attempt in range(TRIES):
            self.asked_again += attempt > 0
            damaged = self.damaged
            answers = collections.Counter(self._answers(request, most))
            usable = [each for each in answers if each.servo == servo and len(each.content) == size]
            self.unexpected += sum(answers.values()) - len(usable)
            several |= sum(answers[each] for each in usable) > 1
            garbled |= self.damaged > damaged
            if len(usable) == 1 and answers[usable[0]] == 1:
                return usable[0].content
        raise NoAnswer(servo, garbled, several)

    def _answers(self, request: bytes, most: int) -> Iterator[Answer]:
        """What is answered, until nothing more comes; at most so many."""
        reader, heard = feetech.AnswerReader(), 0
        self._port.send(request)
        until_s = time.monotonic() + self._answer_s
        while heard < most and (content := self._port.receive(until_s)):
            for answer in reader.feed(content):
                heard += 1
                yield answer
        self.damaged += reader.damaged


def known_ports() -> str:
    """Those that adapters have, for people."""
    ports = sorted(str(path) for kind in ("ttyACM*", "ttyUSB*") for path in Path("/dev").glob(kind))
    return f"there are {', '.join(ports) or 'no such ports'}"


def _cure(error: OSError, names: ArmNames) -> str:
    if isinstance(error, FileNotFoundError):
        return f"plug the adapter in, or give {names.port} another one; {known_ports()}."
    if isinstance(error, PermissionError):
        return "let yourself use serial ports: sudo usermod -aG dialout $USER, and log in again."
    return f"give {names.port} the adapter of {names.arm}."
