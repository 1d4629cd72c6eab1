"""A wish, asked of the model that a session has: planned in its robot's twin, without learning anything anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.contract.wishes import Wishables
from daydreamer.errors import UserError
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.trust import Trust, measure_trust, require_trust
from daydreamer.instrument.wish_planning import (
    HORIZON_S,
    SAMPLES,
    Proposal,
    WishingPolicy,
    WishPlanFunction,
    make_policy,
)
from daydreamer.instrument.wish_trials import Came, TwinTrial
from daydreamer.instrument.wishing import WishedReward, WishedWorldModel, find_wishables, require_reward
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.session.directory import Session

SECONDS, ATTEMPTS = 10.0, 3
BY_PLAN, BY_POLICY = "by planning", "policy alone"


@dataclasses.dataclass(frozen=True)
class PlanSettings:
    """How a wish is planned.

    Attributes:
      proposal: whether what the policy would do is among what is tried.
      horizon_s: how far ahead.
      samples: sequences of actions at a time, twice each control step.
    """

    proposal: Proposal = "policy"
    horizon_s: float = HORIZON_S
    samples: int = SAMPLES


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
      came: by the plan first.
    """

    learned: Learned
    trust: Trust
    reward: WishedReward
    logged: tuple[float, float]
    seconds: float
    attempts: int
    plan: PlanSettings
    came: list[Came]

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
    seconds: float = SECONDS,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    overrides: Sequence[str] = (),
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> Granted:
    """Drives the twin of a session's robot by a wish, and by the session's policy alone.

    Args:
      directory: the session whose model is asked; it is only read.
      make_reward: makes the wish of what may be wished.
      seconds: of robot time that each attempt takes.
      attempts: from different beginnings, the same for both.
      seed: of the first beginning, and of chance.
      overrides: of the session's settings, `section.key=value`.
      on_step: called as `on_step(done, of)` after each control step.

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
    model = WishedWorldModel(learned.agent.world_model, reward, steps)
    function = WishPlanFunction(
        model,
        session.config.learner.discount,
        proposal=plan.proposal,
        horizon_s=plan.horizon_s,
        samples=plan.samples,
    )
    policy = make_policy(learned.parameters, model, int(learned.state.updates), seed)
    wishing = WishingPolicy(policy, learned.parameters, function)
    wishing.warm_up({key: space.zeros() for key, space in session.spec.observation.items()})
    drivers = {BY_PLAN: wishing, BY_POLICY: policy}
    total, done = len(drivers) * attempts * max(1, session.spec.steps(seconds)), 0

    def count() -> None:
        nonlocal done
        done += 1
        on_step(done, total)

    came = [
        trial.run(driver, each, seconds=seconds, attempts=attempts, seed=seed, on_step=count)
        for driver, each in drivers.items()
    ]
    best = float(np.quantile(logged, 0.99))
    return Granted(learned, trust, reward, (float(logged.mean()), best), seconds, attempts, plan, came)


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
        "attempts": granted.attempts,
        "plan": dataclasses.asdict(granted.plan),
        "control_period_ms": 1e3 * session.spec.control_period_s,
        "came": [dataclasses.asdict(each) for each in granted.came],
        "warnings": granted.warnings,
    }
