"""What a setting or a revision is worth: the same robots learn to walk with and without it, seed by seed.

    python benchmarks/paired_arms.py --out DIR --arm NAME [--set SECTION.KEY=VALUE ...] [--tree CHECKOUT]
                                     [--seeds 20 21 ...] [--minutes 10] [--nominal] [--until walking] [--from SESSION]
    python benchmarks/paired_arms.py --out DIR [--against NAME]          the table of all arms that are there

Each seed draws a robot of its own (`twin.randomisation`), the same one in every arm, and trains it in lock-step on one
core; the truth of the simulator is judged. Seeds that an arm has in DIR already are not run again. With --until a run
ends some seconds after that milestone, so that its last figures are not comparable, but its cost is a third.

A fall is a trunk that was upright (up_z above 0.8) and tips beyond 0.3; the falls of a run are those after its robot
was upright for the first time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from learning_curves import current_commit, describe_machine, milestones_minutes

from daydreamer.cli.train import FINAL_STEPS
from daydreamer.experience.tail import ExperienceTail
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.spread import Spread

RATE_HZ = 20
UPRIGHT, TIPPED = 0.8, 0.3
POLL_S = 2.0
ROW_S = 10.0
THIS_TREE = Path(__file__).parents[1]
RANDOM_ROBOT = "twin.randomisation.enabled=true"


@dataclasses.dataclass(frozen=True)
class Arm:
    """Settings that are compared with others, seed by seed.

    Attributes:
      name: of its file.
      overrides: as of --set.
      minutes: robot time of each seed.
      tree: checkout that is run.
      until: milestone that ends a run; None lets it go on to its end.
      keep: the sessions, not only their figures.
      parent: what every seed begins with, as of --from; None for networks that know nothing.
    """

    name: str
    overrides: Sequence[str]
    minutes: float
    tree: Path = THIS_TREE
    until: str | None = None
    keep: bool = False
    parent: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """What `daydreamer train walk` is given beside the seed."""
        settings = [word for override in self.overrides for word in ("--set", override)]
        inherited = [] if self.parent is None else ["--from", str(self.parent.resolve())]
        return ["--steps", str(round(self.minutes * 60 * RATE_HZ)), *settings, *inherited]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--arm", metavar="NAME")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--tree", type=Path, default=THIS_TREE, help="checkout that is run")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(20, 28)))
    parser.add_argument("--minutes", type=float, default=10.0, help="of robot time, for each seed")
    parser.add_argument("--nominal", action="store_true", help="the robot of the published figures for every seed")
    parser.add_argument("--until", choices=WALK.milestone_names, help="end a run at this milestone")
    parser.add_argument(
        "--against", metavar="NAME", help="the arm that the others are compared with; default: the first"
    )
    parser.add_argument("--keep", action="store_true", help="keep the sessions, not only their figures")
    parser.add_argument("--from", dest="parent", type=Path, metavar="SESSION", help="what every seed begins with")
    options = parser.parse_args()
    if options.arm:
        arm = Arm(
            options.arm,
            (*options.overrides, *([] if options.nominal else [RANDOM_ROBOT])),
            minutes=options.minutes,
            tree=options.tree,
            until=options.until,
            keep=options.keep,
            parent=options.parent,
        )
        run_arm(arm, options.seeds, options.out)
    print(table(options.out, options.against))
    return 0


def run_arm(arm: Arm, seeds: Sequence[int], out: Path) -> None:
    """Trains the seeds that the arm lacks in `out`; a result is written as soon as it is there."""
    path = out / f"{arm.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    what = {"arguments": arm.arguments, "until": arm.until}
    record = json.loads(path.read_text()) if path.exists() else what | {"machine": describe_machine(), "seeds": {}}
    if {name: record[name] for name in what} != what:
        raise SystemExit(f"{path} has other settings; choose another --arm or --out.")
    for seed in seeds:
        if str(seed) in record["seeds"]:
            continue
        result = train(arm, seed, out)
        record["seeds"][str(seed)] = {"commit": commit_of(arm.tree)} | result
        write_anywhere(path, (json.dumps(record, indent=1) + "\n").encode())
        said = {name: value for name, value in result.items() if name != "curve"}
        print(f"{arm.name}, seed {seed}: {json.dumps(said)}", flush=True)


def train(arm: Arm, seed: int, out: Path) -> dict[str, Any]:
    """The figures of one seed."""
    directory = out / arm.name / f"seed{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", "walk", *arm.arguments]
    command += ["--seed", str(seed), "--out", str(directory.resolve())]
    environment = os.environ | {"NPROC": "1", "PYTHONPATH": str(arm.tree.resolve())}
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str((out / "compiled").resolve()))
    used_s, begin_s = children_s(), time.monotonic()
    with open(directory.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=arm.tree, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait(process, directory, arm.until)
        except BaseException:
            process.kill()
            raise
    if process.wait() not in (0, 130):  # 130: it was asked to end
        raise SystemExit(f"Seed {seed} ended with status {process.returncode}, see {directory.with_suffix('.log')}.")
    result = figures(Session.open(directory)) | {
        "processor_s": round(children_s() - used_s, 1),
        "wall_s": round(time.monotonic() - begin_s, 1),
    }
    if not arm.keep:
        shutil.rmtree(directory)
    return result


def wait(process: subprocess.Popen, directory: Path, until: str | None) -> None:
    """Until the process has ended, which it is asked to do once it has reached the milestone."""
    asked = False
    while process.poll() is None:
        time.sleep(POLL_S)
        if until and not asked and (directory / "status/actor.json").exists():
            if until in (read_status(Session.open(directory)).get("milestones_s") or {}):
                process.send_signal(signal.SIGINT)
                asked = True


def figures(session: Session) -> dict[str, Any]:
    """What is kept of a session that has ended."""
    steps = ExperienceTail(session.experience, session.spec).read()
    info = {name: np.array([step.info[name] for step in steps]) for name in ("up_z", "forward_velocity_m_s")}
    reward = np.array([step.reward for step in steps])
    status = read_status(session)
    falls, minutes = falls_after_upright(info["up_z"])
    rows = zip(*(by_row(values) for values in (reward, info["forward_velocity_m_s"])), strict=True)
    return {
        "milestones_minutes": milestones_minutes(status),
        "robot_minutes": round(len(steps) / RATE_HZ / 60, 3),
        "falls": falls,
        "falls_per_minute": round(falls / minutes, 3) if minutes else None,
        "final_reward": round(float(reward[-FINAL_STEPS:].mean()), 3),
        "final_forward_m_s": round(float(info["forward_velocity_m_s"][-FINAL_STEPS:].mean()), 3),
        "gradient_steps": status["gradient_steps"],
        "curve": [
            {"robot_minutes": round(number * ROW_S / 60, 3), "reward": reward, "true_forward_m_s": speed}
            for number, (reward, speed) in enumerate(rows, start=1)
        ],
    }


def by_row(values: np.ndarray) -> list[float]:
    """Means of a quantity `[steps]` over each `ROW_S`; what is left over at the end is left out."""
    length = round(ROW_S * RATE_HZ)
    return values[: len(values) // length * length].reshape(-1, length).mean(1).round(3).tolist()


def falls_after_upright(up_z: np.ndarray) -> tuple[int, float]:
    """How often a trunk that was upright tipped over, and the minutes since it was upright for the first time."""
    upright = np.flatnonzero(up_z > UPRIGHT)
    if not len(upright):
        return 0, 0.0
    state, falls = True, 0
    for z in up_z[upright[0] :]:
        if state and z < TIPPED:
            state, falls = False, falls + 1
        elif z > UPRIGHT:
            state = True
    return falls, (len(up_z) - int(upright[0])) / RATE_HZ / 60


def table(directory: Path, against: str | None) -> str:
    """Markdown: a row for each arm, over the seeds that it has; differences over those that both have."""
    arms = {path.stem: json.loads(path.read_text())["seeds"] for path in sorted(directory.glob("*.json"))}
    if not arms:
        return "No arm has been run yet."
    reference = against or next(iter(arms))
    milestones = WALK.milestone_names
    heads = [*(f"{name}, min" for name in milestones), "falls/min", "last 100 s reward", "m/s", "processor s/min"]
    lines = [f"| arm | seeds | {' | '.join(heads)} | walking against {reference} |", "|---" * (len(heads) + 3) + "|"]
    for name, seeds in arms.items():
        runs = list(seeds.values())
        columns = [
            Spread.of(run["milestones_minutes"][milestone] for run in runs).describe() for milestone in milestones
        ]
        columns.append(Spread.of(run["falls_per_minute"] for run in runs).describe(2))
        columns.append(Spread.of(run["final_reward"] for run in runs).describe())
        columns.append(Spread.of(run["final_forward_m_s"] for run in runs).describe(2))
        columns.append(Spread.of(run["processor_s"] / run["robot_minutes"] for run in runs).describe(0))
        lines.append(f"| {name} | {len(runs)} | {' | '.join(columns)} | {paired(seeds, arms[reference])} |")
    return "\n".join(lines)


def paired(seeds: dict[str, Any], reference: dict[str, Any]) -> str:
    """How many of the seeds in both walk earlier, and by how much; never is later than anything, by the longest run."""

    def minutes(run: dict[str, Any]) -> float:
        reached = run["milestones_minutes"]["walking"]
        return run["robot_minutes"] if reached is None else reached

    common = [seed for seed in seeds if seed in reference]
    if seeds is reference or not common:
        return ""
    differences = [minutes(seeds[seed]) - minutes(reference[seed]) for seed in common]
    earlier = sum(difference < 0 for difference in differences)
    return f"{earlier} of {len(common)} earlier, median {statistics.median(differences):+.1f} min"


def commit_of(tree: Path) -> str | None:
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or current_commit()
    except FileNotFoundError:
        return None


def children_s() -> float:
    """Processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
