"""One process of a session, as its supervisor sees it."""

from __future__ import annotations

import collections
import contextlib
import logging
import logging.handlers
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from daydreamer.errors import USER_ERROR_STATUS
from daydreamer.processes import ProcessDescription, process_environment
from daydreamer.session.directory import Session
from daydreamer.stop_request import StopRequest
from daydreamer.storage.files import make_folder, open_file

POLL_S = 0.1
HURRIED_TIMEOUT_S = 3.0
"""For a process to end in once a second signal asks for haste; damping takes less."""
KILL_TIMEOUT_S = 2.0
LOG_BYTES = 4 << 20
"""Size at which a printed log is put aside as `<name>.log.1`; the one before it goes."""
_REMEMBERED_LINES = 50
_OUTPUT_TIMEOUT_S = 2.0


class Child:
    """Starts, watches and ends one process; its output goes to `log/<name>.log` of the session."""

    def __init__(self, description: ProcessDescription, session: Session):
        self.description = description
        self.log_path = session.path / "log" / f"{description.name}.log"
        self._environment = os.environ | process_environment(session, own_children=True)
        self._process: subprocess.Popen | None = None
        self._output: _Output | None = None

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process of the present life; None before the first."""
        return self._process.pid if self._process else None

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        # -P: a file in the working directory must not shadow a module.
        command = [sys.executable, "-P", "-m", self.description.module, *self.description.arguments]
        takes_input = self.description.takes_operator_input
        if takes_input:
            command.append("--operator-input")
        if self.description.ros_arguments:
            command += ["--ros-args", *self.description.ros_arguments]
        # Ends it when this process is gone, even while it is importing; once it has its handlers it ends in order.
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", *command]
        # A process group of its own: Ctrl-C in the terminal must reach the supervisor alone, which stops the
        # processes one after the other.
        self._process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._output = _Output(self._process.stdout, self.log_path)

    def tell(self, line: str) -> bool:
        """Whether the line reached its standard input; an operator's request to a process that takes them."""
        if not self.running:
            return False
        try:
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())
        except BrokenPipeError:
            return False
        return True

    def interrupt(self) -> None:
        """Asks it to end."""
        if self.running:
            self._process.send_signal(signal.SIGINT)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within the time."""
        end_s = time.monotonic() + timeout_s
        # Polled, because a signal must not interrupt the wait with an exception nor be kept waiting by it.
        while self.running and time.monotonic() < end_s:
            time.sleep(0.02)
        return not self.running

    def kill(self) -> None:
        """Ends it without asking."""
        if self.running:
            self._process.kill()
            self.wait(KILL_TIMEOUT_S)

    def end(self, stop: StopRequest, record: Callable[..., object], say: Callable[[str], None]) -> None:
        """Asks it to end, and kills it if it does not in its time, which a second signal to `stop` shortens if it can.

        Args:
          record: called as `record(kind, **fields)` if it had to be killed; `say` with a sentence.
        """
        if not self.running:
            return
        self.interrupt()
        timeout_s = self.description.stop_timeout_s
        end_s, hurried = time.monotonic() + timeout_s, False
        while not self.wait(POLL_S):
            if stop.signals > 1 and not hurried:
                hurried = True
                if self.description.can_hurry:
                    end_s = min(end_s, time.monotonic() + HURRIED_TIMEOUT_S)
                else:
                    say(f"The {self.name} is not hurried, as it may be laying the robot down: up to {timeout_s:g} s.")
            if time.monotonic() >= end_s:
                record("process_kill", process=self.name, reason="did not end in time")
                say(f"The {self.name} did not end in time and was killed.")
                self.kill()
                return  # one that even this does not end, as on a broken disk, must not keep us from the others

    def report_end(self, record: Callable[..., object], say: Callable[[str], None]) -> None:
        """Records that it ended by itself, and says how; arguments as of `end`."""
        last_line = " ".join(self.last_lines(1))
        record("process_end", process=self.name, how=self.describe_end(), last_line=last_line)
        if self.exit_status == USER_ERROR_STATUS:
            say(f"The {self.name} cannot go on: {last_line}")
            return
        say(f"The {self.name} {self.describe_end()}. The end of {self.log_path}:")
        for line in self.last_lines(15):
            say(f"  {line}")

    @contextlib.contextmanager
    def running_alongside(self) -> Iterator[None]:
        """Runs it until the end of the block; one that does not end in its time is killed."""
        self.start()
        try:
            yield
        finally:
            self.interrupt()
            if not self.wait(self.description.stop_timeout_s):
                self.kill()

    def describe_end(self) -> str:
        """How it ended, as 'exited with status 1'."""
        status = self.exit_status
        if status is None:
            return "is running"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"

    def last_lines(self, count: int) -> list[str]:
        """The last that the child has said since it was started."""
        return self._output.last_lines(count) if self._output else []


class _Output:
    """Copies what a process prints to its log, and remembers the end of it.

    A pipe in between, because a process that prints to a file dies of a full disk before it can say so.
    """

    def __init__(self, stream: BinaryIO, log_path: Path):
        self._lines: collections.deque[str] = collections.deque(maxlen=_REMEMBERED_LINES)
        # Ends with the process, whose death closes the pipe.
        self._thread = threading.Thread(target=self._copy, args=(stream, log_path), name=log_path.stem, daemon=True)
        self._thread.start()

    def last_lines(self, count: int) -> list[str]:
        # A process that has ended may have left something in the pipe.
        self._thread.join(_OUTPUT_TIMEOUT_S)
        return list(self._lines)[-count:]

    def _copy(self, stream: BinaryIO, log_path: Path) -> None:
        log = _open_log(log_path)
        with stream:
            for line in stream:
                text = line.decode(errors="replace").rstrip("\n")
                self._lines.append(text)
                log.emit(logging.makeLogRecord({"msg": text}))
        log.close()


class _RollingLog(logging.handlers.RotatingFileHandler):
    """A log whose disk may be full: what it does not take is lost there, and still remembered by `_Output`."""

    def _open(self) -> TextIO:
        descriptor = open_file(Path(self.baseFilename), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:
        pass

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            self.stream = None


def _open_log(path: Path) -> logging.Handler:
    try:
        make_folder(path.parent)
        return _RollingLog(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", errors="replace")
    except OSError:
        return logging.NullHandler()
