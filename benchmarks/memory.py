"""Resident memory of a session as long as a working day, fast-forwarded.

Runs `daydreamer train walk`, which takes every step through the same control loop, experience log, tail, replay and
learner as a live session, for as many steps as eight hours have, and notes how much memory the process holds.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.status import read_process_status

STEPS_PER_HOUR = 72_000
"""At 20 Hz."""


def measure(out: Path, hours: float, settings: list[str], period_s: float) -> list[tuple[int, float]]:
    """Runs the session; `(environment steps, resident MiB)` every `period_s`."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", "walk", "--out", str(out)]
    command += ["--steps", str(round(hours * STEPS_PER_HOUR)), *settings]
    rows: list[tuple[int, float]] = []
    with open(out.with_suffix(".txt"), "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            time.sleep(period_s)
            try:
                resident_mib = watched.memory_info().rss / 2**20
                status = read_process_status(Session.open(out), "actor")
            except (psutil.NoSuchProcess, UserError):
                continue  # it has just ended, or not begun
            if status is not None and resident_mib:  # a process that has ended holds nothing
                rows.append((status.env_steps, resident_mib))
    if process.returncode:
        sys.exit(f"the session ended with status {process.returncode}, see {out.with_suffix('.txt')}")
    return rows


def summarise(rows: list[tuple[int, float]]) -> dict[str, float]:
    """Mean memory of each quarter of the session, and the slope over its second half in MiB per hour of robot time."""
    steps, resident_mib = np.array(rows, float).T
    quarters = np.array_split(resident_mib, 4)
    late = steps >= steps[-1] / 2
    slope = np.polyfit(steps[late] / STEPS_PER_HOUR, resident_mib[late], 1)[0]
    figures = {f"quarter_{number}_mib": float(part.mean()) for number, part in enumerate(quarters, 1)}
    return figures | {"largest_mib": float(resident_mib.max()), "second_half_mib_per_hour": float(slope)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new session directory")
    parser.add_argument("--hours", type=float, default=8.0, help="of robot time")
    parser.add_argument("--period", type=float, default=10.0, metavar="S", help="between two readings")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the readings here")
    options, settings = parser.parse_known_args()
    rows = measure(options.out, options.hours, settings, options.period)
    if options.csv:
        with open(options.csv, "w", newline="") as file:
            csv.writer(file).writerows([("env_steps", "resident_mib"), *rows])
    print(json.dumps(summarise(rows), indent=2))


if __name__ == "__main__":
    main()
