"""Processes that set robots out in parallel, one core each."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from daydreamer.compilation import keep_compilations
from daydreamer.environment import environment
from daydreamer.errors import UserError
from daydreamer.evaluation.trial import Outcome, Trial, run_trial

ONE_CORE = {"JAX_PLATFORMS": "cpu", "NPROC": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment of a process: small policies are computed fastest without other threads, or a GPU."""
POLL_S = 0.2
NICENESS = 10
"""Robots that are driven in real time on this machine come first."""


def run_trials(
    trials: Sequence[Trial],
    workers: int,
    on_outcome: Callable[[Outcome], None],
    stop: Callable[[], bool] = lambda: False,
) -> list[Outcome]:
    """All trials; what they came to, in their order.

    Args:
      workers: processes at most.
      on_outcome: told of each as it ends.
      stop: asked several times a second; once it says so, the outcomes so far are all.

    Raises:
      UserError: a trial cannot be run, or a process died.
    """
    waiting, outcomes = list(enumerate(trials)), dict[int, Outcome]()
    with _processes(min(workers, len(trials))) as idle:
        busy: dict[Any, int] = {}
        while (waiting or busy) and not stop():
            while waiting and idle:
                connection = idle.pop()
                busy[connection], trial = waiting.pop(0)
                try:
                    connection.send(trial)
                except OSError as error:
                    raise UserError(_DIED) from error
            for connection in wait(list(busy), timeout=POLL_S):
                number = busy.pop(connection)
                outcomes[number] = _answer(connection)
                on_outcome(outcomes[number])
                idle.append(connection)
    return [outcome for _, outcome in sorted(outcomes.items())]


@contextlib.contextmanager
def _processes(count: int) -> Iterator[list[Any]]:
    """Connections to as many processes, which are ended with the block."""
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    with environment(ONE_CORE):
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            connections.append(ours)
            processes.append(process)
    try:
        yield list(connections)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


_DIED = "A process in which a robot was simulated has died; if memory is short, take fewer --workers."


def _answer(connection: Any) -> Outcome:
    try:
        answer = connection.recv()
    except EOFError as error:
        raise UserError(_DIED) from error
    if isinstance(answer, Outcome):
        return answer
    refused, text = answer
    raise UserError(text) if refused else RuntimeError(text)


def _work(connection: Connection) -> None:
    """A process: does trials until its parent is gone, which closes the connection."""
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C, and a terminal that is gone, are for the parent
        signal.signal(number, signal.SIG_IGN)
    os.nice(NICENESS)
    keep_compilations()
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(_outcome_of(connection.recv()))


def _outcome_of(trial: Trial) -> Outcome | tuple[bool, str]:
    """What came of it, or whether it is for the user to mend, with the text."""
    try:
        return run_trial(trial)
    except UserError as error:
        return True, str(error)
    except Exception:
        return False, traceback.format_exc()
