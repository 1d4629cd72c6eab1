"""What planning is worth without learning: a frozen policy acts in the twin by itself and with plans.

    python benchmarks/planning.py SESSION --out FILE [--checkpoints STEP ...] [--minutes 2] [--seeds 0 1]
                                  [--arms ARM ...]

SESSION is one of `daydreamer train`, whose checkpoints hold all networks; its robot acts, from its feet, with nothing
random and no rhythms before the policy. An ARM is 'policy'; 'mean', the policy without its noise; 'plan' or
'shuffled' with settings of `actor.plan` behind a colon, as 'plan:samples=48,exploration=0'. 'shuffled' gives each
rollout the return of another one: as restless as a plan, and knows nothing. Arms that FILE has already are not run
again; prints the table of all. A fall is counted as in paired_arms.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import msgspec
import numpy as np
from paired_arms import commit_of, falls_after_upright

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.compilation import keep_compilations
from daydreamer.config import PlanConfig, SessionConfig
from daydreamer.experience.step import Step
from daydreamer.learner.agent import Agent, TrainState
from daydreamer.learner.checkpoint import read_checkpoint
from daydreamer.policy import planning
from daydreamer.policy.planning import Planner
from daydreamer.policy.policy import Policy
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.directory import Session
from daydreamer.storage.atomic import write_anywhere

BLOCK_S = 6.0
"""Rewards are averaged over so long for their standard error; falls last longer, so that it is rather too small."""
ARMS = ("policy", "mean", "plan:samples=48", "plan:samples=48,exploration=0", "shuffled:samples=48,exploration=0")


class Shuffled(planning.PlanFunction):
    """A planner that takes the return of each rollout for that of another."""

    def _returns(self, parameters, start, tried, key):
        return jax.random.permutation(key, super()._returns(parameters, start, tried, key))


class ShuffledPlanner(Planner):
    """See `Shuffled`."""

    def __init__(self, session: Session, config: SessionConfig):
        super().__init__(session.spec, config)
        self._shuffled = Shuffled(session.spec, config.model, config.learner, config.actor.plan)

    def _function(self, policy: Policy) -> planning.PlanFunction:
        return self._shuffled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("session", type=Path, metavar="SESSION")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--checkpoints", type=int, nargs="+", metavar="STEP", help="default: all there are")
    parser.add_argument("--minutes", type=float, default=2.0, help="of robot time, for each arm and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of noise and beginnings; the robot stays")
    parser.add_argument("--arms", nargs="+", default=ARMS, metavar="ARM")
    options = parser.parse_args()
    keep_compilations()
    session = Session.open(options.session)
    rows = json.loads(options.out.read_text()) if options.out.exists() else []
    known = {(row["checkpoint"], row["arm"], row["seed"], row["minutes"]) for row in rows}
    steps = options.checkpoints or sorted(int(p.name) for p in session.checkpoints.iterdir() if p.name.isdecimal())
    for step in steps:
        agent, state = restore(session, step)
        for arm, seed in ((arm, seed) for seed in options.seeds for arm in options.arms):
            if (step, arm, seed, options.minutes) in known:
                continue
            row = {"checkpoint": step, "arm": arm, "seed": seed, "minutes": options.minutes}
            row |= act(session, agent, state, arm, seed, options.minutes) | {
                "commit": commit_of(Path(__file__).parents[1])
            }
            rows.append(row)
            write_anywhere(options.out, (json.dumps(rows, indent=1) + "\n").encode())
            print(json.dumps(row), flush=True)
    print(table(rows))
    return 0


def restore(session: Session, step: int) -> tuple[Agent, TrainState]:
    agent = Agent(session.spec, session.config.model, session.config.learner)
    template = jax.eval_shape(agent.initialize, 0)
    state, _ = read_checkpoint(session.checkpoints / str(step), template, session.spec.hash)
    return agent, jax.tree.map(np.array, state)


def make_policy(session: Session, agent: Agent, state: TrainState, arm: str, seed: int) -> tuple[Any, Planner | None]:
    """What acts, and what plans for it."""
    kind, _, assignments = arm.partition(":")
    config, parameters = session.config, jax.device_put(agent.policy_parameters(state, plans=True))
    policy = Policy(parameters, session.spec, config.model, version=1, seed=seed)
    if kind == "policy":
        return policy, None
    if kind == "mean":
        quiet = msgspec.structs.replace(
            config.model, minimum_deviation=1e-6, initial_deviation=1.5e-6, maximum_deviation=2e-6
        )
        return Policy(parameters, session.spec, quiet, version=1, seed=seed), None
    plan = msgspec.convert(dict(each.split("=") for each in assignments.split(",")), PlanConfig, strict=False)
    config = msgspec.structs.replace(config, actor=msgspec.structs.replace(config.actor, plan=plan))
    planner = ShuffledPlanner(session, config) if kind == "shuffled" else Planner(session.spec, config)
    return planner.equip(policy), planner


def act(session: Session, agent: Agent, state: TrainState, arm: str, seed: int, minutes: float) -> dict[str, Any]:
    """The figures of one arm."""
    config, kept, times_s = session.config, [], []
    policy, planner = make_policy(session, agent, state, arm, seed)
    twin = find_robot(config.robot).make_twin(config.twin, config.seed)
    twin.reset("standing", seed=100 + seed)
    actor = msgspec.structs.replace(config.actor, random_s=0.0, rhythm_hz=None)
    loop = ControlLoop(make_task(config), actor, kept, actor_life=1, seed=seed, clock=lambda: twin.time_s)
    loop.set_policy(policy)
    for _ in range(session.spec.steps(60.0 * minutes)):
        measurement, begin_s = twin.measure(), time.perf_counter()
        command = loop.step(measurement, twin.time_s)
        times_s.append(time.perf_counter() - begin_s)
        twin.command(None if command.relaxes else command.setpoint)
        twin.advance(loop.tick_period_s)
    twin.close()
    return figures(kept, session.spec.steps(BLOCK_S)) | {
        "step_ms_p50": round(1e3 * statistics.median(times_s), 2),
        "imagined_per_step": planner.imagined_steps / len(kept) if planner else 0,
    }


def figures(steps: list[Step], block: int) -> dict[str, Any]:
    reward = np.array([step.reward for step in steps])
    blocks = reward[: len(reward) // block * block].reshape(-1, block).mean(1)
    up_z = np.array([step.info["up_z"] for step in steps])
    return {
        "reward": round(float(reward.mean()), 3),
        "reward_error": round(float(blocks.std() / np.sqrt(len(blocks))), 3),
        "forward_m_s": round(float(np.mean([step.info["forward_velocity_m_s"] for step in steps])), 3),
        "falls": falls_after_upright(up_z)[0],
        "by_policy": round(float(np.mean([step.policy_version > 0 for step in steps])), 3),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a row for each checkpoint and arm, over its seeds."""
    lines = [
        "| checkpoint | arm | robot minutes | reward | forward, m/s | falls a minute | by the policy | step p50, ms |",
        "|---" * 8 + "|",
    ]
    for step, arm in dict.fromkeys((row["checkpoint"], row["arm"]) for row in rows):
        runs = [row for row in rows if (row["checkpoint"], row["arm"]) == (step, arm)]
        minutes = sum(run["minutes"] for run in runs)

        def mean(name: str, runs: list[dict[str, Any]] = runs) -> float:
            return statistics.fmean(run[name] for run in runs)

        error = sum(run["reward_error"] ** 2 for run in runs) ** 0.5 / len(runs)
        lines.append(
            f"| {step} | {arm} | {minutes:g} | {mean('reward'):.2f} ± {error:.2f} | {mean('forward_m_s'):.2f} | "
            f"{sum(run['falls'] for run in runs) / minutes:.1f} | {mean('by_policy'):.0%} | {mean('step_ms_p50'):.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
