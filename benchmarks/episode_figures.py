"""What came of the episodes of a robot that is not to walk: how each ended, and a table of arms.

python benchmarks/episode_figures.py SESSION ...       the same figures of sessions that are there, as JSON
python benchmarks/episode_figures.py --table DIR       the table of `many_robots.py --out DIR`
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session

ROW_S = 50.0
MANY, ENOUGH = 20, 18
"""A policy is good enough when 18 of twenty episodes one after the other succeed."""
COLUMNS = 6


def of(session: Session) -> dict[str, Any]:
    """Figures of a session.

    An episode succeeds if it ends for good, with a reward, and no operator or teacher intervened in it, unless it is
    they who show the task. 'episodes' has the robot minute at the end of each and whether it did.
    """
    steps = ExperienceTail(session.experience, session.spec).read()
    minute = session.spec.control_period_s / 60
    last = [number for number, step in enumerate(steps) if step.is_last]
    episodes, begin = [], 0
    for number in last:
        alone = session.teacher is not None or not any(step.intervention for step in steps[begin : number + 1])
        episodes.append(episode(number + 1, minute, steps[number], alone))
        begin = number + 1
    reward = np.array([step.reward for step in steps])
    row = session.spec.steps(ROW_S)
    return {
        "robot_minutes": round(len(steps) * minute, 3),
        "episodes": episodes,
        "enough_after_minutes": enough_after(episodes),
        "row_s": ROW_S,
        "reward": reward[: len(reward) // row * row].reshape(-1, row).mean(1).round(4).tolist(),
    }


def episode(steps: int, step_minutes: float, last: Step, alone: bool = True) -> list[Any]:
    """The robot minute after so many steps, the last of which ends an episode, and whether that succeeds."""
    return [round(steps * step_minutes, 3), bool(last.is_terminal and last.reward > 0 and alone)]


def enough_after(episodes: list[list[Any]]) -> float | None:
    """Robot minute at the end of the first `MANY` episodes in a row of which `ENOUGH` succeed; None if never."""
    for end in range(MANY, len(episodes) + 1):
        if sum(success for _, success in episodes[end - MANY : end]) >= ENOUGH:
            return episodes[end - 1][0]
    return None


def table(directory: Path) -> str:
    """Markdown: for each arm the share of its episodes that succeed, by time, and when there were enough of them."""
    arms = {
        path.stem: list(json.loads(path.read_text())["seeds"].values()) for path in sorted(directory.glob("*.json"))
    }
    arms = {name: runs for name, runs in arms.items() if runs}
    if not arms:
        return "No arm has been run yet."
    whole = max(run["robot_minutes"] for runs in arms.values() for run in runs)
    ends = [whole * (column + 1) / COLUMNS for column in range(COLUMNS)]
    heads = [f"until {end:.1f} min" for end in ends]
    lines = [f"| arm | seeds | {' | '.join(heads)} | {ENOUGH} of {MANY} after, min |", "|---" * (COLUMNS + 3) + "|"]
    for name, runs in arms.items():
        cells = [share_between(runs, end - whole / COLUMNS, end) for end in ends]
        after = ", ".join(
            "never" if run["enough_after_minutes"] is None else f"{run['enough_after_minutes']:.1f}" for run in runs
        )
        lines.append(f"| {name} | {len(runs)} | {' | '.join(cells)} | {after} |")
    return "\n".join(lines)


def share_between(runs: list[dict[str, Any]], begin: float, end: float) -> str:
    """Share of the episodes ended in a time that succeed: median over runs, lowest and highest."""
    shares = []
    for run in runs:
        ended = [success for minute, success in run["episodes"] if begin < minute <= end]
        if ended:
            shares.append(100 * sum(ended) / len(ended))
    if not shares:
        return ""
    return f"{statistics.median(shares):.0f} % [{min(shares):.0f}, {max(shares):.0f}]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", nargs="*", type=Path, metavar="SESSION")
    parser.add_argument("--table", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
    for path in options.sessions:
        print(json.dumps(of(Session.open(path))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
