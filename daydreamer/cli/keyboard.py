"""Keys in the terminal of `daydreamer walk`. A software stop is not a hardware stop."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable

from daydreamer.actor.operator import OperatorRequest

POLL_S = 0.2

KEYS = {
    " ": OperatorRequest.EMERGENCY_STOP,
    "x": OperatorRequest.EMERGENCY_RESET,
    "p": OperatorRequest.PAUSE,
    "r": OperatorRequest.RESUME,
    "i": OperatorRequest.INTERVENE,
}

HELP = (
    "Keys: space = emergency stop (in software: have the robot's own at hand), x = reset it, p = pause, r = resume, "
    "i = intervene."
)


class Keyboard:
    """Inside the `with` block, keys become requests, on a thread; only where standard input is a terminal.

    A job in the background neither touches the terminal's settings nor reads from it, which would stop it.
    """

    def __init__(self, on_request: Callable[[OperatorRequest], None], say: Callable[[str], None]):
        """`on_request` is called on the thread; `say` once, with what the keys are."""
        self._on_request = on_request
        self._say = say
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Keyboard:
        if sys.stdin is not None and sys.stdin.isatty() and _in_foreground(sys.stdin.fileno()):
            self._descriptor = sys.stdin.fileno()
            self._settings = termios.tcgetattr(self._descriptor)
            # Keys come one by one and unseen; Ctrl-C stays a signal.
            tty.setcbreak(self._descriptor)
            self._thread = threading.Thread(target=self._read, name="keyboard")
            self._thread.start()
            self._say(HELP)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            if _in_foreground(self._descriptor):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._settings)

    def _read(self) -> None:
        while not self._stopped.is_set():
            ready = select.select([self._descriptor], [], [], POLL_S)[0]
            if not ready or not _in_foreground(self._descriptor):
                self._stopped.wait(0.0 if not ready else POLL_S)
                continue
            keys = os.read(self._descriptor, 64)
            if not keys:  # the terminal is gone
                return
            for key in keys.decode(errors="replace"):
                if key in KEYS:
                    self._on_request(KEYS[key])


def _in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # a terminal that is not ours
        return False
