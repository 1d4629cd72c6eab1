"""What many robots come to together."""

import numpy as np
import pytest

from daydreamer.evaluation.measures import Measure
from daydreamer.evaluation.statistics import differences, group_of, mean_interval, worst_of
from daydreamer.evaluation.trial import Outcome

REWARD, FALLS = Measure(key="reward", title="reward"), Measure(key="fell_per_minute", title="", is_rate=True)


def outcomes(rewards, kind="random", contender=0, **values):
    return [
        Outcome(
            contender=contender,
            kind=kind,
            seed=seed,
            robot_minutes=3.0,
            logged_minutes=2.0,
            values={"reward": reward, **values},
            milestones_s={"walking": 60.0} if reward > 10 else {},
        )
        for seed, reward in enumerate(rewards)
    ]


def test_intervals_cover_the_mean_as_often_as_they_say():
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(100):
        low, high = mean_interval(random.normal(12.0, 2.0, 20).tolist())
        covered += low < 12.0 < high
    assert 88 <= covered <= 99
    assert mean_interval([1.0]) == (None, None)
    few = [mean_interval(random.normal(12.0, 2.0, 3).tolist()) for _ in range(100)]
    assert 88 <= sum(low < 12.0 < high for low, high in few) <= 99


def test_a_group_knows_mean_median_and_spread():
    broken = Outcome(contender=0, kind="random", seed=9, problem="unstable")
    group = group_of([*outcomes([8.0, 11.0, 14.0]), broken], [REWARD, FALLS], ["walking"])
    reward = group.measures["reward"]
    assert (group.robots, group.robot_minutes, reward.robots) == (3, 9.0, 3)
    assert (reward.mean, reward.median, reward.lowest, reward.highest) == (11.0, 11.0, 8.0, 14.0)
    assert reward.low == pytest.approx(11.0 - 4.303 * 3.0 / 3**0.5, abs=0.01)
    assert reward.high == pytest.approx(11.0 + 4.303 * 3.0 / 3**0.5, abs=0.01)
    assert (group.milestones["walking"].robots, group.milestones["walking"].median_s) == (2, 60.0)
    assert "fell_per_minute" not in group.measures
    assert group_of([broken], [REWARD], []) is None


def test_that_nothing_happened_is_no_promise():
    falls = group_of(outcomes([8.0, 11.0], fell_per_minute=0.0), [FALLS], []).measures["fell_per_minute"]
    assert (falls.mean, falls.low) == (0.0, 0.0) and falls.high == pytest.approx(3.0 / 4.0)
    falls = group_of(outcomes([8.0, 11.0], fell_per_minute=0.5), [FALLS], []).measures["fell_per_minute"]
    assert (falls.low, falls.high) == (0.5, 0.5)


def test_that_all_came_out_alike_is_no_certainty():
    successes = Measure(key="succeeded_percent", title="succeeded (%)", is_share=True)
    for share, low, high in ((100.0, 85.0, 100.0), (0.0, 0.0, 15.0)):
        all_alike = outcomes([1.0] * 20, succeeded_percent=share)
        found = group_of(all_alike, [successes], []).measures["succeeded_percent"]
        assert (found.mean, found.low, found.high) == (share, low, high)
        assert differences(all_alike, all_alike, "random", [successes])["succeeded_percent"].low is None
    mixed = [*outcomes([1.0] * 2, succeeded_percent=100.0), *outcomes([1.0], succeeded_percent=0.0)]
    found = group_of(mixed, [successes], []).measures["succeeded_percent"]
    assert found.low == 0.0 and found.high == 100.0  # which t alone would leave


def test_policies_are_compared_robot_by_robot():
    """Robots that differ much hide no difference that all of them show."""
    first = outcomes([5.0, 9.0, 13.0, 2.0])
    other = outcomes([5.4, 9.5, 13.6], contender=1)  # the fourth is missing
    difference = differences(other, first, "random", [REWARD, FALLS])["reward"]
    assert difference.robots == 3 and difference.mean == pytest.approx(0.5)
    assert 0.2 < difference.low < difference.high < 0.8
    assert differences(other, first, "nominal", [REWARD]) == {}
    never = [outcomes([1.0, 2.0], fell_per_minute=0.0)] * 2
    assert differences(*never, "random", [FALLS])["fell_per_minute"].low is None


def test_the_worst_is_one_that_was_drawn():
    assert worst_of([*outcomes([8.0, 5.0, 14.0]), *outcomes([1.0], kind="nominal")], "reward").seed == 1
    assert worst_of(outcomes([1.0], kind="nominal"), "reward") is None
