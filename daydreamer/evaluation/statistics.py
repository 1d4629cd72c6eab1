"""What several robots have come to together, and by how much two policies differ on the same robots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from daydreamer.evaluation.measures import Measure
from daydreamer.evaluation.trial import Kind, Outcome

RESAMPLES = 10_000
INTERVAL = (
    f"95 %, of the mean: percentile bootstrap over robots ({RESAMPLES} resamples); of something that happened to none, "
    "below 3 in all their minutes"
)
NONE_HAPPENED = 3.0
"""The rate of something that has not happened in some minutes is below this through those minutes, with 95 %."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number over several robots.

    Attributes:
      mean: of them.
      low, high: ends of the interval of the mean; None where nothing can be said, as of a single robot.
      median, lowest, highest: of them.
      robots: of which it is known.
    """

    mean: float
    low: float | None
    high: float | None
    median: float
    lowest: float
    highest: float
    robots: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """The estimate that values make, one at least."""
        low, high = mean_interval(values)
        return cls(
            mean=float(np.mean(values)),
            low=low,
            high=high,
            median=float(np.median(values)),
            lowest=float(min(values)),
            highest=float(max(values)),
            robots=len(values),
        )


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """When a milestone was reached.

    Attributes:
      robots: by how many.
      median_s: robot seconds, where those that did not reach it count as later than anything; None if most did not.
    """

    robots: int
    median_s: float | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Robots of a kind that follow the same policy.

    Attributes:
      robots: how many.
      robot_minutes: of all of them.
      measures: by key; what is known of none of them is left out.
      milestones: by name.
    """

    robots: int
    robot_minutes: float
    measures: dict[str, Estimate]
    milestones: dict[str, Reached]


def mean_interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Ends of the interval in which the mean of all such robots lies with 95 %; see `INTERVAL`."""
    if len(values) < 2:
        return None, None
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(np.asarray(values)[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def group_of(outcomes: Sequence[Outcome], measures: Iterable[Measure], milestones: Iterable[str]) -> Group | None:
    """What the robots that came to something have in common; None if there is none."""
    done = [outcome for outcome in outcomes if not outcome.problem]
    if not done:
        return None
    logged_minutes = sum(outcome.logged_minutes for outcome in done)
    estimates = {}
    for measure in measures:
        values = [outcome.values[measure.key] for outcome in done if measure.key in outcome.values]
        if values:
            estimate = Estimate.of(values)
            if measure.is_rate and not any(values):
                estimate = msgspec.structs.replace(estimate, low=0.0, high=NONE_HAPPENED / logged_minutes)
            estimates[measure.key] = estimate
    return Group(
        robots=len(done),
        robot_minutes=sum(outcome.robot_minutes for outcome in done),
        measures=estimates,
        milestones={name: _reached([each.milestones_s.get(name) for each in done]) for name in milestones},
    )


def _reached(times_s: Sequence[float | None]) -> Reached:
    median_s = float(np.median([np.inf if each is None else each for each in times_s]))
    return Reached(
        robots=sum(each is not None for each in times_s), median_s=median_s if np.isfinite(median_s) else None
    )


def differences(
    outcomes: Sequence[Outcome], first: Sequence[Outcome], kind: Kind, measures: Iterable[Measure]
) -> dict[str, Estimate]:
    """By how much a policy exceeds the first one, by key of the measure: over pairs of the same robot."""
    ours, theirs = _by_seed(outcomes, kind), _by_seed(first, kind)
    estimates = {}
    for measure in measures:
        pairs = [
            ours[seed][measure.key] - theirs[seed][measure.key]
            for seed in sorted(ours.keys() & theirs.keys())
            if measure.key in ours[seed] and measure.key in theirs[seed]
        ]
        if pairs:
            estimate = Estimate.of(pairs)
            if measure.is_rate and not any(pairs):  # nothing happened to either, which is not to say that it cannot
                estimate = msgspec.structs.replace(estimate, low=None, high=None)
            estimates[measure.key] = estimate
    return estimates


def _by_seed(outcomes: Sequence[Outcome], kind: Kind) -> dict[int, Mapping[str, float]]:
    return {each.seed: each.values for each in outcomes if each.kind == kind and not each.problem}


def worst_of(outcomes: Sequence[Outcome], key: str) -> Outcome | None:
    """The robot that has come to least by a measure, of those drawn at random; None if there is none."""
    known = [each for each in outcomes if each.kind == "random" and key in each.values]
    return min(known, key=lambda each: each.values[key], default=None)
