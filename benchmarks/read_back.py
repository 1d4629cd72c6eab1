"""How long a restarted learner needs to read a session's experience back into its replay.

python benchmarks/read_back.py SESSION [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax

from daydreamer.experience.tail import ExperienceTail
from daydreamer.replay import APPEND_SIZES, Replay, affordable
from daydreamer.session.directory import Session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    session = Session.open(options.session)
    begin_s = time.perf_counter()
    tail = ExperienceTail(session.experience, session.spec)
    replay = Replay(session.spec, affordable(session.spec, session.config.learner))
    while steps := tail.read(APPEND_SIZES[-1]):
        replay.append(steps)
    jax.block_until_ready(replay.state)
    seconds = time.perf_counter() - begin_s
    hours = replay.total / session.spec.control_rate_hz / 3600
    figures = {"steps": replay.total, "robot_hours": hours, "seconds": seconds, "seconds_per_hour": seconds / hours}
    text = json.dumps(figures) if options.json else ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
    print(text)


if __name__ == "__main__":
    main()
