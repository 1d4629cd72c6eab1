"""Scheduling as the kernel sees it: each case in a process of its own, which reports on all of its threads."""

import json
import os
import subprocess
import sys

import pytest

from daydreamer.scheduling import (
    ACTOR_PRIORITY,
    LEARNER_NICENESS,
    ONLOOKER_NICENESS,
    ROBOT_NICENESS,
    TIME_SLICE_S,
    missing_permissions,
)

ROOT = os.geteuid() == 0
WITHOUT = (
    *(("setpriv", "--bounding-set=-sys_nice,-ipc_lock") if ROOT else ()),
    *("prlimit", "--rtprio=0", "--nice=0", "--memlock=65536"),
)
"""As a user without any special permission."""

PROGRAM = """
import dataclasses, json, os, threading
from daydreamer import scheduling

def start_thread():
    threading.Thread(target=stop.wait, daemon=True).start()

def threads():
    each = map(int, os.listdir("/proc/self/task"))
    return [[os.sched_getscheduler(t), os.sched_getparam(t).sched_priority, os.getpriority(0, t)] for t in each]

stop = threading.Event()
start_thread()
{work}
start_thread()
locked = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck"))
def slices_ns():
    for each in os.listdir("/proc/self/task"):
        lines = open(f"/proc/self/task/{{each}}/sched").read().splitlines()
        yield next((int(line.split()[-1]) for line in lines if line.startswith("se.slice")), None)

print(json.dumps({{"missing": scheduling.missing_permissions(), "result": result, "threads": threads(),
                  "locked_kb": int(locked), "slices_ns": list(slices_ns())}}))
"""
FIRST = f"result = dataclasses.asdict(scheduling.put_robot_first({ACTOR_PRIORITY}))"
FIFO, ORDINARY = 1, 0


def run(work, prefix=()):
    command = [*AS_USUAL, *prefix, sys.executable, "-c", PROGRAM.format(work=work)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# The tests themselves may be niced; only root can take that back.
AS_USUAL = ("sh", "-c", 'renice -n 0 -p $$ >&2 && exec "$@"', "sh") if ROOT else ()
USUAL = 0 if ROOT else os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(bool(missing_permissions()), reason="this user may not: " + " and ".join(missing_permissions()))
def test_where_it_is_permitted_all_threads_run_in_real_time_and_memory_is_locked():
    seen = run(FIRST)
    assert seen["result"] == {
        "real_time_priority": ACTOR_PRIORITY,
        "niceness": ROBOT_NICENESS[0],
        "memory_locked": True,
    }
    # The calling thread, one that was there before, and one that it has started since.
    assert [thread[:2] for thread in seen["threads"]] == [[FIFO, ACTOR_PRIORITY - late] for late in (0, 1, 0)]
    assert seen["locked_kb"] > 0


def test_where_nothing_is_permitted_the_robot_runs_all_the_same_and_it_is_said_what_is_missing():
    seen = run(FIRST, WITHOUT)
    assert seen["result"] == {"real_time_priority": None, "niceness": USUAL, "memory_locked": False}
    assert seen["threads"] == [[ORDINARY, 0, USUAL]] * 3
    assert seen["missing"] == ["real-time scheduling", "negative niceness", "locked memory"]
    assert seen["locked_kb"] == 0
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 12):  # earlier ones have no slices to ask for
        assert set(seen["slices_ns"]) == {round(TIME_SLICE_S * 1e9)}


def test_a_limited_amount_of_memory_is_not_locked_at_all():
    """With a limit, what goes beyond it could not be allocated any more."""
    assert run(FIRST, ("prlimit", "--memlock=1000000", *WITHOUT))["result"]["memory_locked"] is False


def test_the_terminal_of_a_learner_that_may_goes_before_others_and_is_put_back():
    work = """
def group():
    return int(open("/proc/self/autogroup").read().split()[-1])
os.setsid()
granted, before = scheduling.be_nice({wishes}), group()
with scheduling.group_before_others():
    result = [before, group()]
result += [group(), granted]
"""
    permitted = LEARNER_NICENESS[-1 if missing_permissions() else 0]
    may = run(work.format(wishes="scheduling.LEARNER_NICENESS"))["result"]
    assert may == [0, min(permitted, 0), 0, permitted]
    may_not = run(work.format(wishes="scheduling.LEARNER_NICENESS"), WITHOUT)["result"]
    assert may_not == [0, 0, 0, LEARNER_NICENESS[-1]]


def test_asking_what_is_permitted_changes_nothing():
    assert run("result = scheduling.missing_permissions()")["threads"] == [[ORDINARY, 0, USUAL]] * 3


def test_what_looks_on_steps_back_only_where_the_robot_is_no_better_than_it():
    work = "result = scheduling.look_on()"
    assert {thread[2] for thread in run(work, WITHOUT)["threads"]} == {max(USUAL, ONLOOKER_NICENESS)}
    if not missing_permissions():
        assert {thread[2] for thread in run(work)["threads"]} == {USUAL}


def test_real_time_can_be_left_again():
    seen = run(f"{FIRST}; scheduling.leave_real_time()")
    assert {thread[0] for thread in seen["threads"]} == {ORDINARY}


def test_the_learner_gives_way_to_a_robot_that_is_no_better_than_strangers():
    work = "result = scheduling.be_nice(scheduling.LEARNER_NICENESS)"
    seen = run(work, WITHOUT)
    assert seen["result"] == LEARNER_NICENESS[-1]
    assert seen["threads"] == [[ORDINARY, 0, LEARNER_NICENESS[-1]]] * 3
