"""Whether `daydreamer fit` finds what was hidden: twins drawn at random, five minutes of log each.

    python benchmarks/hidden_robots.py --out DIR [--seeds 200 201 ...] [--minutes 5] [--table]

Each robot moves as in the first minutes of a session, by random motions and rhythms, and learns nothing. What is found
is compared with what was drawn, and the error on half minutes that the fit has not seen with that of the published twin
and of the hidden robot's own figures: the latter is what remains although everything is known, because noisy sensors
say where a stretch begins. Of motors and masses, which differ from one to the next, the mean is taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from daydreamer.cli.fit import choose_stretches, error_of, read_motion
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.spread import Spread

RATE_HZ = 20
LEARNS_NOTHING = ("learner.minimum_s=100000", "twin.randomisation.enabled=true")
TRUE: dict[str, Callable[[Any], float]] = {
    "payload_kg": lambda drawn: drawn["payload_kg"],
    "friction": lambda drawn: drawn["friction"],
    "motor_strength": lambda drawn: float(np.mean(drawn["motor_strength"])),
    "command_latency_s": lambda drawn: drawn["command_latency_s"],
    "damping_scale": lambda drawn: 1.0,
    "mass_scale": lambda drawn: float(np.mean(drawn["mass_scale"])),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(200, 210)))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in [] if options.table else options.seeds:
        result = options.out / f"{seed}.json"
        if not result.exists():
            write_anywhere(result, json.dumps(examine(options.out / str(seed), seed, options.minutes)).encode())
    print(table([json.loads(path.read_text()) for path in sorted(options.out.glob("*.json"))]))
    return 0


def examine(directory: Path, seed: int, minutes: float) -> dict[str, Any]:
    """Lets a robot move, fits it, and puts what was hidden beside what was found."""
    command = [sys.executable, "-m", "daydreamer.cli.main"]
    environment = os.environ | {"NPROC": "1"}
    settings = [word for setting in LEARNS_NOTHING for word in ("--set", setting)]
    steps = ["--steps", str(round(minutes * 60 * RATE_HZ)), "--seed", str(seed), "--out", str(directory)]
    train = [*command, "train", "walk", *steps, "--preset", "tiny", *settings]
    subprocess.run(train, check=True, env=environment, stdout=subprocess.DEVNULL)
    fit = [*command, "fit", str(directory), "--out", str(directory.with_suffix(".yaml")), "--json"]
    found = json.loads(subprocess.run(fit, check=True, env=environment, capture_output=True, text=True).stdout)
    session = Session.open(directory)
    (drawn,) = [event for event in read_events(session.events) if event["kind"] == "robot_drawn"]
    true = {name: value(drawn) for name, value in TRUE.items()}
    found["held_out"]["hidden"] = error_of_hidden(session, true)
    return {"seed": seed, "true": true | {"noise_scale": drawn["noise_scale"]}, **found}


def error_of_hidden(session: Session, true: dict[str, float]) -> dict[str, float]:
    """The error that remains of a twin with the hidden figures, on the same stretches."""
    from sim.identification import Search

    motion = read_motion(session)
    fitted, judged = choose_stretches(motion, 150, 0)
    published = msgspec.structs.replace(session.config.twin, incidents=())
    search = Search(find_robot(session.config.robot).make_twin, published, motion, fitted, 0)
    return error_of(search, {name: true[name] for name in TRUE}, judged)


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each parameter, then the errors."""
    if not results:
        return "No robot has been examined yet."
    lines = ["| parameter | error | of the published twin | hidden value within the interval |", "|---|---|---|---|"]
    for name in TRUE:
        rows = [(result["found"][name], result["true"][name]) for result in results]
        published = {"payload_kg": 0.0, "friction": 0.8, "command_latency_s": 0.004}.get(name, 1.0)
        errors = Spread.of(abs(found["value"] - true) for found, true in rows)
        before = Spread.of(abs(published - true) for _, true in rows)
        inside = sum(found["interval"][0] <= true <= found["interval"][1] for found, true in rows)
        lines.append(f"| {name} | {errors.describe(4)} | {before.describe(4)} | {inside} of {len(rows)} |")
    noises = [result for result in results if result["noise_scale"] is not None]
    errors = Spread.of(abs(result["noise_scale"] - result["true"]["noise_scale"]) for result in noises)
    before = Spread.of(abs(1.0 - result["true"]["noise_scale"]) for result in noises)
    lines.append(f"| noise_scale | {errors.describe(4)} | {before.describe(4)} | found for {len(noises)} |")
    lines += ["", "| error on what was held out | published twin | fitted | hidden figures |", "|---|---|---|---|"]
    for name in ("position_rad", "velocity_rad_s", "all"):
        columns = [
            Spread.of(result["held_out"][twin][name] for result in results).describe(4)
            for twin in ("published", "fitted", "hidden")
        ]
        lines.append(f"| {name} | {' | '.join(columns)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
