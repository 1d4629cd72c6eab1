"""Keys in the terminal, of `daydreamer walk` first of all. A software stop is not a hardware stop."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable
from typing import Protocol

from daydreamer.actor.operator import OperatorRequest
from daydreamer.actor.steering import STEERING

POLL_S = 0.2

STOP = " "

KEYS = {
    STOP: OperatorRequest.EMERGENCY_STOP,
    "x": OperatorRequest.EMERGENCY_RESET,
    "p": OperatorRequest.PAUSE,
    "r": OperatorRequest.RESUME,
    "i": OperatorRequest.INTERVENE,
}

CONFIRM = "Y"
"""Follows `x` and `r`, which may set a robot in motion; no word has it after one of them."""

QUESTIONS = {
    OperatorRequest.EMERGENCY_RESET: "Reset the emergency stop?",
    OperatorRequest.RESUME: "Resume, or set out? Is nobody within the robot's reach?",
}

ALONE_S = 0.3
"""Nothing is typed for so long before and after a key that is meant: words, pastes and answers of the terminal come
faster."""

CONFIRM_S = 5.0

HELP = (
    "Keys: space = emergency stop (in software: have the robot's own at hand), x = reset it, p = pause, r = resume, "
    "i = intervene, again to end; then w a s d, arrows, q and e steer an arm or wheels. x and r ask for a capital Y."
)

ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_TOKEN = re.compile(r"\x1b[\[O][0-9;?]*[@-~]|.", re.DOTALL)
_TORN = re.compile(r"\x1b(?:[\[O][0-9;?]*)?\Z")


class KeySplitter:
    """Takes apart what a terminal sends for keys. A network may tear what it sends for one."""

    def __init__(self) -> None:
        self._torn = ""

    def split(self, characters: str) -> list[str]:
        """A character each, or an arrow's name; nothing for other keys that are more than a character."""
        characters = self._torn + characters
        torn = _TORN.search(characters)
        self._torn = torn.group() if torn else ""
        tokens = _TOKEN.findall(characters.removesuffix(self._torn))
        return [token if len(token) == 1 else ARROWS.get(token[-1], "") for token in tokens]


class Reader(Protocol):
    """Makes something of what is typed. Without a clock and a terminal of its own."""

    def take(self, characters: str, now_s: float) -> None:
        """What was typed at `now_s` of a steady clock."""

    def look(self, now_s: float) -> None:
        """Called every now and then."""


class KeyReader:
    """Finds in what is typed the keys that are meant. Without a clock and a terminal of its own.

    The stop acts at once, wherever it stands, and so do keys that steer. Any other key acts when it has come alone, and
    `x` and `r` when a `Y`, alone as well, has confirmed them.
    """

    def __init__(
        self,
        on_request: Callable[[OperatorRequest], None],
        say: Callable[[str], None],
        on_steer: Callable[[str], None] = lambda key: None,
    ):
        """`on_steer` is called with every key of `STEERING`: it means something while the operator intervenes."""
        self._on_request = on_request
        self._say = say
        self._on_steer = on_steer
        self._splitter = KeySplitter()
        self._typed = ""
        self._last_s = float("-inf")
        self._asked: OperatorRequest | None = None
        self._asked_s = float("-inf")

    def take(self, characters: str, now_s: float) -> None:
        """What was typed at `now_s` of a steady clock."""
        if STOP in characters:
            self._asked = None
            self._on_request(OperatorRequest.EMERGENCY_STOP)
        for key in self._splitter.split(characters):
            if key in STEERING:
                self._on_steer(key)
        # What was waiting to be alone is not. A long paste need not be kept for that.
        self._typed = (self._typed + characters)[:2] if now_s - self._last_s < ALONE_S else characters[:2]
        self._last_s = now_s

    def look(self, now_s: float) -> None:
        """Call it every now and then: carries out what has been alone for long enough by now."""
        if self._asked is not None and not self._typed and now_s - self._asked_s > CONFIRM_S:
            self._asked = None
            self._say("Not confirmed; nothing has changed.")
        if not self._typed or now_s - self._last_s < ALONE_S:
            return
        typed, self._typed = self._typed, ""
        asked, self._asked = self._asked, None
        if asked is not None and typed == CONFIRM and self._last_s - self._asked_s < CONFIRM_S:
            self._on_request(asked)
            return
        request = KEYS.get(typed)
        if request in QUESTIONS:
            self._asked, self._asked_s = request, now_s
            self._say(f"{QUESTIONS[request]} Press Y, a capital one, within {CONFIRM_S:g} s.")
        elif request not in (None, OperatorRequest.EMERGENCY_STOP):
            self._on_request(request)
        elif asked is not None:
            self._say("Not confirmed; nothing has changed.")


class Typing:
    """Inside the `with` block, what is typed is read, on a thread; only where standard input is a terminal.

    A job in the background neither touches the terminal's settings nor reads from it, which would stop it.
    """

    def __init__(self, reader: Reader, on_begin: Callable[[], None]):
        """`reader` is called on the thread; `on_begin` if there is a terminal, once it is read from."""
        self._reader = reader
        self._on_begin = on_begin
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Typing:
        if can_type():
            self._descriptor = sys.stdin.fileno()
            self._settings = termios.tcgetattr(self._descriptor)
            # Keys come one by one and unseen; Ctrl-C stays a signal. What was typed before is not meant for us.
            tty.setcbreak(self._descriptor, termios.TCSAFLUSH)
            # Nor does Ctrl-S stop the output, and with it whoever waits to say something.
            mode = termios.tcgetattr(self._descriptor)
            mode[0] &= ~termios.IXON
            termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
            self._thread = threading.Thread(target=self._read, name="keyboard")
            self._thread.start()
            self._on_begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._stopped.set()
            self._thread.join()
            if _in_foreground(self._descriptor):
                # What is still on its way, as an answer of the terminal, is not meant for the shell.
                termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, self._settings)

    def _read(self) -> None:
        while not self._stopped.is_set():
            ready = select.select([self._descriptor], [], [], POLL_S / 4)[0]
            if not _in_foreground(self._descriptor):
                self._stopped.wait(POLL_S)
                continue
            if ready:
                keys = os.read(self._descriptor, 4096)
                if not keys:  # the terminal is gone
                    return
                self._reader.take(keys.decode(errors="replace"), time.monotonic())
            self._reader.look(time.monotonic())


class Voice:
    """Says sentences on a thread of its own: a terminal whose output is stopped must not keep keys from being read.

    A context manager; what has not been said at its end is given a moment.
    """

    PATIENCE_S = 1.0

    def __init__(self, say: Callable[[str], None]):
        self._say = say
        self._sentences: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._speak, name="voice", daemon=True)

    def say(self, sentence: str) -> None:
        """Never waits."""
        self._sentences.put(sentence)

    def __enter__(self) -> Voice:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sentences.put(None)
        self._thread.join(self.PATIENCE_S)

    def _speak(self) -> None:
        while (sentence := self._sentences.get()) is not None:
            self._say(sentence)


class Keyboard(Typing):
    """Inside the `with` block, keys become requests, as far as they are meant, see `KeyReader`."""

    def __init__(
        self,
        on_request: Callable[[OperatorRequest], None],
        say: Callable[[str], None],
        on_steer: Callable[[str], None] = lambda key: None,
    ):
        """`on_request` is called on a thread, and so is `on_steer`, see `KeyReader`; `say` with what the keys are, and
        with what is to be confirmed.
        """
        super().__init__(KeyReader(on_request, say, on_steer), lambda: say(HELP))


def can_type() -> bool:
    """Whether there is a terminal whose keys are for this process."""
    return sys.stdin is not None and sys.stdin.isatty() and _in_foreground(sys.stdin.fileno())


def remember_terminal() -> Callable[[], None]:
    """What puts the settings of the terminal back as they are now; a signal handler may call it."""
    if not can_type():
        return lambda: None
    descriptor = sys.stdin.fileno()
    settings = termios.tcgetattr(descriptor)

    def restore() -> None:
        with contextlib.suppress(termios.error):
            if _in_foreground(descriptor):
                termios.tcsetattr(descriptor, termios.TCSANOW, settings)

    return restore


def _in_foreground(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # a terminal that is not ours
        return False
