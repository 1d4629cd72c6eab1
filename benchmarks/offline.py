"""What is learned from logs alone: with a guard against the model's errors, without one, and by cloning.

    python benchmarks/offline.py --out DIR [--seeds 0 1 2] [--arms guard no_guard cloning what_paid] [--tenth]
                                 [--gradient-steps 10000] [--robots 20] [--episodes 5]
    python benchmarks/offline.py --out DIR --table                       the table of what there is so far

The data set is a recipe: `RECIPE` says which trainings, with which seeds, and how much of each; half an hour in all. Of
a training whose mean reward is above 9 only the beginning is taken, up to where it is not. With --tenth there is the
middle tenth of each log alone, or 120 steps of it. Each arm learns from it with each seed, is tried in the twin by
`daydreamer evaluate`, and dreams from states that were held out, for what its model promises. DIR/results.json says
what came; what it has is not run again, so that it can be ended at any moment.

A gap is what the model promises less what came in the twin, a step. The best logged behaviour is the best minute of any
log.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from learning_curves import current_commit

from daydreamer.compilation import keep_compilations
from daydreamer.experience.log import ExperienceWriter
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.instrument.logged import LoggedSteps
from daydreamer.instrument.ranking import dream_of, find_candidates, make_world
from daydreamer.learner.inherited import read_held_out_experience
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.storage.atomic import write_anywhere

MOST_REWARD = 9.0
"""Mean of a log: an A1 that stands earns it."""
LEAST_STEPS = 120
"""A log with fewer steps is left out: nothing could be learned from it."""
BEST_S = 60.0
HORIZON_S, STARTS = 10.0, 256
UNGUARDED = "learner.members=0"
ARMS: dict[str, tuple[str, ...]] = {
    "guard": (),
    "no_guard": (UNGUARDED,),
    "cloning": (UNGUARDED, "learner.imagination_scale=0", "learner.imitation_scale=0", "learner.cloning_scale=1"),
    "what_paid": (UNGUARDED, "learner.imagination_scale=0"),
}
"""Settings beside those of `--from-logs`. 'what_paid' imitates what paid more than expected, and dreams of nothing."""


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A training whose log is part of the data set.

    Attributes:
      name: of its directory.
      seed: of robot, networks and chance.
      steps: of the robot.
      arguments: of `daydreamer train a1 walk`, beside these.
    """

    name: str
    seed: int
    steps: int
    arguments: tuple[str, ...]


RANDOM = ("--train-ratio", "0", "--set", "actor.random_s=3600", "--set", "actor.rhythm_hz=null")
RECIPE = (
    Recorded("random_100", 100, 6000, RANDOM),
    Recorded("random_101", 101, 6000, RANDOM),
    Recorded("bad_102", 102, 6000, ("--train-ratio", "8", "--set", "actor.rhythm_hz=null")),
    Recorded("bad_103", 103, 6000, ("--train-ratio", "8", "--set", "actor.rhythm_hz=null")),
    Recorded("medium_104", 104, 6000, ("--train-ratio", "72")),
    Recorded("medium_105", 105, 6000, ("--train-ratio", "72")),
)
"""Half an hour: ten minutes at random, ten of policies that have learned next to nothing, ten of beginners."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--tenth", action="store_true", help="a tenth of the data")
    parser.add_argument("--gradient-steps", type=int, default=10_000)
    parser.add_argument("--robots", type=int, default=20, help="of each evaluation")
    parser.add_argument("--episodes", type=int, default=5, help="of each robot")
    parser.add_argument("--steps", type=int, help="of each log, to try it out; default: as in the recipe")
    parser.add_argument("--preset", default="default", help="of all trainings")
    parser.add_argument("--table", action="store_true", help="only show what there is")
    options = parser.parse_args()
    keep_compilations()
    path = options.out / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"logs": {}, "arms": {}}
    if not options.table:
        for _ in run(options, results):
            results["commit"] = current_commit()
            write_anywhere(path, (json.dumps(results, indent=1) + "\n").encode())
            print(*table(results), sep="\n", flush=True)
    print(*table(results), sep="\n")
    return 0


def run(options: argparse.Namespace, results: dict[str, Any]) -> Iterator[None]:
    """Adds to the results what they lack, and yields after each piece."""
    amount = "tenth" if options.tenth else "whole"
    logs = []
    for recorded in RECIPE:
        log = make_log(recorded, options, options.out / "logs" / amount / recorded.name)
        logs.append(log.path)
        if recorded.name not in (known := results["logs"].setdefault(amount, {})):
            known[recorded.name] = describe(log)
            yield
    for seed in options.seeds:
        for arm in options.arms:
            if str(seed) not in (arms := results["arms"].setdefault(amount, {})).get(arm, {}):
                out = options.out / "arms" / amount / f"{arm}_{seed}"
                learn(out, logs, ARMS[arm], seed, options)
                arms.setdefault(arm, {})[str(seed)] = judge(out, options)
                yield


def make_log(recorded: Recorded, options: argparse.Namespace, path: Path) -> Session:
    """The log of a recipe, made unless it is there."""
    if (path / "session.yaml").exists():
        return Session.open(path)
    steps = options.steps or recorded.steps
    source = options.out / "trained" / recorded.name
    if not (source / "session.yaml").exists() or len(read_steps(Session.open(source))) < steps:
        shutil.rmtree(source, ignore_errors=True)  # of a run that was ended
        arguments = ["--steps", str(steps), "--seed", str(recorded.seed), *recorded.arguments]
        daydreamer("train", "a1", "walk", "--out", str(source), "--preset", options.preset, *arguments)
    trained = Session.open(source)
    logged = read_steps(trained)
    mean = np.cumsum([step.reward for step in logged]) / np.arange(1, len(logged) + 1)
    logged = logged[: 1 + int(np.flatnonzero(mean <= MOST_REWARD)[-1])]
    if options.tenth:
        length = max(len(logged) // 10, LEAST_STEPS)
        begin = (len(logged) - length) // 2
        logged = logged[begin : begin + length]
    return copy_steps(trained, logged, path)


def read_steps(session: Session) -> list[Step]:
    return ExperienceTail(session.experience, session.spec).read()


def copy_steps(session: Session, steps: Sequence[Step], path: Path) -> Session:
    """Makes a session of some consecutive steps of another one, with what its robot knew of getting up."""
    part = path.with_name(f"{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    copy = Session.create(part, session.config, session.spec, session.presentation)
    life = steps[0].actor_life
    with ExperienceWriter(copy.experience, copy.spec, life, 60.0, copy.digest) as writer:
        for number, step in enumerate(steps):
            writer.append(dataclasses.replace(step, sequence=number, is_first=step.is_first or not number))
    with contextlib.suppress(FileNotFoundError):
        shutil.copy(session.known_motions, copy.known_motions)
    part.rename(path)
    return Session.open(path)


def describe(log: Session) -> dict[str, float]:
    """How good a log is: a step on average, and over its best minute."""
    reward = np.array([step.reward for step in read_steps(log)])
    window = min(len(reward), log.spec.steps(BEST_S))
    sums = np.concatenate(((0.0,), np.cumsum(reward)))
    best = float((sums[window:] - sums[:-window]).max() / window)
    return {
        "minutes": len(reward) * log.spec.control_period_s / 60,
        "reward": float(reward.mean()),
        "best_minute": best,
    }


def learn(out: Path, logs: Sequence[Path], settings: Sequence[str], seed: int, options: argparse.Namespace) -> None:
    """Learns from the logs, unless that has been done."""
    if (out / "session.yaml").exists() and any(
        event["kind"] == "learned_offline" for event in read_events(out / "events.jsonl")
    ):
        return
    shutil.rmtree(out, ignore_errors=True)
    named = [word for log in logs for word in ("--from-logs", str(log))]
    chosen = [word for setting in settings for word in ("--set", setting)]
    length = ["--gradient-steps", str(options.gradient_steps), "--seed", str(seed), "--preset", options.preset]
    daydreamer("train", "a1", "walk", "--out", str(out), *named, *chosen, *length)


def judge(out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What a policy comes to in the twin, and what its model promises of it from states that were held out."""
    arguments = ["--robots", str(options.robots), "--episodes", str(options.episodes), "--json"]
    evaluation = json.loads(daydreamer("evaluate", str(out), *arguments))
    (policy,) = evaluation["policies"]
    learned = read_learned(out)
    session = learned.session
    rows = read_held_out_experience(session, lambda kind, **fields: print(kind, fields))
    assert rows is not None, "it has been learned from"
    world = make_world(learned, LoggedSteps(session.spec, rows, {}), STARTS, seed=0)
    (candidate,) = find_candidates(session, ["best"])
    dreamed = dream_of(candidate, Policy.load(candidate.path, session.spec, 0, 0.0), world, HORIZON_S)
    (ended,) = (event for event in read_events(session.events) if event["kind"] == "learned_offline")
    return {
        "gradient_steps": ended["gradient_steps"],
        "kept": ended["kept"],
        "ended_early": ended["ended_early"],
        "dreamed_reward": float(dreamed.reward.mean()),
        "far": dreamed.far,
        "twin": {kind: group["measures"] for kind, group in policy["groups"].items()},
    }


def daydreamer(*arguments: str) -> str:
    """What a command prints; its messages go on to ours."""
    command = [sys.executable, "-m", "daydreamer.cli.main", *arguments]
    print("daydreamer", *arguments, flush=True)
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def table(results: dict[str, Any]) -> Iterator[str]:
    """Lines for people."""
    for amount, logs in results["logs"].items():
        yield f"{amount}: {sum(log['minutes'] for log in logs.values()):.1f} minutes in {len(logs)} logs"
        for name, log in logs.items():
            yield f"  {name:12} reward {log['reward']:6.2f}  best minute {log['best_minute']:6.2f}"
        best = max(log["best_minute"] for log in logs.values())
        yield f"  medians over seeds (lowest to highest); the best logged minute earned {best:.2f}"
        for arm, seeds in results["arms"].get(amount, {}).items():
            nominal, drawn = ([reward_of(seed, kind) for seed in seeds.values()] for kind in ("nominal", "random"))
            promised = [seed["dreamed_reward"] for seed in seeds.values()]
            gap = [promise - real for promise, real in zip(promised, nominal, strict=True)]
            yield (
                f"  {arm:10} {len(seeds)} seeds  in the twin {spread(nominal)}, drawn at random {spread(drawn)}  "
                f"promised {spread(promised)}  gap {spread(gap)}  kept {[seed['kept'] for seed in seeds.values()]}"
            )


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def reward_of(judged: dict[str, Any], kind: str) -> float:
    """Mean reward a step in the twin; NaN if no such robot was tried."""
    measures = judged["twin"].get(kind)
    return float("nan") if measures is None else float(measures["reward"]["mean"])


if __name__ == "__main__":
    sys.exit(main())
