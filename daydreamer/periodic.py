"""Work at intervals: on a thread of its own, or by a loop that asks what is due."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def periodically(work: Callable[[], object], period_s: float, name: str) -> Iterator[None]:
    """Inside the block `work` is called every `period_s` on a thread; at its end a call in progress is waited for.

    The thread is not a daemon: one that is torn down with the interpreter takes half-written files with it. Nor does
    it end by an exception of `work`, which is complained about when it is another one than before: what is done again
    and again, as looking after a robot, had better fail for once than for ever.
    """
    stopped = threading.Event()

    def run() -> None:
        complaint = ""
        while not stopped.wait(period_s):
            try:
                work()
            except Exception as error:
                if complaint != (complaint := repr(error)):
                    logging.exception("%s failed and is tried again", name)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class Schedule:
    """Says when something that is to happen once in a while is due."""

    def __init__(self, period_s: float, at_once: bool = False):
        """The first time is after one period, or `at_once`."""
        self._period_s = period_s
        self._last_s = -math.inf if at_once else time.monotonic()

    def due(self) -> bool:
        """Whether a period is over; the next one begins then."""
        if time.monotonic() - self._last_s < self._period_s:
            return False
        self._last_s = time.monotonic()
        return True

    def hurry(self) -> None:
        """It is due now."""
        self._last_s = -math.inf
