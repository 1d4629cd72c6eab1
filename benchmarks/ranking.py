"""Whether a world model ranks policies as the twin does: policies of other sessions, which it has never seen.

    python benchmarks/ranking.py --models SESSION ... --policies SESSION|FILE ... --out FILE [--every 1]
                                 [--minutes 5] [--starts 256] [--horizon 10] [--picture FILE]

Every policy that a SESSION has kept, or each `--every`-th of them, and every FILE of a snapshot, acts in the twin by
its mean for `--minutes`, as in `daydreamer evaluate`: what gets a fallen robot up does so, and is what its session has
found. Each model is then asked for the policies that are of none of the sessions that it has seen, and what those
expect is averaged ('mean', as `daydreamer rank --model`). Beside each are asked, as controls: the same networks
untrained ('untrained'), and trained reward on untrained dynamics ('reward alone'). Correlations are of the reward a
step, over policies, with 95 % intervals by a bootstrap over policies. A pair of policies violates the rank if the model
has it the other way round; MMRV is the mean over policies of the largest true difference that it has so misjudged
(SIMPLER, Li et al. 2024). What FILE has already is not run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from paired_arms import commit_of

from daydreamer.compilation import keep_compilations
from daydreamer.errors import UserError
from daydreamer.evaluation.contenders import nominal_twin
from daydreamer.evaluation.trial import Trial, run_trial
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.ranking import HORIZON_S, STARTS, Candidate, dream_of, make_world
from daydreamer.instrument.trust import measure_trust
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import published_snapshots, read_snapshot_metadata
from daydreamer.session.directory import Session
from daydreamer.session.known_motions import read_known_motions
from daydreamer.session.new import configure_played
from daydreamer.storage.atomic import write_anywhere

TWIN_SEED = 1000
RESAMPLES = 5000
CONTROLS = ("trained", "untrained", "reward alone")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True, metavar="SESSION")
    parser.add_argument("--policies", type=Path, nargs="+", required=True, metavar="SESSION|FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of the policies of a session only each N-th")
    parser.add_argument("--controls", nargs="+", choices=CONTROLS, default=list(CONTROLS))
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

    candidates = [each for path in options.policies for each in found(path, options.every)]
    for each in candidates:
        if each.name not in results["truth"]:
            results["truth"][each.name] = in_twin(each, options.minutes)
            print(each.name, results["truth"][each.name], flush=True)
            keep()
    for directory in options.models:
        learned = read_learned(directory)
        seen = {directory.resolve(), *(Path(log.path) for log in learned.session.record.logs)}
        others = [each for each in candidates if each.session.resolve() not in seen]
        for control in options.controls:
            name = f"{learned.session.path.name} {control}"
            known = results["models"].setdefault(name, {"policies": {}})
            if any(each.name not in known["policies"] for each in others):
                known |= in_model(controlled(learned, control), others, options.starts, options.horizon)
                keep()
    if len(options.models) > 1 and CONTROLS[0] in options.controls:
        asked = [results["models"][f"{path.name} {CONTROLS[0]}"]["policies"] for path in options.models]
        of_each = {name: [each[name]["reward"] for each in asked if name in each] for each in asked for name in each}
        means = {name: {"reward": float(np.mean(values))} for name, values in of_each.items()}
        results["models"][f"mean of {len(asked)} {CONTROLS[0]}"] = {"policies": means}
    for name, model in results["models"].items():
        if not model["policies"]:
            continue  # it has seen them all
        model["agreement"] = agreement(results["truth"], model["policies"])
        print(name, json.dumps(model["agreement"]))
    keep()
    if options.picture:
        draw(results, options.picture)
    return 0


def found(path: Path, every: int) -> list[Candidate]:
    """Snapshots of a session, oldest first, of `every` the last one; or the one in a file."""
    paths = [path] if path.is_file() else [each for _, each in sorted(published_snapshots(path / "policy").items())]
    paths = paths[(len(paths) - 1) % every :: every]
    return [Candidate(each, each.resolve().parent.parent, read_snapshot_metadata(each)) for each in paths]


def in_twin(candidate: Candidate, minutes: float) -> dict[str, float]:
    """What a policy comes to in the twin as published, with what its session knows of getting up."""
    session = Session.open(candidate.session)
    config = configure_played(session, candidate.metadata, body="twin", minutes=minutes, seed=TWIN_SEED)
    episode_s = session.spec.episode_steps * session.spec.control_period_s
    outcome = run_trial(
        Trial(
            contender=0,
            kind="nominal",
            config=msgspec.structs.replace(config, twin=nominal_twin(config.twin, is_fitted=False)),
            spec=session.spec,
            presentation=session.presentation,
            snapshot=str(candidate.path),
            episodes=max(1, round(60.0 * minutes / episode_s)),
            episode_steps=session.spec.episode_steps,
            known_motions=read_known_motions(session),
        )
    )
    if outcome.problem:
        raise UserError(f"{candidate.name}: {outcome.problem}")
    return {name: round(value, 4) for name, value in outcome.values.items()}


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
        axis.set_title(f"{name.removesuffix(' ' + CONTROLS[0])}: r = {model['agreement']['pearson']['r']}", fontsize=9)
        axis.set_xlabel("reward a step in the twin")
    axes[0].set_ylabel("reward a step in the model")
    axes[0].legend(fontsize=6)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
