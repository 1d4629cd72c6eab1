"""Whether a change has changed what is learned: `train walk` of two revisions on one machine, compared bit for bit.

    python benchmarks/golden_run.py BEFORE [AFTER] [--steps 1300] [--preset tiny] [--train-ratio 8] [--keep DIR]

BEFORE and AFTER are revisions of this repository; without AFTER it is the working tree as it is. Each is trained with
one thread in a process of its own, from a checkout of its own. Compared are every column of the experience but the
clocks, every scalar of the metrics but those of time, and every tensor of the last policy. Exits with 1 at a
difference.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from daydreamer.experience.tail import ExperienceTail
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.session.directory import Session
from daydreamer.telemetry.scalars import ScalarReader

REPOSITORY = Path(__file__).parents[1]
CLOCKS = {"monotonic_ns", "wall_ns", "latency_s"}
TIMES = ("_ms", "_per_s", "latency", "age_s", "jitter")
SHOWN = 20


@contextlib.contextmanager
def checkout(revision: str | None, directory: Path) -> Iterator[Path]:
    """A tree of the revision; None is the working tree."""
    if revision is None:
        yield REPOSITORY
        return
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(directory), revision], check=True)
    try:
        yield directory
    finally:
        subprocess.run([*git, "remove", "--force", str(directory)], check=True)


def train(tree: Path, out: Path, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "daydreamer.cli.main", "train", "walk", "--out", str(out)]
    command += ["--steps", str(options.steps), "--preset", options.preset, "--seed", str(options.seed)]
    command += ["--train-ratio", str(options.train_ratio)]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tree), "NPROC": "1"}, cwd=out.parent, check=True)


def differences(before: Path, after: Path) -> Iterator[str]:
    """What differs between two sessions, a line each."""
    one, other = Session.open(before), Session.open(after)
    if one.spec.hash != other.spec.hash:
        yield f"the spec: {one.spec.hash} and {other.spec.hash}"
    yield from _of_steps(*(list(_steps(session)) for session in (one, other)))
    yield from _of_values("scalar", *(_scalars(session) for session in (one, other)))
    # A revision may keep more of them on the way.
    yield from _of_values("the last policy", *(load_file(latest_snapshot(session.policy)) for session in (one, other)))


def _steps(session: Session) -> Iterator[dict]:
    tail = ExperienceTail(session.experience, session.spec)
    while batch := tail.read(2000):
        for step in batch:
            yield dataclasses.asdict(step)


def _of_steps(one: list[dict], other: list[dict]) -> Iterator[str]:
    if len(one) != len(other):
        yield f"the number of steps: {len(one)} and {len(other)}"
    for number, (left, right) in enumerate(zip(one, other, strict=False)):
        wrong = [name for name in left.keys() - CLOCKS if not _equal(left[name], right.get(name))]
        if wrong:
            yield f"step {number}: {', '.join(sorted(wrong))}"
            return  # everything after it follows


def _of_values(what: str, one: dict, other: dict) -> Iterator[str]:
    for name in sorted(one.keys() | other.keys(), key=str):
        if not _equal(one.get(name), other.get(name)):
            yield f"{what} {name}"


def _equal(left, right) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if (left is None) != (right is None):
        return False
    return np.array_equal(left, right) or np.array_equal(*(np.asarray(x, float) for x in (left, right)), equal_nan=True)


def _scalars(session: Session) -> dict[str, np.ndarray]:
    """`[points, 2]`, step and value, by tag."""
    scalars = ScalarReader(session.metrics).read().items()
    return {
        tag: np.column_stack((each.step, each.value)) for tag, each in scalars if not any(word in tag for word in TIMES)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", metavar="BEFORE")
    parser.add_argument("after", metavar="AFTER", nargs="?")
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--train-ratio", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the two sessions stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (options.keep or Path(temporary)).absolute()
        place.mkdir(parents=True, exist_ok=True)
        sessions = []
        for name, revision in (("before", options.before), ("after", options.after)):
            with checkout(revision, Path(temporary) / f"tree-{name}") as tree:
                train(tree, place / name, options)
            sessions.append(place / name)
        found = list(differences(*sessions))
        steps, scalars = len(list(_steps(Session.open(sessions[1])))), _scalars(Session.open(sessions[1]))
    count = sum(len(rows) for rows in scalars.values())
    if found:
        print(f"DIFFERENT in {len(found)} places:", *found[:SHOWN], sep="\n  ")
        return 1
    print(f"Equal to the bit: {steps} steps, {count} scalars of {len(scalars)} tags, the last policy.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
