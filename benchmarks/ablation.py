"""What each part of learning to walk is worth: the same random robots with and without it.

    python benchmarks/ablation.py --out DIR [--seeds 0 1 2 3 4] [--minutes 10] [--only ARM ...] [--set ...]
    python benchmarks/ablation.py --out DIR --table        the table and DIR/curves.png of what is there
    python benchmarks/ablation.py --print-arms > ARMS      for `many_robots.py ARMS`, all of it at once on a GPU

Seed by seed, so that whatever has been run can be compared. See `paired_arms.py`, which runs them, for what is judged.

Without dreams nothing but what really happened is left to actor and critic: values are learned from replayed rewards,
and the means of the actor imitate what went better than these expected. Nothing else changes the deviation of its
actions, so that it stays what it was at first ('dreams-off-free-deviation', to be compared with 'all'). In 'dreams-off'
it is fixed to what it comes to in sessions that walk, as it is in 'fixed-deviation', which that is to be compared with.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from curves import read_runs
from paired_arms import RANDOM_ROBOT, Arm, run_arm, table
from plot_curves import draw

DEVIATION = 0.06
"""About what it comes to in a session that walks."""

FIXED = [
    f"model.minimum_deviation={DEVIATION - 1e-4}",
    f"model.maximum_deviation={DEVIATION + 1e-4}",
    f"model.initial_deviation={DEVIATION}",
]
NO_DREAMS = "learner.imagination_scale=0"
NO_IMITATION = ["learner.imitation_scale=0"]
NO_RHYTHMS = ["actor.rhythm_hz=null"]
NO_GETTING_UP = ["actor.fallen_reward=null"]

ARMS = {
    "all": [],
    "fixed-deviation": FIXED,
    "dreams-off": [*FIXED, NO_DREAMS],
    "dreams-off-free-deviation": [NO_DREAMS],
    "imitation-off": NO_IMITATION,
    "rhythms-off": NO_RHYTHMS,
    "getting-up-off": NO_GETTING_UP,
    "all-three-off": [*NO_IMITATION, *NO_RHYTHMS, *NO_GETTING_UP],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--only", choices=ARMS, nargs="+", default=list(ARMS), metavar="ARM", help=", ".join(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--minutes", type=float, default=10.0, help="of robot time, for each seed")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--print-arms", action="store_true", help="run nothing, and print the settings of the arms")
    options = parser.parse_args()
    if options.print_arms:
        print(json.dumps({arm: ARMS[arm] for arm in options.only}, indent=1))
        return 0
    if options.out is None:
        parser.error("--out DIR is missing")
    for seed in [] if options.table else options.seeds:
        for arm in options.only:
            overrides = (*options.overrides, *ARMS[arm], RANDOM_ROBOT)
            run_arm(Arm(arm, overrides, minutes=options.minutes), [seed], options.out)
    paths = {arm: options.out / f"{arm}.json" for arm in ARMS if (options.out / f"{arm}.json").is_file()}
    print(table(options.out, "all" if "all" in paths else None))
    if paths:
        draw({arm: read_runs(str(path)) for arm, path in paths.items()}, options.out / "curves.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
