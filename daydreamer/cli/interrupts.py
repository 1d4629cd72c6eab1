"""How a command that computes for long is ended before its time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence

INTERRUPTED_STATUS = 128 + signal.SIGINT

SHOW_CURSOR = b"\x1b[?25h"
"""What is kept up to date in a terminal hides it meanwhile."""


@contextlib.contextmanager
def interrupts(message: str, restore: Callable[[], None] | None = None) -> Iterator[Callable[[], bool]]:
    """Inside the block SIGINT, SIGTERM and SIGHUP ask for the end, which the result says; a second one ends it at once.

    As an exception an interrupt would come at any moment, also between the gradient step that has taken the learner's
    state and the one that gets the new. SIGHUP, for which a shell and the kernel may each send one, ends nothing at
    once; ignored, as under nohup, it stays so.

    Args:
      message: a line for the operator, on stderr.
      restore: called before a second one ends it. Then that has to wait for Python, as while something is compiled.
    """
    received: list[int] = []
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def receive(number: int, frame: object) -> None:
        received.append(number)
        if number == signal.SIGHUP:
            _leave(terminals)
        else:
            signal.signal(number, signal.SIG_DFL if restore is None else end)
        _write([2], message.encode() + b"\n")
        _write(terminals, SHOW_CURSOR)

    def end(number: int, frame: object) -> None:
        if restore is not None:
            restore()
        _write(terminals, SHOW_CURSOR)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, receive) for number in numbers}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(descriptors: Sequence[int], text: bytes) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # not print, which may be in the middle of something
            os.write(descriptor, text)


def _leave(terminals: Sequence[int]) -> None:
    """What is still said on one that is gone is lost, and keeps nothing from being finished."""
    for descriptor in terminals:
        if not os.isatty(descriptor):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
