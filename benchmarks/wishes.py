"""Whether a wish is granted by the model that a session has: backwards, turning on the spot, crouching.

    python benchmarks/wishes.py --sessions SESSION ... --out FILE [--wishes WISH ...] [--attempts 3] [--seconds 10]
                                [--proposals none policy] [--train 2000] [--picture FILE]

For each SESSION and WISH the twin is driven by planning, about the action 0 and about the policy, by a policy that was
trained for it in dreams alone if --train says in how many gradient steps, and by the session's policy alone, as
`daydreamer wish` does it. A share says how much of the way from the policy alone, or from rest, to what was
wished for was come, by the simulator's truth. What FILE has already is not run again. For how long a plan takes on one
core, pin it: `NPROC=1 taskset -c 0`, with nothing beside it.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from paired_arms import commit_of

from daydreamer.compilation import keep_compilations
from daydreamer.contract.wishes import Wishables
from daydreamer.instrument.granting import BY_POLICY, BY_TRAINING, PlanSettings, grant, to_json
from daydreamer.instrument.wish_planning import PROPOSALS, find_proposal
from daydreamer.instrument.wishing import WishedReward, named_wish
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_anywhere

WISHES = ("backwards 0.3", "turn 0.6", "crouch 0.18")
WITHOUT_A_PLAN = {BY_POLICY: "policy alone", BY_TRAINING: "trained\nin dreams"}
AT_REST = {"height_m": 0.27}
"""Where a signal is if nothing is done; the others are 0."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=Path, nargs="+", required=True, metavar="SESSION")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--wishes", nargs="+", default=WISHES, metavar="WISH")
    parser.add_argument("--proposals", nargs="+", default=PROPOSALS)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--train", type=int, default=0, metavar="GRADIENT_STEPS")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="PNG of what came")
    options = parser.parse_args()
    keep_compilations()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"wishes": {}}
    for wish in options.wishes:
        for directory in options.sessions:
            for proposal in options.proposals:
                known = results["wishes"].setdefault(wish, {}).setdefault(directory.name, {})
                if proposal in known:
                    continue
                granted = grant(
                    directory,
                    functools.partial(_named, wish),
                    plan=PlanSettings(proposal=find_proposal(proposal)),
                    seconds=options.seconds,
                    attempts=options.attempts,
                    gradient_steps=options.train,
                )
                result = to_json(granted) | {"session": directory.name}
                known[proposal] = result | {"shares": shares(result)}
                results["commit"] = commit_of(Path(__file__).parents[1])
                write_anywhere(options.out, (json.dumps(results, indent=1) + "\n").encode())
                print(wish, directory.name, proposal, told(known[proposal]), flush=True)
    if options.picture:
        draw(results, options.picture)
    return 0


def _named(wish: str, wishables: Wishables, session: Session) -> WishedReward:
    return named_wish(wishables, wish)


def shares(result: dict[str, Any]) -> dict[str, float]:
    """How much of the way from rest to what was wished for each driver came; below 0 it went the other way."""
    ((signal, target),) = result["targets"].items()
    begin = AT_REST.get(signal, 0.0)
    came = {each["driver"]: each["truth"].get(signal, each["signals"][signal])["mean"] for each in result["came"]}
    return {driver: round((value - begin) / (target - begin), 3) for driver, value in came.items()}


def told(result: dict[str, Any]) -> str:
    """In a line."""
    parts = [f"shares {result['shares']}"]
    for each in result["came"]:
        values = {name: round(value["mean"], 3) for name, value in (each["truth"] or each["signals"]).items()}
        falls = {name: value["mean"] for name, value in each["occurrences_per_minute"].items()}
        parts.append(
            f"{each['driver']}: reward {each['reward']['mean']:.2f} {values} {falls} {each['latency_ms'] or ''}"
        )
    return "; ".join(parts)


def draw(results: dict[str, Any], path: Path) -> None:
    """Draws a panel for each wish: what was wished, and what came in each session, with the worst and best attempt."""
    from matplotlib.figure import Figure

    wishes = results["wishes"]
    figure = Figure(figsize=(3.0 * len(wishes), 3.0), layout="constrained")
    axes = figure.subplots(1, len(wishes), squeeze=False)[0]
    for axis, (wish, sessions) in zip(axes, wishes.items(), strict=True):
        columns: dict[str, None] = {}
        for number, (name, session) in enumerate(sessions.items()):
            for column, value in _came(session):
                place = list(columns | {column: None}).index(column)
                columns[column] = None
                at = place + 0.12 * (number - (len(sessions) - 1) / 2)
                axis.plot([at, at], [value["low"], value["high"]], color=f"C{number}", linewidth=1.5)
                label = name if place == 0 else None
                axis.plot(at, value["mean"], "o", color=f"C{number}", markersize=5, label=label)
        ((signal, target),) = next(iter(next(iter(sessions.values())).values()))["targets"].items()
        axis.axhline(target, color="0.3", linestyle="--", linewidth=0.9)
        axis.set_xlim(-0.5, len(columns) - 0.5)
        axis.set_xticks(range(len(columns)), list(columns), fontsize=7)
        axis.set_title(wish, fontsize=9)
        axis.set_ylabel(signal, fontsize=8)
    axes[0].legend(fontsize=6)
    figure.savefig(path, dpi=110)


def _came(session: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Who drove, and what came, of each driver once."""
    seen = set()
    for proposal, result in session.items():
        (signal,) = result["targets"]
        for each in result["came"]:
            about = {"policy": "the policy", "none": "standing"}[proposal]
            column = WITHOUT_A_PLAN.get(each["driver"], f"planned,\nabout {about}")
            if column not in seen:
                seen.add(column)
                yield column, each["truth"].get(signal, each["signals"][signal])


if __name__ == "__main__":
    sys.exit(main())
