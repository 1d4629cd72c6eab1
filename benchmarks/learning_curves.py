"""Learning curves of `daydreamer train walk` over seeds, failures included.

    python benchmarks/learning_curves.py --out DIR [--seeds 0 1 2] [--steps 20000] [--train-ratio 100] [--set ...]

Trains the seeds that have no session in DIR yet, one after the other, and writes for each a CSV (a row every ten
seconds of robot time) and for all a summary JSON next to them.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session

FINAL_STEPS = 2000
ROW_STEPS = 200
TRUE_SPEED = "truth/forward_velocity_m_s"
GRADIENT_STEPS = "learner/gradient_steps"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--train-ratio", type=float, default=100.0)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    command = [
        "daydreamer",
        "train",
        "walk",
        "--steps",
        str(options.steps),
        "--train-ratio",
        f"{options.train_ratio:g}",
    ]
    for override in options.overrides:
        command += ["--set", override]
    finals = {}
    for seed in options.seeds:
        directory = options.out / f"seed{seed}"
        if not directory.exists():
            arguments = [*command[1:], "--seed", str(seed), "--out", str(directory)]
            subprocess.run([sys.executable, "-m", "daydreamer.cli.main", *arguments], check=True)
        finals[seed] = collect(Session.open(directory), options.out / f"seed{seed}.csv")
    values = list(finals.values())
    summary = {
        "command": " ".join(command),
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "mean_reward_of_last_steps": finals,
        "last_steps": FINAL_STEPS,
        "median": float(np.median(values)),
        "lowest": min(values),
        "highest": max(values),
    }
    (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary, indent=2))


def collect(session: Session, path: Path) -> float:
    """Writes the curve of a session; returns the mean reward of its last steps."""
    steps = ExperienceTail(session.experience, session.spec).read()
    rewards = np.array([step.reward for step in steps])
    odometry = np.array([step.info["forward_velocity_m_s"] for step in steps])
    metrics = EventAccumulator(str(session.metrics / "lockstep"), size_guidance={"scalars": 0}).Reload()
    true_speed = {event.step: event.value for event in metrics.Scalars(TRUE_SPEED)}
    gradient_steps = {event.step: int(event.value) for event in metrics.Scalars(GRADIENT_STEPS)}
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["robot_minutes", "reward", "odometry_m_s", "true_forward_m_s", "gradient_steps"])
        for end in sorted(true_speed.keys() & gradient_steps.keys()):
            rows = slice(end - ROW_STEPS, end)
            minutes = end * session.spec.control_period_s / 60
            figures = (rewards[rows].mean(), odometry[rows].mean(), true_speed[end])
            writer.writerow([f"{minutes:.3f}", *(f"{figure:.3f}" for figure in figures), gradient_steps[end]])
    return round(float(rewards[-FINAL_STEPS:].mean()), 3)


if __name__ == "__main__":
    main()
