"""What the safety supervisor does about each incident, and how soon.

    python benchmarks/incidents.py [--repeats 20] [--kinds KIND ...] [--json FILE]      in simulated time, without ROS
    python benchmarks/incidents.py --session DIR             of a live session with incidents, from its events

Prints a Markdown table. Simulated: a standing robot, each incident with its usual magnitude (`sim.incidents.KINDS`,
and those of quadrupeds), begun at a random moment of the control period, and the actions of the watchdogs as on
hardware; "noticed" is the first watchdog, "reaction" the first command that the policy did not choose, "damped" is when
the motors lost their target, by the supervisor's command or by the driver's own timeout. Live: what arrived
at the twin's driver during the incident, on the twin's clock, whatever the robot was doing.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daydreamer.config import IncidentConfig, resolve
from daydreamer.robots.quadruped.twin import INCIDENTS
from daydreamer.robots.registry import ON_HARDWARE
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from sim.incidents import KINDS
from sim.rehearsal import Rehearsed, rehearse

PLAYED = tuple(KINDS | INCIDENTS)
CONTROL_PERIOD_MS = 50.0
WATCHED_S = 4.0

LASTING_S = {"swapped_joint_names": 10.0, "leg_stops": 40.0}
"""These do not pass by themselves on a robot, and take longer to notice than their usual duration: played both ways."""


def simulate(repeats: int, kinds: Sequence[str]) -> dict[str, list[Rehearsed]]:
    random = np.random.default_rng(0)
    config = resolve(ON_HARDWARE)

    def play(kind: str, duration_s: float | None, watched_s: float) -> list[Rehearsed]:
        return [
            rehearse(
                IncidentConfig(kind=kind, start_s=float(random.uniform(0.5, 0.55)), duration_s=duration_s),
                seconds=watched_s,
                seed=repeat,
                config=config,
            )
            for repeat in range(repeats)
        ]

    runs = {kind: play(kind, None, WATCHED_S) for kind in kinds}
    lasting = {kind: seconds for kind, seconds in LASTING_S.items() if kind in kinds}
    return runs | {f"{kind}, {seconds:g} s": play(kind, seconds, seconds) for kind, seconds in lasting.items()}


def summarise(runs: Sequence[Rehearsed]) -> dict[str, object]:
    """Times in ms."""
    reactions = [run.reaction_s for run in runs]
    noticed = [run.noticed[0][0] if run.noticed else None for run in runs]
    watchdogs = collections.Counter(run.noticed[0][1] for run in runs if run.noticed)
    damped = [run.damping_s for run in runs]
    sequences = collections.Counter(" → ".join(run.reactions) or "none" for run in runs)
    return {
        "runs": len(runs),
        "reaction": sequences.most_common(1)[0][0],
        "same_reaction": sequences.most_common(1)[0][1],
        "watchdogs": dict(watchdogs),
        "noticed_ms": _span_ms(noticed),
        "reaction_ms": _span_ms(reactions),
        "damped_ms": _span_ms(damped),
        "fallen": sum(run.lowest_up_z < 0.5 for run in runs),
    }


def summarise_session(path: Path) -> dict[str, dict[str, object]]:
    ended = [event for event in read_events(Session.open(path).events) if event["kind"] == "incident_end"]
    by_kind = collections.defaultdict(list)
    for event in ended:
        by_kind[event["incident"]].append(event)
    return {
        kind: {
            "runs": len(events),
            "held_ms": _span_ms([event["held_s"] for event in events]),
            "damping_command_ms": _span_ms([event["damping_command_s"] for event in events]),
            "driver_damped_ms": _span_ms([event["driver_damped_s"] for event in events]),
        }
        for kind, events in sorted(by_kind.items())
    }


def _span_ms(times_s: Sequence[float | None]) -> dict[str, float] | None:
    """The median and range of the times at which something happened; None if it never did."""
    known = [1e3 * time_s for time_s in times_s if time_s is not None]
    if not known:
        return None
    return {"count": len(known), "median": statistics.median(known), "min": min(known), "max": max(known)}


def _cell(span: dict[str, float] | None, runs: int) -> str:
    if span is None:
        return "never"
    share = "" if span["count"] == runs else f" in {span['count']} of {runs}"
    return f"{span['median']:.0f} ({span['min']:.0f} to {span['max']:.0f}){share}"


def print_simulated(table: dict[str, dict[str, object]]) -> None:
    print(
        "| incident | noticed by | ms, median (range) | reaction of the supervisor | ms, median (range) | "
        "control periods, most | motors damped, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    for kind, row in table.items():
        span = row["reaction_ms"]
        periods = "" if span is None else f"{span['max'] / CONTROL_PERIOD_MS:.1f}"
        same = "" if row["same_reaction"] == row["runs"] else f" ({row['same_reaction']} of {row['runs']})"
        print(
            f"| {kind} | {', '.join(row['watchdogs'])} | {_cell(row['noticed_ms'], row['runs'])} | "
            f"{row['reaction']}{same} | {_cell(span, row['runs'])} | {periods} | "
            f"{_cell(row['damped_ms'], row['runs'])} |"
        )


def print_session(table: dict[str, dict[str, object]]) -> None:
    print("| incident | times | held, ms, median (range) | damping command, ms | driver damped, ms |")
    print("|---|---|---|---|---|")
    for kind, row in table.items():
        cells = (_cell(row[name], row["runs"]) for name in ("held_ms", "damping_command_ms", "driver_damped_ms"))
        print(f"| {kind} | {row['runs']} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--kinds", nargs="+", choices=PLAYED, default=PLAYED, metavar="KIND")
    parser.add_argument("--session", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.session:
        table = summarise_session(options.session)
        print_session(table)
    else:
        table = {kind: summarise(runs) for kind, runs in simulate(options.repeats, options.kinds).items()}
        print_simulated(table)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
