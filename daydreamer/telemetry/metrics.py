"""Curves for TensorBoard, written by the caller's thread, so that a full disk is the caller's to notice."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.summary import scalar

FLUSH_PERIOD_S = 5.0


def truth_tag(quantity: str) -> str:
    """Tag of what a simulator says of a quantity, for evaluation only: 'truth/NAME' of 'info/NAME'."""
    return f"truth/{quantity.removeprefix('info/')}"


class MetricsWriter:
    """Writes scalars to an event file of its own in a directory.

    tensorboardX's `SummaryWriter` hands them to a thread, which a full disk ends; whoever goes on adding then waits
    for it for ever. Here a disk that does not take a scalar costs that scalar: curves are not worth stopping for.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._writer: EventsWriter | None = None
        self._flushed_s = time.monotonic()
        self._failing = False

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Adds a point to the curve `tag`; it is on disk within `FLUSH_PERIOD_S` if more points follow."""
        self._attempt(lambda: self._write(tag, value, step))

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None:
            self._attempt(self._writer.close)
        self._writer = None

    def _write(self, tag: str, value: float, step: int) -> None:
        if self._writer is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            # Two lives within a second must not write to one file.
            self._writer = EventsWriter(str(self._directory / "events"), filename_suffix=f".{os.getpid()}")
        self._writer.write_event(Event(wall_time=time.time(), step=step, summary=scalar(tag, value)))
        if time.monotonic() - self._flushed_s >= FLUSH_PERIOD_S:
            self._flushed_s = time.monotonic()
            self._writer.flush()

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not self._failing:
                logging.warning("Metrics cannot be written to %s (%s) and are left out.", self._directory, error)
            self._failing = True
        else:
            self._failing = False
