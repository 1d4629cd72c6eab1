"""Learning curves of `daydreamer train walk` over seeds, failures included: when is it upright, stands and walks?

    python benchmarks/learning_curves.py --out DIR [--seeds 0 1 2] [--steps 72000] [--train-ratio 256] [--jobs 2]

Trains the seeds that have no finished session in DIR yet; one that was stopped before its end begins anew. For each
seed S it leaves in DIR the session seedS, its output seedS.log and its curve seedS.csv (a row for every ten seconds of
robot time), and for all of them summary.json, in which null stands for 'not within the run' and counts as later than
anything. What is judged is the simulator's truth. See plot_curves.py and milestone_table.py for what to do with it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import csv
import dataclasses
import datetime
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from curves import markdown_table, read_runs

from daydreamer.cli.train import FINAL_STEPS
from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import REPORT_STEPS
from daydreamer.robots.quadruped.presentation import FORWARD_VELOCITY, WALK
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.session.new import configure
from daydreamer.session.status import read_status
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.metrics import truth_tag
from daydreamer.telemetry.scalars import ScalarReader
from daydreamer.telemetry.spread import Spread

GRADIENT_STEPS = "learner/gradient_steps"
COLUMNS = ("robot_minutes", "reward", "odometry_m_s", "true_forward_m_s", "gradient_steps", "wall_s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=72_000, help="of the robot, 20 a second")
    parser.add_argument("--train-ratio", type=float, default=256.0, metavar="R", help="replayed steps per step")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=1, metavar="J", help="seeds at a time, which share the cores")
    options = parser.parse_args()
    if options.steps < REPORT_STEPS:
        parser.error(f"--steps {options.steps} gives no row of a curve; choose {REPORT_STEPS} or more")
    if options.jobs < 1:
        parser.error("--jobs must be 1 or more")
    try:
        return Benchmark(options).run()
    except UserError as error:
        parser.error(str(error))


class Benchmark:
    """The seeds of one command, in one directory."""

    def __init__(self, options: argparse.Namespace):
        self._out: Path = options.out
        self._seeds: list[int] = options.seeds
        self._steps: int = options.steps
        self._jobs: int = options.jobs
        # XLA makes its thread pool this large. Jobs that share all cores hinder each other: on two cores, two jobs
        # with one core each make 6.2 gradient steps a second together, one job with both cores 4.8.
        self._cores_per_job = max(1, len(os.sched_getaffinity(0)) // options.jobs)
        self._arguments = ["train", "walk", "--steps", str(options.steps), "--train-ratio", f"{options.train_ratio:g}"]
        self._arguments += ["--preset", options.preset] if options.preset != "default" else []
        for override in options.overrides:
            self._arguments += ["--set", override]
        rate_hz = make_task(SessionConfig()).spec.control_rate_hz
        self._configs = {
            seed: configure(
                robot="a1",
                minutes=options.steps / rate_hz / 60,
                seed=seed,
                preset=options.preset,
                overrides=[f"learner.train_ratio={options.train_ratio:g}", *options.overrides],
            )
            for seed in options.seeds
        }

    def run(self) -> int:
        """Trains what is missing and writes what there is; returns the exit status.

        Raises:
          UserError: DIR holds sessions of other settings, or one that is still being trained.
        """
        self._out.mkdir(parents=True, exist_ok=True)
        commits = self._known_commits()
        finished = [seed for seed in self._seeds if self._is_finished(seed)]
        missing = [seed for seed in self._seeds if seed not in finished]
        for seed in missing:
            self._remove_unfinished(seed)
        if finished:
            self._write_summary(finished, commits)
        commits |= dict.fromkeys(missing, current_commit())
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as executor:
            jobs = {executor.submit(self._train, seed): seed for seed in missing}
            for job in concurrent.futures.as_completed(jobs):
                seed, status = jobs[job], job.result()
                print(f"Seed {seed} ended with exit status {status}, see {self._log(seed)}.", flush=True)
                if status == 0:
                    finished.append(seed)
                    self._write_summary(finished, commits)
        if finished:
            print(markdown_table({"daydreamer": read_runs(str(self._out))}))
        return 0 if len(finished) == len(self._seeds) else 1

    def _train(self, seed: int) -> int:
        """Exit status of the training."""
        command = [sys.executable, "-m", "daydreamer.cli.main", *self._arguments]
        command += ["--seed", str(seed), "--out", str(self._directory(seed))]
        environment = os.environ | {"NPROC": str(self._cores_per_job)}
        with open(self._log(seed), "wb") as log:
            return subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode

    def _is_finished(self, seed: int) -> bool:
        if not self._directory(seed).exists():
            return False
        session = Session.open(self._directory(seed))
        if session.config != self._configs[seed]:
            raise UserError(f"{session.path} was trained with other settings; choose another --out.")
        status = read_status(session)
        return status["state"] == "stopped" and status["env_steps"] == self._steps

    def _remove_unfinished(self, seed: int) -> None:
        if self._directory(seed).exists():
            # Refused while somebody trains it.
            with Session.open(self._directory(seed)).lock():
                print(f"Seed {seed} was stopped before its end and begins anew.", flush=True)
                shutil.rmtree(self._directory(seed))

    def _known_commits(self) -> dict[int, str | None]:
        """With which earlier seeds were trained."""
        if not self._summary.exists():
            return {}
        return {
            int(seed): entry["daydreamer_commit"]
            for seed, entry in json.loads(self._summary.read_text())["seeds"].items()
        }

    def _write_summary(self, finished: Iterable[int], commits: Mapping[int, str | None]) -> None:
        sessions = {seed: Session.open(self._directory(seed)) for seed in sorted(finished)}
        results = {seed: collect(session, self._out / f"seed{seed}.csv") for seed, session in sessions.items()}
        summary = {
            "command": shlex.join(["daydreamer", *self._arguments, "--seed", "SEED", "--out", "DIR"]),
            "environment": {"NPROC": str(self._cores_per_job)},
            "jobs": self._jobs,
            "date": datetime.date.today().isoformat(),
            "machine": describe_machine(),
            "versions": next(iter(sessions.values())).record.versions,
            "seeds": {
                str(seed): {"started": sessions[seed].record.started, "daydreamer_commit": commits.get(seed)} | result
                for seed, result in results.items()
            },
            "over_seeds": summarise(list(results.values())),
        }
        write_anywhere(self._summary, (json.dumps(summary, indent=2) + "\n").encode())

    def _directory(self, seed: int) -> Path:
        return self._out / f"seed{seed}"

    @property
    def _summary(self) -> Path:
        return self._out / "summary.json"

    def _log(self, seed: int) -> Path:
        return self._out / f"seed{seed}.log"


def collect(session: Session, path: Path) -> dict[str, Any]:
    """Writes the curve of a finished session to `path`; returns its results."""
    steps = ExperienceTail(session.experience, session.spec).read()
    rewards = np.array([step.info["published_reward"] for step in steps])
    odometry_m_s = np.array([step.info["forward_velocity_m_s"] for step in steps])
    metrics = ScalarReader(session.metrics).read()
    true_speed = metrics[truth_tag(FORWARD_VELOCITY)]
    gradient_steps = dict(zip(metrics[GRADIENT_STEPS].step, metrics[GRADIENT_STEPS].value.astype(int), strict=True))
    started_wall_s = datetime.datetime.fromisoformat(session.record.started).timestamp()
    table = []
    for wall_s, step, true_m_s in zip(true_speed.wall_s, true_speed.step, true_speed.value, strict=True):
        rows = slice(step - REPORT_STEPS, step)
        minutes = step * session.spec.control_period_s / 60
        figures = (rewards[rows].mean(), odometry_m_s[rows].mean(), true_m_s)
        table.append((minutes, *figures, gradient_steps[step], wall_s - started_wall_s))
    write_curve(path, table)
    status = read_status(session)
    final_speeds_m_s = [row[COLUMNS.index("true_forward_m_s")] for row in table[-FINAL_STEPS // REPORT_STEPS :]]
    return {
        "milestones_minutes": milestones_minutes(status),
        f"reward_of_last_{FINAL_STEPS}_steps": round(float(rewards[-FINAL_STEPS:].mean()), 3),
        f"true_forward_m_s_of_last_{FINAL_STEPS}_steps": round(float(np.mean(final_speeds_m_s)), 3),
        "robot_minutes": round(status["robot_seconds"] / 60, 4),
        "gradient_steps": status["gradient_steps"],
        "wall_s": round(table[-1][-1], 1),
    }


def write_curve(path: Path, rows: Iterable[tuple[float, ...]]) -> None:
    """Writes rows of `COLUMNS`."""
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(
            (f"{minutes:.4f}", *(f"{figure:.3f}" for figure in figures), updates, f"{wall_s:.1f}")
            for minutes, *figures, updates, wall_s in rows
        )


def milestones_minutes(status: Mapping[str, Any]) -> dict[str, float | None]:
    """When each milestone was reached, of a session's status; None for never."""
    reached_s = status["milestones_s"]
    return {name: round(reached_s[name] / 60, 4) if name in reached_s else None for name in WALK.milestone_names}


def summarise(results: list[Any]) -> dict[str, Any]:
    """Median, lowest and highest of every figure in `collect`'s results, in the same shape."""
    if isinstance(results[0], dict):
        return {name: summarise([result[name] for result in results]) for name in results[0]}
    spread = dataclasses.asdict(Spread.of(results))
    return {name: None if value is None else round(value, 4) for name, value in spread.items()}


def current_commit() -> str | None:
    """The commit of the checkout that this file is in, marked if there are changes to it; None without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip() or None
    except FileNotFoundError:
        return None


def describe_machine() -> str:
    gpu = "no GPU"
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        gpu = ", ".join(subprocess.run(query, capture_output=True, text=True).stdout.splitlines()) or gpu
    return f"{os.cpu_count()} cores, {platform.machine()}, {gpu}"


if __name__ == "__main__":
    sys.exit(main())
