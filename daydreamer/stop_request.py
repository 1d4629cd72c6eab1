"""Asks a process to end: by signal, or because the process that started it is gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence

from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.texts import printable

PARENT_VARIABLE = "DAYDREAMER_PARENT_PID"
"""Environment variable by which a supervisor tells its children who it is."""
PARENT_GONE = "the process that started this one is gone"


class StopRequest:
    """Turns SIGINT, SIGTERM, SIGHUP and the death of the parent into a flag that the main loop looks at.

    Signal handlers that raise would tear through a half-written command or record. Watching the parent matters
    because a killed supervisor (`kill -9`, or SIGTERM to `ros2 launch`) leaves its children running, and a robot
    must not go on without anybody who can stop it. Create it in the main thread, before anything slow.

    Attributes:
      signals: how many signals have arrived.
    """

    def __init__(self, watch_parent: bool = True) -> None:
        """Installs the handlers.

        Args:
          watch_parent: whether the parent's death counts; not for what an operator starts with nohup.
        """
        self.signals = 0
        self._reason: str | None = None
        # The parent says who it is, because it may have died while this process was still importing; whoever adopted
        # it would be taken for the parent then, and outlive every robot.
        named = os.environ.get(PARENT_VARIABLE)
        self._parent = (int(named) if named else os.getppid()) if watch_parent else None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)
        # Ignored means nohup: then a closed terminal is no reason to stop.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._receive)

    @property
    def reason(self) -> str | None:
        """Why to stop, None while there is no reason."""
        if self._reason is None and self.parent_gone:
            self._reason = PARENT_GONE
        return self._reason

    @property
    def parent_gone(self) -> bool:
        """Whether the parent has died, whatever else has asked for the end."""
        return self._parent is not None and os.getppid() != self._parent

    def __bool__(self) -> bool:
        return self.reason is not None

    def _receive(self, number: int, frame: object) -> None:
        self.signals += 1
        self._reason = signal.Signals(number).name


def run_process(main: Callable[[Sequence[str], StopRequest], int | None]) -> int:
    """Runs the main function of a process and returns its exit status; a user's mistake is one line on stderr."""
    os.umask(0o077)  # also for what libraries write into the session
    stop = StopRequest()
    try:
        return main(sys.argv[1:], stop) or 0
    except UserError as error:
        print(printable(error), file=sys.stderr, flush=True)
        return USER_ERROR_STATUS
