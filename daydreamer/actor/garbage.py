"""Keeps Python's garbage collector out of the control loop's deadlines."""

from __future__ import annotations

import gc
import sys


def freeze() -> None:
    """Call once everything large is loaded: from then on only `collect` collects.

    Left alone, a full collection comes at any allocation and walks through every object of JAX and rclpy, which
    takes longer than a control period leaves. Freezing takes these objects out of all later collections, which
    makes them so short that they fit between two ticks. Switched off altogether, reference cycles would keep old
    policies and their parameters in memory.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    # While the loader traces a policy it holds the interpreter lock; the control thread, which gives the lock up at
    # every call into DDS or XLA, would wait the default 5 ms each time to get it back.
    sys.setswitchinterval(0.0005)


def collect() -> None:
    """Call where there is time."""
    gc.collect()
