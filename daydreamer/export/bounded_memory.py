"""Limits what reading a stranger's file may take of the memory, where the library that reads it knows no limit."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

_DATA_PAGES = 5
"""Which of the numbers in statm are the pages that have been asked for, and may be written."""


@contextlib.contextmanager
def bounded_memory(most_bytes: int) -> Iterator[None]:
    """A block in which the process gets so much more memory from the system, and then a MemoryError.

    What its allocators have in reserve comes on top. It counts what other threads ask for as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = int(Path("/proc/self/statm").read_text().split()[_DATA_PAGES]) * resource.getpagesize()
    limits = [limit for limit in (soft, used + most_bytes) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
