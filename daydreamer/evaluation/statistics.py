"""What several robots have come to together, and by how much two policies differ on the same robots."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
import scipy.stats

from daydreamer.evaluation.measures import Measure
from daydreamer.evaluation.trial import Kind, Outcome

INTERVAL = (
    "95 %, of the mean: Student's t over robots; of something that happened to none, below 3 in all their minutes; of "
    "episodes that all came out alike, at most 3 through the number of robots that did not"
)
NONE_HAPPENED = 3.0
"""The rate of something that has not happened in some minutes is below this through those minutes, and the share of
robots that do what none of some has done is below this through their number, with 95 % (Hanley and Lippman-Hand
1983)."""


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
    """Ends of the interval in which the mean of all such robots lies with 95 % (Student 1908); see `INTERVAL`."""
    if len(values) < 2:
        return None, None
    mean = float(np.mean(values))
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))
    return mean - half, mean + half


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
            estimates[measure.key] = _within_bounds(Estimate.of(values), measure, logged_minutes)
    return Group(
        robots=len(done),
        robot_minutes=sum(outcome.robot_minutes for outcome in done),
        measures=estimates,
        milestones={name: _reached([each.milestones_s.get(name) for each in done]) for name in milestones},
    )


def _within_bounds(estimate: Estimate, measure: Measure, minutes: float) -> Estimate:
    """The estimate whose interval goes no further than its quantity does, and is none of no width."""
    low, high = estimate.low, estimate.high
    if measure.is_rate:
        low, high = (0.0, NONE_HAPPENED / minutes) if estimate.highest == 0.0 else (low and max(0.0, low), high)
    elif measure.is_share and low is not None and high is not None:
        alike = 100.0 * min(1.0, NONE_HAPPENED / estimate.robots) if estimate.lowest == estimate.highest else 0.0
        low, high = max(0.0, low - alike), min(100.0, high + alike)
    return msgspec.structs.replace(estimate, low=low, high=high)


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
            # Nothing happened to either, or the same to both, which is not to say that they cannot differ.
            if (measure.is_rate or measure.is_share) and not any(pairs):
                estimate = msgspec.structs.replace(estimate, low=None, high=None)
            estimates[measure.key] = estimate
    return estimates


def _by_seed(outcomes: Sequence[Outcome], kind: Kind) -> dict[int, Mapping[str, float]]:
    return {each.seed: each.values for each in outcomes if each.kind == kind and not each.problem}


def worst_of(outcomes: Sequence[Outcome], key: str) -> Outcome | None:
    """The robot that has come to least by a measure, of those drawn at random; None if there is none."""
    known = [each for each in outcomes if each.kind == "random" and key in each.values]
    return min(known, key=lambda each: each.values[key], default=None)
