"""Whether a world model ranks policies as the twin does: policies of other sessions, which it has never seen.

    python benchmarks/ranking.py --models SESSION ... --policies SESSION|FILE ... --out FILE [--minutes 5]
                                 [--starts 256] [--horizon 10] [--picture FILE]

Every policy that a SESSION has kept, and every FILE of a snapshot, acts in the twin by its mean for `--minutes` in
stretches of half a minute, from its back and from its feet in turn; nothing gets it up but itself. Each model is then
asked for the policies that are not of its own session. Beside it are asked, as controls: the same networks untrained
('untrained'), and trained reward on untrained dynamics ('reward alone'). Correlations are of the reward a step, over
policies, with 95 % intervals by a bootstrap over policies. A pair of policies violates the rank if the model has it the
other way round; MMRV is the mean over policies of the largest true difference that it has so misjudged (SIMPLER, Li et
al. 2024). What FILE has already is not run again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from paired_arms import commit_of

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.compilation import keep_compilations
from daydreamer.experience.step import Step
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.ranking import HORIZON_S, STARTS, Candidate, dream_of, make_world
from daydreamer.instrument.trust import measure_trust
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import published_snapshots, read_snapshot_metadata
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.quantities import occurs

STRETCH_S = 30.0
RESAMPLES = 5000
CONTROLS = ("trained", "untrained", "reward alone")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True, metavar="SESSION")
    parser.add_argument("--policies", type=Path, nargs="+", required=True, metavar="SESSION|FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--minutes", type=float, default=5.0, help="of robot time, in the twin, for each policy")
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--horizon", type=float, default=HORIZON_S, help="in s")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of what was expected against what came")
    options = parser.parse_args()
    keep_compilations()
    results = json.loads(options.out.read_text()) if options.out.exists() else {"truth": {}, "models": {}}

    def keep() -> None:
        results["commit"] = commit_of(Path(__file__).parents[1])
        write_anywhere(options.out, (json.dumps(results, indent=1) + "\n").encode())

    candidates = [each for path in options.policies for each in found(path)]
    session = Session.open(options.models[0])
    for each in candidates:
        if each.name not in results["truth"]:
            results["truth"][each.name] = in_twin(session, each, options.minutes)
            print(each.name, results["truth"][each.name], flush=True)
            keep()
    for directory in options.models:
        learned = read_learned(directory)
        others = [each for each in candidates if each.session.name != learned.session.path.name]
        for control in CONTROLS:
            name = f"{learned.session.path.name} {control}"
            known = results["models"].setdefault(name, {"policies": {}})
            if any(each.name not in known["policies"] for each in others):
                known |= in_model(controlled(learned, control), others, options.starts, options.horizon)
                keep()
    for name, model in results["models"].items():
        model["agreement"] = agreement(results["truth"], model["policies"])
        print(name, json.dumps(model["agreement"]))
    keep()
    if options.picture:
        draw(results, options.picture)
    return 0


def found(path: Path) -> list[Candidate]:
    """The snapshots of a session, oldest first, or the one in a file."""
    paths = [path] if path.is_file() else [each for _, each in sorted(published_snapshots(path / "policy").items())]
    return [Candidate(each, each.resolve().parent.parent, read_snapshot_metadata(each)) for each in paths]


def in_twin(session: Session, candidate: Candidate, minutes: float) -> dict[str, float]:
    """What a policy comes to in the twin of a session."""
    config = session.config
    policy = Policy.load(candidate.path, session.spec, config.seed, acting_noise=0.0)
    actor = msgspec.structs.replace(config.actor, random_s=0.0, rhythm_hz=None, fallen_reward=None)
    columns: list[dict[str, float]] = []
    falls = 0
    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, config.seed)) as twin:
        for stretch in range(round(60.0 * minutes / STRETCH_S)):
            twin.reset("standing" if stretch % 2 else None, seed=1000 + stretch)
            kept: list[Step] = []
            loop = ControlLoop(make_task(config), actor, kept, actor_life=1, seed=stretch, clock=lambda: twin.time_s)
            loop.set_policy(policy, frozen=True)
            begun = len(columns)
            for _ in range(session.spec.steps(STRETCH_S)):
                command = loop.step(twin.measure(), twin.time_s)
                twin.command(None if command.relaxes else command.setpoint)
                twin.advance(loop.tick_period_s)
                columns.append({"reward": kept[-1].reward, **kept[-1].info, **twin.truth().quantities})
            up_z = np.array([row["up_z"] for row in columns[begun:]])
            falls += int(sum(occurs(each, up_z).sum() for each in session.presentation.occurrences))
    mean = {name: float(np.mean([row[name] for row in columns])) for name in columns[0]}
    return {name: round(value, 4) for name, value in mean.items()} | {"falls_per_minute": falls / minutes}


def controlled(learned: Learned, control: str) -> Learned:
    """The model, or one that it is to be better than."""
    if control == "trained":
        return learned
    fresh = jax.tree.map(np.asarray, learned.agent.initialize(1).parameters)
    if control == "reward alone":
        fresh = fresh | {"outcome": learned.parameters["outcome"]}
    return dataclasses.replace(learned, state=learned.state._replace(parameters=fresh))


def in_model(learned: Learned, candidates: list[Candidate], starts: int, horizon_s: float) -> dict[str, Any]:
    """What a model expects of policies."""
    session = learned.session
    steps = read_logged(session)
    world, trust = make_world(learned, steps, starts, seed=0), measure_trust(learned, steps)
    policies = {}
    for each in candidates:
        policy = Policy.load(each.path, session.spec, 0, acting_noise=0.0)
        dreamed = dream_of(each, policy, world, horizon_s)
        policies[each.name] = {
            "reward": float(dreamed.reward.mean()),
            **{name: float(values.mean()) for name, values in dreamed.figures.items()},
            **{f"{name}_per_minute": float(values.mean()) for name, values in dreamed.occurrences_per_minute.items()},
            "far": dreamed.far,
        }
    return {"open_loop_ratio": trust.ratio, "policies": policies}


def agreement(truth: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """How well the expected rewards go with the true ones."""
    names = list(expected)
    one = np.array([expected[name]["reward"] for name in names])
    other = np.array([truth[name]["reward"] for name in names])
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(names), len(names)) for _ in range(RESAMPLES)]

    def correlate(a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
        values = [_pearson(a[index], b[index]) for index in drawn]
        known = np.array([value for value in values if np.isfinite(value)])
        interval = np.quantile(known, (0.025, 0.975)).round(3).tolist() if len(known) else None
        value = _pearson(a, b)
        return {"r": None if not np.isfinite(value) else round(value, 3), "interval": interval}

    wrong = (one[:, None] > one) & (other[:, None] < other)
    difference = np.where(wrong | wrong.T, np.abs(other[:, None] - other), 0.0)
    pairs = len(names) * (len(names) - 1) / 2
    return {
        "policies": len(names),
        "pearson": correlate(one, other),
        "spearman": correlate(_ranks(one), _ranks(other)),
        "rank_violations": round(float(wrong.sum() / pairs), 3),
        "mmrv": round(float(difference.max(1).mean()), 3),
        "mean_error": round(float((one - other).mean()), 3),
    }


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    if min(one.std(), other.std()) < 1e-9:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 0; equal values share their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]


def draw(results: dict[str, Any], path: Path) -> None:
    """A point for each policy: what the model expected, and what came."""
    from matplotlib.figure import Figure

    models = {name: model for name, model in results["models"].items() if name.endswith(f" {CONTROLS[0]}")}
    figure = Figure(figsize=(3.2 * len(models), 3.4), layout="constrained")
    axes = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (name, model) in zip(axes, models.items(), strict=True):
        for session in dict.fromkeys(each.rsplit(" ", 1)[0] for each in model["policies"]):
            names = [each for each in model["policies"] if each.rsplit(" ", 1)[0] == session]
            axis.plot(
                [results["truth"][each]["reward"] for each in names],
                [model["policies"][each]["reward"] for each in names],
                "o",
                markersize=4,
                alpha=0.8,
                label=f"policies of {session}",
            )
        axis.axline((5, 5), slope=1, color="0.7", linewidth=0.8, zorder=0)
        axis.set_title(f"model of {name.removesuffix(' ' + CONTROLS[0])}: r = {model['agreement']['pearson']['r']}")
        axis.set_xlabel("reward a step in the twin")
    axes[0].set_ylabel("reward a step in the model")
    axes[0].legend(fontsize=6)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
