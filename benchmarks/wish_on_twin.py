"""What wishes come to if a policy is trained on the twin for them: what `wishes.py` is to be compared with.

    python benchmarks/wish_on_twin.py --out DIR [--wishes WISH ...] [--steps 12000] [--seeds 0] [--seconds 8]

For each WISH and seed an A1 learns in lock-step as in `daydreamer train walk`, paid by what is wished for in place of
walking, and its last policy then drives the twin as in `wishes.py`. DIR/results.json says what came; what it has is not
run again.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
from learning_curves import current_commit
from wishes import WISHES

from daydreamer.compilation import keep_compilations
from daydreamer.contract.signals import Measurement
from daydreamer.contract.task import Task, TaskState
from daydreamer.instrument.granting import ATTEMPTS, BY_POLICY
from daydreamer.instrument.wish_planning import make_policy
from daydreamer.instrument.wish_trials import TwinTrial
from daydreamer.instrument.wishing import WishedReward, find_wishables, named_wish
from daydreamer.learner.learned import read_learned
from daydreamer.lockstep import LockstepSession
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.new import configure, new_session
from daydreamer.storage.atomic import write_anywhere

STEPS_A_MINUTE = 20 * 60  # of the A1
# Standing earns 6.5 of 9 where a motion is wished for, and lying 2; crouching pays from 1 to 6.
FALLEN = {"crouch": ("actor.fallen_reward=0.9", "actor.recovered_reward=1.5", "actor.rhythm_hz=null")}
FALLEN_OF_MOTIONS = ("actor.fallen_reward=4.0", "actor.recovered_reward=5.5")
"""Settings by which it is told that a robot has fallen, as `walk` has them of its own reward."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--wishes", nargs="+", default=WISHES, metavar="WISH")
    parser.add_argument("--steps", type=int, default=12_000, help="of the robot, 20 a second")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each attempt")
    parser.add_argument("--preset", default="default")
    options = parser.parse_args()
    keep_compilations()
    path = options.out / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"wishes": {}}
    for seed in options.seeds:
        for wish in options.wishes:
            seeds = results["wishes"].setdefault(wish, {})
            if str(seed) in seeds:
                continue
            session = options.out / f"{wish.replace(' ', '_')}_{seed}"
            reward = learn(session, wish, seed, options.steps, options.preset)
            seeds[str(seed)] = judge(session, reward, options.seconds)
            results["commit"] = current_commit()
            write_anywhere(path, (json.dumps(results, indent=1) + "\n").encode())
            print(wish, seed, seeds[str(seed)], flush=True)
    return 0


def learn(out: Path, wish: str, seed: int, steps: int, preset: str) -> WishedReward:
    """Trains on the twin for what is wished, and says what that pays."""
    shutil.rmtree(out, ignore_errors=True)  # of a run that was ended
    settings = FALLEN.get(wish.split()[0], FALLEN_OF_MOTIONS)
    config = configure(robot="a1", minutes=steps / STEPS_A_MINUTE, seed=seed, preset=preset, overrides=settings)
    session = new_session(out, config)
    reward = named_wish(find_wishables(session), wish)
    task = make_task(config)
    pay(task, reward)
    with contextlib.closing(find_robot("a1").make_twin(config.twin, seed)) as twin, session.lock():
        LockstepSession(session, twin, task).run(steps, tell)
    return reward


def pay(task: Task, reward: WishedReward) -> None:
    """Has a task pay what is wished for, and nothing else."""
    observe, paid = task.observe, jax.jit(reward)

    def wished(measurement: Measurement, sent: np.ndarray) -> TaskState:
        state = observe(measurement, sent)
        return dataclasses.replace(state, reward=float(paid(state.observation)))

    task.observe = wished


def tell(figures: dict[str, float]) -> None:
    minutes = figures["env_steps"] / STEPS_A_MINUTE
    print(f"  {minutes:5.1f} robot minutes  reward {figures['actor/reward']:.2f}", flush=True)


def judge(path: Path, reward: WishedReward, seconds: float) -> dict[str, Any]:
    """What came of it in the twin, as `wishes.py` says of the others."""
    learned = read_learned(path)
    model, version = learned.agent.world_model, int(learned.state.updates)
    policy = make_policy(learned.parameters, model, version, seed=0)
    came = TwinTrial(learned, reward).run(BY_POLICY, policy, seconds=seconds, attempts=ATTEMPTS, seed=0)
    return dataclasses.asdict(came) | {"env_steps": learned.progress.env_steps}


if __name__ == "__main__":
    sys.exit(main())
