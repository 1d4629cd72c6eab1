"""One process of a session, as its supervisor sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from daydreamer.processes import ProcessDescription, process_environment
from daydreamer.session.directory import Session

KILL_TIMEOUT_S = 2.0


class Child:
    """Starts, watches and ends one process; its output goes to `log/<name>.log` of the session."""

    def __init__(self, description: ProcessDescription, session: Session):
        self.description = description
        self.log_path = session.path / "log" / f"{description.name}.log"
        self._environment = os.environ | process_environment(session)
        self._process: subprocess.Popen | None = None

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        self.log_path.parent.mkdir(exist_ok=True)
        # -P: a file in the working directory must not shadow a module.
        command = [sys.executable, "-P", "-m", self.description.module, *self.description.arguments]
        takes_input = self.description.takes_operator_input
        if takes_input:
            command.append("--operator-input")
        if self.description.niceness:
            command = ["nice", "-n", str(self.description.niceness), *command]
        with open(self.log_path, "ab") as log:
            self._log_start = log.tell()
            # A process group of its own: Ctrl-C in the terminal must reach the supervisor alone, which stops the
            # processes one after the other.
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

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

    def describe_end(self) -> str:
        """How it ended, as 'exited with status 1'."""
        status = self.exit_status
        if status is None:
            return "is running"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"

    def last_lines(self, count: int) -> list[str]:
        """Of what it has said since its last start."""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace").splitlines()[-count:]
