"""What a robot that walks does about a change in the middle of a session, while it goes on learning and frozen.

    python benchmarks/adaptation.py PARENT ... --out DIR [--changes NAME ...] [--minutes 10] [--jobs 1]
    python benchmarks/adaptation.py --out DIR --table

PARENT is a session in which it has learned to walk, as of `daydreamer train walk --steps 12000 --seed 0`. Each arm
begins with it (`--from`), on its feet; after a minute the change comes, and stays. Time passes in lock-step. Judged is
the published reward: how much is left of what the best thirty seconds before it earned, and how long it took until
thirty seconds had 90 % of that again; in the table, of what the better arm of the same parent had.

- pushes: 60 N for 0.2 s from any side, every five seconds (DayDreamer's authors pushed by hand)
- payload: a fifth of the robot's mass on the trunk
- weak: one calf's motor gives 70 %
- floor: friction of the feet 0.35 for 0.8
- nothing: what a minute more and a frozen policy come to by themselves
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from daydreamer.cli.begin import Beginning, FromOthers
from daydreamer.compilation import keep_compilations
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import LockstepSession
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.session.new import configure
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.spread import Spread

RATE_HZ = 20
CHANGE_S = 60.0
HELD_S = 30.0
CURVE_STEPS = 200
RECOVERED = 0.9
PUSH_N, PUSH_S, PUSH_EVERY_S = 60.0, 0.2, 5.0
PAYLOAD_SHARE, WEAK, SLIPPERY = 0.2, 0.7, 0.35


class Changed:
    """A twin to which something happens after `CHANGE_S`; else as the twin that it is made of."""

    def __init__(self, twin: Any, change: Callable[[Any, float, np.random.Generator], None], seed: int) -> None:
        self._twin, self._change = twin, change
        self._random = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)

    def advance(self, seconds: float) -> None:
        if self._twin.time_s >= CHANGE_S:
            self._change(self._twin, self._twin.time_s - CHANGE_S, self._random)
        self._twin.advance(seconds)


def push(twin: Any, since_s: float, random: np.random.Generator) -> None:
    phase_s = since_s % PUSH_EVERY_S
    if phase_s < 1.0 / RATE_HZ:
        angle = random.uniform(-np.pi, np.pi)
        twin.push(PUSH_N * np.array((np.cos(angle), np.sin(angle), 0.0)))
    elif phase_s >= PUSH_S:
        twin.push(np.zeros(3))


def load(twin: Any, since_s: float, random: np.random.Generator) -> None:
    if since_s < 1.0 / RATE_HZ:
        model = twin.model
        model.body_mass[twin.base] += PAYLOAD_SHARE * model.body_subtreemass[twin.base]
        mujoco.mj_setConst(model, mujoco.MjData(model))


def weaken(twin: Any, since_s: float, random: np.random.Generator) -> None:
    if since_s < 1.0 / RATE_HZ:
        twin.driver.strength[3 * random.integers(4) + 2] *= WEAK


def smooth(twin: Any, since_s: float, random: np.random.Generator) -> None:
    if since_s < 1.0 / RATE_HZ:
        twin.model.geom_friction[:, 0] = SLIPPERY


CHANGES: dict[str, Callable[[Any, float, np.random.Generator], None]] = {
    "pushes": push,
    "payload": load,
    "weak": weaken,
    "floor": smooth,
    "nothing": lambda twin, since_s, random: None,
}


class Frozen(LockstepSession):
    """Acts by what it began with."""

    def _train(self, *arguments: Any) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parents", type=Path, nargs="*", metavar="PARENT")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES), metavar="NAME")
    parser.add_argument("--minutes", type=float, default=10.0, help="after the change")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    runs = [
        (
            parent,
            change,
            learns,
            options.minutes,
            options.out / f"{parent.name}-{change}-{'learns' if learns else 'frozen'}",
        )
        for parent in options.parents
        for change in options.changes
        for learns in (True, False)
    ]
    missing = [each for each in runs if not result_of(each[-1]).exists()]
    if missing and not options.table:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(options.jobs, context, max_tasks_per_child=1) as pool:
            for result in pool.map(
                run, *zip(*(each for each in runs if not result_of(each[-1]).exists()), strict=True)
            ):
                print(json.dumps({name: value for name, value in result.items() if name != "curve"}), flush=True)
    print(table([json.loads(path.read_text()) for path in sorted(options.out.glob("*.json"))]))
    return 0


def named(learns: bool) -> str:
    return "learns" if learns else "frozen"


def result_of(directory: Path) -> Path:
    return directory.with_suffix(".json")


def run(parent: Path, change: str, learns: bool, minutes: float, directory: Path) -> dict[str, Any]:
    """One arm, in a process of its own."""
    keep_compilations()
    beginning = Beginning(FromOthers(parent))
    assert beginning.parent is not None
    seed = beginning.parent.parentage.seed
    config = configure(
        robot="a1",
        task="walk",
        minutes=CHANGE_S / 60 + minutes,
        seed=seed,
        parent=beginning.parent,
        overrides=[*beginning.overrides, "twin.initial_state=standing"],
    )
    session = beginning.make(directory, config)
    kind = LockstepSession if learns else Frozen
    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, seed)) as twin, session.lock():
        robot = Changed(twin, CHANGES[change], seed)
        kind(session, robot, make_task(config)).run(round(config.minutes * 60 * RATE_HZ), lambda figures: None)
    result = {"parent": parent.name, "change": change, "learns": learns, **judge(Session.open(directory))}
    write_anywhere(result_of(directory), json.dumps(result).encode())
    return result


def judge(session: Session) -> dict[str, Any]:
    """How much of what it had earned is left, and when it had it again."""
    steps = ExperienceTail(session.experience, session.spec).read()
    reward = np.array([step.info["published_reward"] for step in steps])
    up_z = np.array([step.info["up_z"] for step in steps])
    at, held = round(CHANGE_S * RATE_HZ), round(HELD_S * RATE_HZ)
    stretches = np.full(held, 1.0 / held)
    before = float(np.convolve(reward[:at], stretches, "valid").max())
    after = np.convolve(reward[at:], stretches, "valid")
    again = np.flatnonzero(after >= RECOVERED * before)
    return {
        "before": round(before, 3),
        "first_minute": round(float(reward[at : at + at].mean()), 3),
        "last_minute": round(float(reward[-at:].mean()), 3),
        "recovered_minutes": round((int(again[0]) + held) / RATE_HZ / 60, 2) if len(again) else None,
        "falls": int(((up_z[at:-1] > 0.3) & (up_z[at + 1 :] <= 0.3)).sum()),
        "curve": reward[: len(reward) // CURVE_STEPS * CURVE_STEPS].reshape(-1, CURVE_STEPS).mean(1).round(3).tolist(),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: a row for each change and arm."""
    if not results:
        return "Nothing has been run yet."
    heads = ("change", "", "runs", "before", "first minute after", "last minute", "back at 90 %, min", "falls")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for change in CHANGES:
        pairs = [each for each in results if each["change"] == change]
        for learns in (True, False):
            runs = [each | {"back": back_minutes(each, pairs)} for each in pairs if each["learns"] == learns]
            if runs:
                names = ("before", "first_minute", "last_minute", "back", "falls")
                columns = [Spread.of(each[name] for each in runs).describe() for name in names]
                lines.append(f"| {change} | {named(learns)} | {len(runs)} | {' | '.join(columns)} |")
    return "\n".join(lines)


def back_minutes(result: dict[str, Any], pairs: list[dict[str, Any]]) -> float | None:
    """When half a minute had what the better of both arms of this parent had before; None: not within the run.

    A policy that falls of itself would else be back at once at the little that it had. By means over ten seconds.
    """
    before = max(each["before"] for each in pairs if each["parent"] == result["parent"])
    each_s = CURVE_STEPS / RATE_HZ
    stretch = round(HELD_S / each_s)
    after = np.array(result["curve"])[round(CHANGE_S / each_s) :]
    back = np.flatnonzero(np.convolve(after, np.full(stretch, 1.0 / stretch), "valid") >= RECOVERED * before)
    return round((int(back[0]) + stretch) * each_s / 60, 2) if len(back) else None


if __name__ == "__main__":
    sys.exit(main())
