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
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ACTOR_PRIORITY = 50
"""Of SCHED_FIFO, the controller manager's."""

DRIVER_PRIORITY = 51
"""Damps by itself when the actor's commands cease, so nothing of ours may keep it from that. The twin stands for one.
Below the actor it would be interrupted at each of its messages, a thousand times a second, by the actor's thread that
takes them in."""

ROBOT_NICENESS = (-15,)
"""Until real time is asked for, and where it is not permitted."""

LEARNER_NICENESS = (-5, 19)
"""First wish: above strangers. Where that is not permitted the robot's processes are no better than strangers, so the
learner takes what is left: beside it they miss no deadline on two cores."""

ONLOOKER_NICENESS = 15
"""Of dashboard and narrator, which compute little, where the robot's processes are no better than they."""

TIME_SLICE_S = 1e-4
"""Where real time is not permitted: who asks for little at a time is served sooner. As short as Linux grants."""

GROUP_PAUSE_S = 0.15
"""Longer than the kernel's own between two changes of a group's niceness."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call, which neither Python nor Debian 12's C library has a function for."""

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK, _CAP_SYS_NICE = 14, 23


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

    Call it on the thread that controls the robot, when everything that takes long, as compiling, is done: what computes
    for seconds in real time holds up whatever else the machine has to do.

    Args:
      priority: of SCHED_FIFO, 2 to 99, for the calling thread; the others of this process come right behind it.
    """
    real_time = _may_run_in_real_time(priority)
    if real_time:
        own = threading.get_native_id()
        _schedule(os.SCHED_FIFO, lambda thread: priority if thread == own else priority - 1)
    niceness = be_nice(ROBOT_NICENESS)
    if not real_time:
        _ask_for_short_slices(niceness)
    return Placement(priority if real_time else None, niceness, _lock_memory())


def leave_real_time() -> None:
    """Takes back what `put_robot_first` gave, but for the locked memory."""
    _schedule(os.SCHED_OTHER, lambda thread: 0)


def look_on() -> None:
    """For a process that only looks on: behind the robot's, but not behind a learner that computes all the time."""
    if not _may_run_in_real_time(ACTOR_PRIORITY):
        be_nice((ONLOOKER_NICENESS,))


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
    """What the processes of a session would not get here, in words; empty if they would get all."""
    missing = []
    if not _may_run_in_real_time(DRIVER_PRIORITY):
        missing.append("real-time scheduling")
    if not _may_raise_niceness(min(*ROBOT_NICENESS, *LEARNER_NICENESS)):
        missing.append("negative niceness")
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
        before = int(group.read_text().split()[-1])  # "/autogroup-12 nice 0"; empty in the kernel's own group
        try:
            group.write_text(str(niceness))
        except BlockingIOError:  # somebody has just written, and the kernel wants a pause between two writes
            time.sleep(GROUP_PAUSE_S)
            group.write_text(str(niceness))
    except (OSError, ValueError, IndexError):
        return None
    return before if before != niceness else 0  # left behind by one that was killed


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


def _schedule(policy: int, priority_of: Callable[[int], int]) -> None:
    for thread in _threads():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setscheduler(thread, policy, os.sched_param(priority_of(thread)))


def _threads() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/task").iterdir()]


def _may_raise_niceness(niceness: int) -> bool:
    """Whether a process of this user may be so nice, or less; by its rights, because it could not be taken back."""
    least = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]
    return least <= niceness or _has_capability(_CAP_SYS_NICE)


def _may_lock_memory() -> bool:
    """Whether all of it may be: with a limit, memory beyond it could not even be allocated any more."""
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    return _has_capability(_CAP_IPC_LOCK)


def _has_capability(number: int) -> bool:
    effective = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> number & 1)


def _lock_memory() -> bool:
    """Locks pages once they are used, now and later; what is only reserved, as most of a thread's stack, stays so."""
    flags = _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT
    return _may_lock_memory() and ctypes.CDLL(None, use_errno=True).mlockall(flags) == 0
