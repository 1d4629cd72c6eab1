"""How the processes of a session share a machine: the robot first, then the learner, then everybody else.

As ros2_control's controller manager does, a process that moves a robot asks for real-time scheduling and for memory
that is never swapped out, and goes on without where it is not permitted; docs/realtime.md says how to permit it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import platform
import resource
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

ACTOR_PRIORITY = 50
"""Of SCHED_FIFO, the controller manager's."""

DRIVER_PRIORITY = 51
"""Damps by itself when the actor's commands cease, so nothing of ours may keep it from that. The twin stands for one;
below the actor, it would be interrupted at each of its messages by the actor's thread that takes it in, a thousand times
a second."""

ROBOT_NICENESS = (-15,)
"""Until real time is asked for, and where it is not permitted."""

LEARNER_NICENESS = (-5, 19)
"""First wish: above strangers. Where that is not permitted the robot's processes are no better than strangers, so the
learner takes what is left: beside it they miss no deadline on two cores."""

DASHBOARD_NICENESS = (0, 15)
"""Behind the robot's processes; it computes little, and must not wait for a learner that computes all the time."""

TIME_SLICE_S = 1e-4
"""Where real time is not permitted: who asks for little at a time is served sooner. As short as Linux grants."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call, which neither Python nor Debian 12's C library has a function for."""

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14


@dataclasses.dataclass(frozen=True)
class Placement:
    """What the kernel has granted a process.

    Attributes:
      real_time_priority: of SCHED_FIFO; None for ordinary time sharing.
      niceness: in ordinary time sharing.
      memory_locked: none of its memory is swapped out.
    """

    real_time_priority: int | None
    niceness: int
    memory_locked: bool

    def __str__(self) -> str:
        order = f"real time, priority {self.real_time_priority}" if self.real_time_priority else f"nice {self.niceness}"
        return f"{order}, memory {'' if self.memory_locked else 'not '}locked"


def put_robot_first(priority: int) -> Placement:
    """Raises all threads of this process, and those that they start later, above what is not real time.

    Call it when everything that takes long, as compiling, is done: what computes for seconds in real time holds up
    whatever else the machine has to do.

    Args:
      priority: of SCHED_FIFO, 1 to 99.
    """
    real_time = _may_run_in_real_time(priority)
    if real_time:
        for thread in _threads():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    niceness = be_nice(ROBOT_NICENESS)
    if not real_time:
        _ask_for_short_slices(niceness)
    return Placement(priority if real_time else None, niceness, _lock_memory())


def be_nice(wishes: Sequence[int]) -> int:
    """Gives this process the first niceness of `wishes` that is permitted, and returns what it has then.

    Threads that are started later begin with it.
    """
    for niceness in wishes:
        with contextlib.suppress(PermissionError):
            for thread in _threads():
                with contextlib.suppress(ProcessLookupError):
                    os.setpriority(os.PRIO_PROCESS, thread, niceness)
            break
    return os.getpriority(os.PRIO_PROCESS, 0)


@contextlib.contextmanager
def group_before_others() -> Iterator[None]:
    """Inside the block the processes that were started from the same terminal go before other terminals', if permitted.

    Linux divides the processor among terminals first, and by niceness only within each (sched(7), autogroup). Nothing
    is changed unless this process's own niceness is negative; a process that is killed leaves it changed.
    """
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    before = _write_group_niceness(niceness) if niceness < 0 else None
    try:
        yield
    finally:
        if before is not None:
            _write_group_niceness(before)


def missing_permissions() -> list[str]:
    """What `put_robot_first` would not get here, in words; empty if it would get all."""
    missing = []
    if not _may_run_in_real_time(ACTOR_PRIORITY):
        missing.append("real-time scheduling")
    if not _may_lock_memory():
        missing.append("locked memory")
    return missing


def _may_run_in_real_time(priority: int) -> bool:
    """Tried on the calling thread, which stays as it is."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:  # also where the process's control group has no real-time budget, whoever asks
        return False
    os.sched_setscheduler(0, *before)
    return True


def _write_group_niceness(niceness: int) -> int | None:
    """The one before; None if the kernel has no such groups, or does not permit it."""
    group = Path("/proc/self/autogroup")
    try:
        before = int(group.read_text().split()[-1])  # "/autogroup-12 nice 0"
        group.write_text(str(niceness))
    except OSError:
        return None
    return before


def _ask_for_short_slices(niceness: int) -> None:
    """Permitted to everybody; kernels before Linux 6.12 ignore it."""
    if (number := _SCHED_SETATTR.get(platform.machine())) is None:
        return
    c_library = ctypes.CDLL(None)
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, utilization clamps.
    layout = "=IIQiIQQQII"
    slice_ns = round(TIME_SLICE_S * 1e9)
    attributes = struct.pack(layout, struct.calcsize(layout), os.SCHED_OTHER, 0, niceness, 0, slice_ns, 0, 0, 0, 0)
    for thread in _threads():
        c_library.syscall(number, thread, attributes, 0)


def _threads() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]


def _may_lock_memory() -> bool:
    """Whether all of it may be: with a limit, memory beyond it could not even be allocated any more."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    capabilities = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")
    )
    return bool(int(capabilities.split()[1], 16) >> _CAP_IPC_LOCK & 1)


def _lock_memory() -> bool:
    """Locks pages once they are used, now and later; what is only reserved, as most of a thread's stack, stays so."""
    flags = _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT
    return _may_lock_memory() and ctypes.CDLL(None, use_errno=True).mlockall(flags) == 0
