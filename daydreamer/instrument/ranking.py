"""Which of several policies is best, by what a world model expects of each from the states of its log."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.instrument.logged import CONTEXT_S, LoggedSteps, choose_windows, read_logged, windows_of_policy
from daydreamer.instrument.rollouts import DreamWorld
from daydreamer.instrument.trust import Trust, measure_trust, require_trust
from daydreamer.learner.dream import spread
from daydreamer.learner.learned import Learned, read_learned
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import SnapshotMetadata, read_snapshot_metadata
from daydreamer.session.directory import Session
from daydreamer.spec import spec_difference
from daydreamer.telemetry.measured_policies import BEST, NEWEST, choose_policy, measure_policies
from daydreamer.telemetry.quantities import occurs

ALL = "all"
STARTS = 256
HORIZON_S = 10.0
RESAMPLES = 2000
CONFIDENCE = 0.95
MOST_FAR = 0.5
"""Of a policy's imagined steps, that may be unlike all that the model has seen; of the log itself 0.05 are."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A policy that is to be ranked.

    Attributes:
      path: of its snapshot.
      session: directory of the session that has learned it.
      metadata: of the snapshot.
    """

    path: Path
    session: Path
    metadata: SnapshotMetadata

    @property
    def name(self) -> str:
        """As 'monday 431'."""
        return f"{self.session.name} {self.metadata.version}"

    @property
    def robot_minutes(self) -> float:
        """Of its session, when it was made."""
        return self.metadata.env_steps * self.metadata.robot_spec.control_period_s / 60.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over starting states.

    Attributes:
      mean: of all of them.
      low, high: ends of its interval, were other ones drawn (a bootstrap over the starting states).
    """

    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Ranked:
    """What a model expects of a policy.

    Attributes:
      candidate: which.
      reward: a step.
      figures: by quantity, means over the steps.
      occurrences_per_minute: by what the robot 'did'.
      ends: probability that the episode ends within the horizon.
      far: share of its steps that are unlike all that the model, or that of several which knows it least, has seen.
      beats_next: share of the drawn sets of starting states in which it earns more than the next one; None of the last.
    """

    candidate: Candidate
    reward: Estimate
    figures: dict[str, Estimate]
    occurrences_per_minute: dict[str, Estimate]
    ends: float
    far: float
    beats_next: float | None = None

    @property
    def is_far(self) -> bool:
        """Whether what the model says of it is a guess."""
        return self.far > MOST_FAR


@dataclasses.dataclass(frozen=True)
class Asked:
    """A model that says which policies are better, and how much it may be trusted.

    Attributes:
      learned: the model.
      trust: see `Trust`.
      begins_with_policy: whether policies begin in it where one has acted; else anywhere in its log.
    """

    learned: Learned
    trust: Trust
    begins_with_policy: bool = True

    @property
    def warnings(self) -> list[str]:
        """One sentence each."""
        session, told = self.learned.session, []
        if not self.begins_with_policy:
            told.append(
                f"Hardly any policy has acted in the log of {session.path}: policies begin anywhere in it, where the "
                "robot lay as well."
            )
        if session.is_offline and session.presentation.figures:
            told.append(
                f"The model of {session.path} has learned from logs: it tells reward, but no speed and no falls."
            )
        return told


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Policies, best first, and the models that say so.

    Attributes:
      models: that were asked, of which each says as much.
      horizon_s, starts: how far each rollout goes, and how many there are, of all models.
      policies: in order.
    """

    models: list[Asked]
    horizon_s: float
    starts: int
    policies: list[Ranked]

    @property
    def warnings(self) -> list[str]:
        """One sentence each."""
        of_models = [warning for each in self.models for warning in each.warnings]
        model = "The model" if len(self.models) == 1 else "A model"
        return of_models + [
            f"{model} was never near where policy {each.candidate.name} goes in {each.far:.0%} of its steps: what it "
            f"says of it is a guess. Try it in the twin, or rank by a session that has been there."
            for each in self.policies
            if each.is_far
        ]


def find_candidates(session: Session, wanted: Sequence[str]) -> list[Candidate]:
    """The policies that are meant.

    Args:
      session: whose model is asked.
      wanted: each 'best', 'newest', 'all' or a version of this session, the directory of another one, whose best policy
        is meant, or the file of a snapshot.

    Raises:
      UserError: there is none of that name.
    """
    found: dict[Path, Candidate] = {}
    for each in wanted:
        for candidate in _find(session, each):
            found.setdefault(candidate.path.resolve(), candidate)
    return list(found.values())


def _find(session: Session, wanted: str) -> list[Candidate]:
    path = Path(wanted)
    if wanted == ALL:
        kept = [Candidate(each.path, session.path, each.metadata) for each in measure_policies(session)]
        if not kept:
            choose_policy(session, NEWEST)  # says that there is none yet
        return kept
    if wanted in (BEST, NEWEST) or wanted.isdecimal():
        policy = choose_policy(session, wanted)
        return [Candidate(policy.path, session.path, policy.metadata)]
    if path.is_dir():
        other = Session.open(path)
        policy = choose_policy(other, BEST)
        return [Candidate(policy.path, other.path, policy.metadata)]
    if path.is_file():
        return [Candidate(path, path.resolve().parent.parent, read_snapshot_metadata(path))]
    raise UserError(
        f"There is no policy '{wanted}'; name a version of {session.path}, {BEST}, {NEWEST} or {ALL}, the directory of "
        "another session, or the file of a snapshot."
    )


def rank(
    directory: Path,
    wanted: Sequence[str],
    *,
    beside: Sequence[Path] = (),
    horizon_s: float = HORIZON_S,
    starts: int = STARTS,
    samples: bool = False,
    seed: int = 0,
    on_policy: Callable[[int, int], None] = lambda done, of: None,
) -> Ranking:
    """Lets each policy act inside a session's model, from states of its log, and in those of others.

    Models are wrong each in its own way about what none of them has seen; what several of them expect in the mean is
    less so.

    Args:
      directory: the session whose model is asked.
      wanted: see `find_candidates`.
      beside: sessions whose models are asked, too.
      horizon_s: how far each rollout goes.
      starts: how many there are of each model, spread over those parts of the log in which a policy acted.
      samples: the policies act with the noise that they learned with; otherwise by their mean.
      seed: of chance, which is the same for each policy.
      on_policy: called as `on_policy(done, of)` after each.

    Raises:
      SpecMismatch: a policy is of another robot.
      UserError: there is no such session or policy, its log is too short, or its model knows nothing.
    """
    session = Session.open(directory)
    candidates = find_candidates(session, wanted)
    noise = None if samples else 0.0
    policies = [Policy.load(each.path, session.spec, seed, noise) for each in candidates]
    models, worlds = [], []
    for path in dict.fromkeys(each.resolve() for each in (directory, *beside)):  # each of them once
        learned = read_learned(path)
        require_same_robot(learned, session)
        steps = read_logged(learned.session)
        trust = measure_trust(learned, steps)
        require_trust(learned, trust, "rank policies")
        worlds.append(make_world(learned, steps, starts, seed))
        models.append(Asked(learned, trust, worlds[-1].begins_apart))
    dreams: list[list[Dreamed]] = [[] for _ in candidates]
    for world in worlds:
        for candidate, policy, dreamed in zip(candidates, policies, dreams, strict=True):
            dreamed.append(dream_of(candidate, policy, world, horizon_s))
            on_policy(sum(map(len, dreams)), len(policies) * len(worlds))
    pooled = [pool(each) for each in dreams]
    return Ranking(models, horizon_s, len(pooled[0].reward) if pooled else 0, order(pooled, seed))


def require_same_robot(learned: Learned, session: Session) -> None:
    """Raises SpecMismatch if a model is of another robot or task than a session."""
    if learned.session.spec.hash != session.spec.hash:
        raise SpecMismatch(
            f"The model of {learned.session.path} is of another robot than that of {session.path}: "
            f"{spec_difference(learned.session.spec, session.spec)}. Ask models of the same robot and task together."
        )


def make_world(learned: Learned, steps: LoggedSteps, starts: int, seed: int) -> DreamWorld:
    """The model as a place for policies to act in, from so many states of the log in which one did act, if it did."""
    context = max(2, steps.spec.steps(CONTEXT_S))
    anywhere = choose_windows(learned.session, steps, context, starts)
    acted = windows_of_policy(steps, context, starts)
    if not len(acted):
        return DreamWorld(learned, steps, anywhere, context, seed)
    return DreamWorld(learned, steps, acted, context, seed, known=anywhere)


@dataclasses.dataclass(frozen=True)
class Dreamed:
    """What a policy came to, `[starts]`.

    Attributes:
      candidate: which policy.
      reward: a step, over those before the episode's end.
      figures: by quantity, the same.
      occurrences_per_minute: by what the robot 'did'.
      ends: probability.
      far: share of the steps.
    """

    candidate: Candidate
    reward: np.ndarray
    figures: dict[str, np.ndarray]
    occurrences_per_minute: dict[str, np.ndarray]
    ends: np.ndarray
    far: float


def dream_of(candidate: Candidate, policy: Policy, world: DreamWorld, horizon_s: float) -> Dreamed:
    """Lets a policy act from every start, and sums up what it came to.

    Raises:
      UserError: what the model predicts is not finite.
    """
    spec, told = world.session.spec, world.session.presentation
    rollouts = world.run(policy, max(1, spec.steps(horizon_s)))
    alive, lives_on = rollouts.alive[:-1], rollouts.alive[-1]
    lasted = alive.sum(0)
    values = {quantity: readout(rollouts.vector) for quantity, readout in world.readouts.items()}
    minutes = lasted * spec.control_period_s / 60.0
    return Dreamed(
        candidate=candidate,
        reward=(alive * rollouts.reward).sum(0) / lasted,
        figures={
            each.quantity: (alive * values[each.quantity]).sum(0) / lasted
            for each in told.figures
            if each.quantity in values
        },
        occurrences_per_minute={
            each.did: (alive * occurs(each, values[each.quantity])).sum(0) / minutes
            for each in told.occurrences
            if each.quantity in values
        },
        ends=1.0 - lives_on,
        far=float((rollouts.novelty > world.far).mean()),
    )


def pool(dreams: Sequence[Dreamed]) -> Dreamed:
    """What a policy came to in several models, each of which says as much; what one of them cannot tell is left out.

    How far it goes is said of the model that knows it least.
    """
    least = min(len(each.reward) for each in dreams)

    def joined(values: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([spread(each, least) for each in values])

    def by_name(values: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        names = [name for name in values[0] if all(name in each for each in values)]
        return {name: joined([each[name] for each in values]) for name in names}

    return Dreamed(
        candidate=dreams[0].candidate,
        reward=joined([each.reward for each in dreams]),
        figures=by_name([each.figures for each in dreams]),
        occurrences_per_minute=by_name([each.occurrences_per_minute for each in dreams]),
        ends=joined([each.ends for each in dreams]),
        far=max(each.far for each in dreams),
    )


def order(dreams: Sequence[Dreamed], seed: int = 0) -> list[Ranked]:
    """Best first, with intervals; all policies are compared over the same drawn sets of starting states."""
    dreams = sorted(dreams, key=lambda each: -float(each.reward.mean()))
    if not dreams:
        return []
    count = len(dreams[0].reward)
    random = np.random.default_rng(seed)
    weight = random.multinomial(count, np.full(count, 1.0 / count), RESAMPLES) / count

    def estimate(values: np.ndarray) -> Estimate:
        low, high = np.quantile(weight @ values, ((1.0 - CONFIDENCE) / 2, (1.0 + CONFIDENCE) / 2))
        return Estimate(float(values.mean()), float(low), float(high))

    ranked = []
    for each, following in zip(dreams, [*dreams[1:], None], strict=True):
        beats = None if following is None else float(np.mean(weight @ (each.reward - following.reward) > 0.0))
        ranked.append(
            Ranked(
                each.candidate,
                estimate(each.reward),
                {name: estimate(values) for name, values in each.figures.items()},
                {name: estimate(values) for name, values in each.occurrences_per_minute.items()},
                float(each.ends.mean()),
                each.far,
                beats,
            )
        )
    return ranked


def to_json(ranking: Ranking) -> dict[str, Any]:
    """For programs."""
    return {
        "models": [
            {
                "session": str(each.learned.session.path),
                "gradient_step": int(each.learned.state.updates),
                "env_steps": each.learned.progress.env_steps,
                "open_loop_ratio": {f"{seconds:g}s": ratio for seconds, ratio in each.trust.ratio.items()},
                "open_loop_reward_ratio": {
                    f"{seconds:g}s": ratio for seconds, ratio in each.trust.reward_ratio.items()
                },
            }
            for each in ranking.models
        ],
        "horizon_s": ranking.horizon_s,
        "starts": ranking.starts,
        "policies": [
            {
                "session": str(each.candidate.session),
                "version": each.candidate.metadata.version,
                "robot_minutes": each.candidate.robot_minutes,
                "reward": dataclasses.asdict(each.reward),
                "figures": {name: dataclasses.asdict(value) for name, value in each.figures.items()},
                "occurrences_per_minute": {
                    name: dataclasses.asdict(value) for name, value in each.occurrences_per_minute.items()
                },
                "ends": each.ends,
                "far": each.far,
                "beats_next": each.beats_next,
            }
            for each in ranking.policies
        ],
        "warnings": ranking.warnings,
    }
