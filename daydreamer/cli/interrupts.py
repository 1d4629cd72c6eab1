"""How a command that computes for long is ended before its time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

INTERRUPTED_STATUS = 128 + signal.SIGINT


@contextlib.contextmanager
def interrupts(message: str) -> Iterator[Callable[[], bool]]:
    """Inside the block SIGINT and SIGTERM ask for the end, which the result says; a second one ends it at once.

    As an exception an interrupt would come at any moment, also between the gradient step that has taken the learner's
    state and the one that gets the new.

    Args:
      message: a line for the operator, on stderr.
    """
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # not print, which may be in the middle of something
            os.write(2, message.encode() + b"\n")

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
