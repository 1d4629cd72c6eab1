"""What the dashboard costs the robot: one live session during which it is switched on and off by turns.

    python benchmarks/dashboard_cost.py --out DIR [--minutes 10] [--turn-s 75] [--pictures DIR] [--json FILE]

Compares control ticks, from the experience log: how late they came, and how long they took, with the dashboard and
without. Both are thus measured beside the same learner and whatever else the machine does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dashboard_picture
import numpy as np
from PIL import Image

from daydreamer.cli.dashboard import dashboard_alongside
from daydreamer.session.dashboard import dashboard_url
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.telemetry.columns import StepColumns, read_columns

WARM_UP_S = 90.0
"""Start of the session that is left out: everything compiles, and nothing learns."""
SETTLE_S = 5.0
"""After each switch, left out: starting is not running."""
LATE_SHARE = 1.5
"""A tick that lasts longer than this share of the control period is a missed deadline."""


def run(session_path: Path, minutes: float, turn_s: float, pictures: Path | None) -> list[tuple[bool, float, float]]:
    """Runs the session; returns (with dashboard, begin, end) of each turn, wall time."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "walk", "--no-dashboard"]
    walk = subprocess.Popen([*command, "--session", str(session_path), "--minutes", f"{minutes:g}"])
    turns = []
    try:
        while not (session_path / "status" / "actor.json").exists():
            time.sleep(0.5)
        session = Session.open(session_path)
        wait(walk, WARM_UP_S)
        shown = False
        while walk.poll() is None:
            with contextlib.ExitStack() as stack:
                page = None
                if shown:
                    stack.enter_context(dashboard_alongside(session, minutes))
                    page = open_page(session, stack) if pictures else None
                wait(walk, SETTLE_S)
                begin_s = time.time()
                wait(walk, turn_s)
                turns.append((shown, begin_s, time.time()))
                if page is not None:
                    name = f"minute_{read_status(session)['robot_seconds'] / 60:04.1f}.png"
                    Image.fromarray(page.picture()).save(pictures / name)
            shown = not shown
            wait(walk, SETTLE_S)
    finally:
        if walk.poll() is None:
            walk.terminate()
        walk.wait(120)
    return turns


def open_page(session: Session, stack: contextlib.ExitStack) -> dashboard_picture.Page:
    """Opens the dashboard's page in a browser, as an operator would."""
    executable = dashboard_picture.find_chromium()
    if executable is None:
        raise SystemExit("there is no Chromium here; install it with apt-get install chromium")
    while (url := dashboard_url(session)) is None:
        time.sleep(0.5)
    page = stack.enter_context(dashboard_picture.browse(executable))
    page.open(url)
    return page


def wait(walk: subprocess.Popen, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while walk.poll() is None and time.monotonic() < end_s:
        time.sleep(0.2)


def judge(steps: StepColumns, turns: list[tuple[bool, float, float]], period_s: float) -> dict[str, dict[str, float]]:
    """Figures of the ticks with and without the dashboard."""
    wall_s = steps.wall_ns * 1e-9
    between_s = np.diff(steps.monotonic_ns, prepend=steps.monotonic_ns[0]) * 1e-9
    result = {}
    for name, shown in (("off", False), ("on", True)):
        inside = np.zeros(len(steps), bool)
        for turn_shown, begin_s, end_s in turns:
            if turn_shown == shown:
                inside |= (wall_s > begin_s) & (wall_s < end_s)
        if not inside.any():
            continue
        latency_ms = steps.latency_s[inside] * 1e3
        period_ms = between_s[inside] * 1e3
        result[name] = {
            "steps": int(inside.sum()),
            "turns": sum(each[0] == shown for each in turns),
            "missed": int((period_ms > LATE_SHARE * period_s * 1e3).sum()),
            "period_p99_ms": float(np.percentile(period_ms, 99)),
            "period_max_ms": float(period_ms.max()),
            "step_p50_ms": float(np.percentile(latency_ms, 50)),
            "step_p99_ms": float(np.percentile(latency_ms, 99)),
            "step_max_ms": float(latency_ms.max()),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new session directory")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--turn-s", type=float, default=75.0)
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="open the page on this machine; keep pictures of it"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    turns = run(options.out.absolute(), options.minutes, options.turn_s, options.pictures)
    session = Session.open(options.out)
    figures = judge(read_columns(session), turns, session.spec.control_period_s)
    figures["load_average"] = {"5 minutes": os.getloadavg()[1]}
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
