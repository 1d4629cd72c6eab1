"""How well a robot that has learned `follow` goes as it is told, by policies that nobody trains any more.

    python benchmarks/steering.py SESSION ... --out DIR [--minutes 5] [--policy best|newest|VERSION] [--seed 0]

SESSION is one of `daydreamer train a1 follow --steps 36000 --seed 0`. Its policy drives the twin, by its mean, from its
feet. Every eight seconds another speed and turn rate are said, so that after five minutes all of a grid that covers
what may be said has been, in an order that the seed draws; half a minute of it is to stand. What the simulator knows is
judged: the mean over the last six of the eight seconds, and every tenth of a second beside it. Writes DIR/steering.json
and DIR/steering.png, what was said against what was driven.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.simulated import live_a_step
from daydreamer.contract.signals import WISHED_TWIST, Measurement
from daydreamer.instrument.wish_trials import true_signals
from daydreamer.policy.policy import Policy
from daydreamer.robots.quadruped.follow import CLOSE, FORWARD_M_S, TURN_RAD_S
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.session.new import configure_played
from daydreamer.storage.atomic import write_anywhere
from daydreamer.telemetry.measured_policies import choose_policy
from daydreamer.telemetry.quantities import occurrence_times_s

matplotlib.use("Agg")

import matplotlib.pyplot as plt

SAID_S, SETTLES_S, STANDS_S = 8.0, 2.0, 32.0
(FALL,) = WALK.occurrences


class Told:
    """A twin that is told how to go; else as the twin that it is made of.

    Attributes:
      wish: forward speed in m/s and turn rate in rad/s that are said now.
    """

    def __init__(self, twin: Any) -> None:
        self._twin = twin
        self.wish = np.zeros(2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twin, name)

    def measure(self) -> Measurement:
        measurement: Measurement = self._twin.measure()
        return measurement.with_value(WISHED_TWIST, self.wish)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sessions", type=Path, nargs="+", metavar="SESSION")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--policy", default="best", help="best, newest, or the number of a version")
    parser.add_argument("--seed", type=int, default=0, help="of the order, and of how the robot begins")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for path in options.sessions:
        results.append(steer(path, options.policy, options.minutes, options.seed))
        print(json.dumps({name: value for name, value in results[-1].items() if name != "said"}), flush=True)
    write_anywhere(options.out / "steering.json", (json.dumps(results, indent=1) + "\n").encode())
    draw(results, options.out / "steering.png")
    return 0


def wishes(minutes: float, seed: int) -> np.ndarray:
    """What is said one after the other, `[wishes, 2]` in m/s and rad/s."""
    total, standing = round(minutes * 60 / SAID_S), round(STANDS_S / SAID_S)
    rows = max(1, math.isqrt(total - standing))
    columns = (total - standing) // rows
    grid = np.stack(np.meshgrid(np.linspace(*FORWARD_M_S, rows), np.linspace(*TURN_RAD_S, columns)), -1).reshape(-1, 2)
    said = np.concatenate((grid, np.zeros((total - len(grid), 2))))
    return np.random.default_rng(seed).permutation(said)


def steer(path: Path, wanted: str, minutes: float, seed: int) -> dict[str, Any]:
    """What a session's policy makes of what it is told."""
    session = Session.open(path)
    chosen = choose_policy(session, wanted)
    config = configure_played(
        session,
        chosen.metadata,
        body="twin",
        minutes=minutes,
        seed=seed,
        overrides=["twin.initial_state=standing", "twin.incidents=[]"],
    )
    task = make_task(config)
    policy = Policy.load(chosen.path, session.spec, seed, config.model.acting_noise)
    with contextlib.closing(find_robot(config.robot).make_twin(config.twin, seed)) as twin:
        robot = Told(twin)
        nowhere: collections.deque[Any] = collections.deque(maxlen=0)
        loop = ControlLoop(task, config.actor, nowhere, actor_life=1, seed=seed, clock=lambda: twin.time_s)
        loop.set_policy(policy, frozen=True)
        steps = session.spec.steps(SAID_S)
        said = wishes(minutes, seed)
        truths = []
        for robot.wish in said:
            for _ in range(steps):
                live_a_step(loop, robot)
                truths.append(twin.truth())
    true = {
        name: each.reshape(len(said), steps)
        for name, each in true_signals(truths, session.spec.control_period_s).items()
    }
    driven, up_z = np.stack((true["forward_velocity_m_s"], true["turn_rate_rad_s"]), -1), true["up_z"]
    judged = judge(said, driven[:, session.spec.steps(SETTLES_S) :], up_z, session.spec.control_rate_hz)
    return {
        "session": path.name,
        "policy": chosen.version,
        "robot_minutes": round(chosen.robot_minutes, 2),
        **judged,
    }


def judge(said: np.ndarray, driven: np.ndarray, up_z: np.ndarray, rate_hz: float) -> dict[str, Any]:
    """Errors in m/s and rad/s, and falls.

    Args:
      said: `[wishes, 2]`.
      driven: `[wishes, steps, 2]`, from when it has settled.
      up_z: `[wishes, steps]`, of all steps.
    """
    means = driven.mean(1)
    pairs = driven[:, : driven.shape[1] // 2 * 2].reshape(len(said), -1, 2, 2).mean(2)
    errors = np.abs(means - said)
    constant = np.abs(said.mean(0) - said)
    return {
        "error": errors.mean(0).round(4).tolist(),
        "error_of_a_tenth": np.abs(pairs - said[:, None]).mean((0, 1)).round(4).tolist(),
        "error_of_the_worst": errors.max(0).round(4).tolist(),
        "error_of_one_speed_for_all": constant.mean(0).round(4).tolist(),
        "within": int((errors <= CLOSE).all(1).sum()),
        "wishes": len(said),
        "falls": len(occurrence_times_s(FALL, np.arange(up_z.size) / rate_hz, up_z.ravel())),
        "said": [
            {"said": wish.round(3).tolist(), "driven": mean.round(3).tolist()}
            for wish, mean in zip(said, means, strict=True)
        ],
    }


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """What was said against what was driven, a colour for each session."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    names = ("forward speed, m/s", "turn rate, rad/s")
    for index, (axis, name, close, ends) in enumerate(zip(axes, names, CLOSE, (FORWARD_M_S, TURN_RAD_S), strict=True)):
        axis.fill_between(ends, np.subtract(ends, close), np.add(ends, close), color="0.9", label=f"within {close:g}")
        for result in results:
            said, driven = (np.array([each[key][index] for each in result["said"]]) for key in ("said", "driven"))
            axis.plot(said, driven, ".", alpha=0.7, label=result["session"])
        axis.set(xlabel=f"said: {name}", ylabel="driven, mean of six seconds")
        axis.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
