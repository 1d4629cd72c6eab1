"""The control loop beside strangers: how late it comes, and how much is learned, with and without permissions.

    python benchmarks/busy_machine.py [--minutes 10] [--strangers 2] [--repeats 1] [--domain 35] [--json FILE]

Runs live sessions of the twin, one after the other, beside so many busy loops at normal priority: as the user who runs
this may, and as one without any special permission, who gets no real-time scheduling (see docs/realtime.md). Prints a
Markdown table. Lateness is from a tick of the control loop's grid to its command; ticks that were left out are misses
as well. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from learning_curves import describe_machine

from daydreamer.scheduling import missing_permissions
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from daydreamer.telemetry.columns import read_columns

WITHOUT_PERMISSION = (
    *(("setpriv", "--bounding-set=-sys_nice,-ipc_lock") if os.geteuid() == 0 else ()),
    *("prlimit", "--rtprio=0", "--nice=0", "--memlock=65536"),
)
START_S = 180.0
"""For a session to start and to end, beside its minutes."""

COLUMNS = {
    "permission": "real time",
    "strangers": "busy loops",
    "misses": "misses",
    "ticks": "ticks",
    "late_p99_ms": "p99 late (ms)",
    "late_max_ms": "latest (ms)",
    "holds": "holds",
    "gradient_steps_per_s": "gradient steps/s",
    "milestones": "milestones (min)",
}


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """So many strangers, each as busy as a core allows, each in a session of its own as another user's would be."""
    program = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(program, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def run(directory: Path, minutes: float, seed: int, domain: int, permission: bool) -> Session:
    """One live session, from its start to its end."""
    command = [] if permission else list(WITHOUT_PERMISSION)
    command += [sys.executable, "-P", "-m", "daydreamer.cli.main", "walk", "--no-dashboard"]
    command += ["--minutes", f"{minutes:g}", "--seed", str(seed), "--session", str(directory)]
    environment = os.environ | {"ROS_DOMAIN_ID": str(domain)}
    with open(f"{directory}.log", "wb") as log:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=90 * minutes + START_S,
            start_new_session=True,  # as from a terminal of its own
        )
    if ended.returncode:
        sys.exit(Path(f"{directory}.log").read_text() + f"\nThe session ended with status {ended.returncode}.")
    return Session.open(directory)


def summarise(session: Session, strangers: int) -> dict[str, object]:
    """Figures of one session."""
    status, steps, events = read_status(session), read_columns(session), read_events(session.events)
    granted = {event["source"]: event["real_time_priority"] for event in events if event["kind"] == "scheduling"}
    states = [event["after"] for event in events if event["kind"] == "safety_state"]
    late_ms = 1e3 * steps.latency_s
    learned_s = (steps.wall_ns[-1] - steps.wall_ns[0]) * 1e-9
    return {
        "permission": granted["actor"] is not None,
        "strangers": strangers,
        "minutes": len(steps) * session.spec.control_period_s / 60,
        "misses": status["deadline_misses"],
        "ticks": len(steps),
        "late_p50_ms": float(np.percentile(late_ms, 50)),
        "late_p99_ms": float(np.percentile(late_ms, 99)),
        "late_max_ms": float(late_ms.max()),
        "holds": states.count("holding") + states.count("damping"),
        "watchdog_trips": status["watchdog_trips"],
        "gradient_steps": status["gradient_steps"],
        "gradient_steps_per_s": status["gradient_steps"] / learned_s,
        "milestones": {name: round(seconds / 60, 1) for name, seconds in status["milestones_s"].items()},
    }


def table(rows: list[dict[str, object]]) -> str:
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = dict(row, permission="yes" if row["permission"] else "no")
        cells["milestones"] = ", ".join(f"{name} {minutes}" for name, minutes in row["milestones"].items()) or "-"
        lines.append(
            "| " + " | ".join(f"{c:.1f}" if isinstance(c := cells[key], float) else str(c) for key in COLUMNS) + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="robot time of each session")
    parser.add_argument("--strangers", type=int, nargs="+", default=[2], help="busy loops beside the session")
    parser.add_argument("--repeats", type=int, default=1, help="sessions of each kind, with seeds from 0 on")
    parser.add_argument("--domain", type=int, default=35, help="ROS domain")
    parser.add_argument("--permission", choices=("both", "with", "without"), default="both")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    kinds = {"both": (True, False), "with": (True,), "without": (False,)}[options.permission]
    if True in kinds and (missing := missing_permissions()):
        parser.error(f"this user has no {' and no '.join(missing)}; see docs/realtime.md, or use --permission without")
    rows = []
    with tempfile.TemporaryDirectory(prefix="daydreamer-busy-") as scratch:
        for seed in range(options.repeats):
            for strangers in options.strangers:
                for permission in kinds:
                    directory = Path(scratch) / f"seed{seed}-{strangers}-{'with' if permission else 'without'}"
                    with busy_loops(strangers):
                        session = run(directory, options.minutes, seed, options.domain, permission)
                    rows.append(summarise(session, strangers))
                    print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(table(rows))
    if options.json:
        figures = {"date": time.strftime("%Y-%m-%d"), "machine": describe_machine(), "sessions": rows}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
