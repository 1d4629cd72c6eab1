"""A wish, asked of the model that a session has: planned in its robot's twin, or learned in dreams and tried there."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.actor.control_loop import ActingPolicy
from daydreamer.contract.wishes import Wishables
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.trust import Trust, measure_trust, require_trust
from daydreamer.instrument.wish_planning import PLAN, Proposal, make_planner, make_policy, without_policy
from daydreamer.instrument.wish_training import WishTrainer
from daydreamer.instrument.wish_trials import SETTLE_S, Came, TwinTrial
from daydreamer.instrument.wishing import CAUTION, WishedReward, WishedWorldModel, find_wishables, require_reward
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.session.directory import Session

SECONDS, ATTEMPTS = 10.0, 3
BY_PLAN, BY_TRAINING, BY_POLICY = "by planning", "trained in dreams", "policy alone"


@dataclasses.dataclass(frozen=True)
class PlanSettings:
    """How a wish is planned.

    Attributes:
      proposal: what is varied: what the policy would do, or the action 0.
      horizon_s: how far ahead.
      samples: sequences of actions at a time, several times each control step.
      caution: see `WishedWorldModel`.
    """

    proposal: Proposal = "none"
    horizon_s: float = PLAN.horizon_s
    samples: int = PLAN.samples
    caution: float = CAUTION


@dataclasses.dataclass(frozen=True)
class Granted:
    """A wish, and how far it was granted.

    Attributes:
      learned: whose model was asked.
      trust: see `Trust`.
      reward: that was wished for.
      logged: what a step of the log would have earned, in the mean, and one of its best hundredth.
      seconds, attempts: in the twin, of each driver.
      plan: see `PlanSettings`.
      gradient_steps: that a policy was trained for it in dreams; 0 for none.
      came: by the plan first.
    """

    learned: Learned
    trust: Trust
    reward: WishedReward
    logged: tuple[float, float]
    seconds: float
    attempts: int
    plan: PlanSettings
    gradient_steps: int
    came: list[Came]

    @property
    def settle_s(self) -> float:
        """After the wish, which is not measured."""
        return min(SETTLE_S, self.seconds / 2.0)

    @property
    def warnings(self) -> list[str]:
        """One sentence each."""
        period_ms = 1e3 * self.learned.session.spec.control_period_s
        return [
            f"A plan takes {each.latency_ms['p99']:.0f} ms (p99) here, and a control period {period_ms:g} ms: a robot "
            "would not wait. Choose fewer --samples, or a shorter --horizon."
            for each in self.came
            if each.latency_ms and each.latency_ms["p99"] is not None and each.latency_ms["p99"] >= period_ms
        ]


def grant(
    directory: Path,
    make_reward: Callable[[Wishables, Session], WishedReward],
    *,
    plan: PlanSettings = PlanSettings(),
    gradient_steps: int = 0,
    seconds: float = SECONDS,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    overrides: Sequence[str] = (),
    on_step: Callable[[str, int, int], None] = lambda doing, done, of: None,
) -> Granted:
    """Drives the twin of a session's robot by a wish, planned and learned, and by the session's policy alone.

    Args:
      directory: the session whose model is asked; it is only read.
      make_reward: makes the wish of what may be wished.
      gradient_steps: for which a policy is trained in dreams alone; with 0 there is none.
      seconds: of robot time that each attempt takes.
      attempts: from different beginnings, the same for all.
      seed: of the first beginning, and of chance.
      overrides: of the session's settings, `section.key=value`.
      on_step: called as `on_step(doing, done, of)` after each gradient or control step.

    Raises:
      UserError: there is no such session or wish, its log is too short, its model knows nothing, or its robot has no
        twin.
    """
    learned = read_learned(directory)
    session = learned.session
    reward = make_reward(find_wishables(session), session)
    trial = TwinTrial(learned, reward, overrides)
    steps = read_logged(session)
    logged = require_reward(reward, steps)
    trust = measure_trust(learned, steps)
    require_trust(learned, trust, "plan by")
    model = WishedWorldModel(learned.agent.world_model, reward, steps, logged, plan.caution)
    planner = make_planner(model, learned.session.config, horizon_s=plan.horizon_s, samples=plan.samples)
    policy, version = learned.parameters, int(learned.state.updates)
    varied = make_policy(policy if plan.proposal == "policy" else without_policy(policy), model, version, seed)
    planner.warm_up(varied, {key: space.zeros() for key, space in session.spec.observation.items()})
    drivers: dict[str, ActingPolicy] = {BY_PLAN: planner.equip(varied)}
    if gradient_steps:
        trainer = WishTrainer(model, reward, policy, session.config.learner, steps, seed)
        trainer.train(gradient_steps, lambda done: on_step("training in dreams", done, gradient_steps))
        drivers[BY_TRAINING] = make_policy(trainer.parameters, model, version, seed)
    drivers[BY_POLICY] = make_policy(policy, model, version, seed)
    steps_each = attempts * max(1, session.spec.steps(seconds))
    came: list[Came] = []
    for driver, each in drivers.items():
        done = itertools.count(len(came) * steps_each + 1)
        count = functools.partial(_count, on_step, driver, done, len(drivers) * steps_each)
        came.append(trial.run(driver, each, seconds=seconds, attempts=attempts, seed=seed, on_step=count))
    best = float(np.quantile(logged, 0.99))
    mean = float(logged.mean())
    return Granted(learned, trust, reward, (mean, best), seconds, attempts, plan, gradient_steps, came)


def _count(on_step: Callable[[str, int, int], None], driver: str, done: Iterator[int], of: int) -> None:
    on_step(driver, next(done), of)


def to_json(granted: Granted) -> dict[str, Any]:
    """For programs."""
    session = granted.learned.session
    return {
        "session": str(session.path),
        "gradient_step": int(granted.learned.state.updates),
        "env_steps": granted.learned.progress.env_steps,
        "open_loop_ratio": {f"{ahead_s:g}s": ratio for ahead_s, ratio in granted.trust.ratio.items()},
        "wish": granted.reward.words,
        "targets": dict(granted.reward.targets),
        "reward_logged": {"mean": granted.logged[0], "best_hundredth": granted.logged[1]},
        "seconds": granted.seconds,
        "settle_s": granted.settle_s,
        "attempts": granted.attempts,
        "plan": dataclasses.asdict(granted.plan),
        "gradient_steps_in_dreams": granted.gradient_steps,
        "control_period_ms": 1e3 * session.spec.control_period_s,
        "came": [dataclasses.asdict(each) for each in granted.came],
        "warnings": granted.warnings,
    }
