"""Work at intervals on a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def periodically(work: Callable[[], object], period_s: float, name: str) -> Iterator[None]:
    """Inside the block `work` is called every `period_s` on a thread; at its end a call in progress is waited for.

    The thread is not a daemon: one that is torn down with the interpreter takes half-written files with it.
    """
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(period_s):
            work()

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
