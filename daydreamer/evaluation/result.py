"""What an evaluation has found: for programs as it is, and in tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from daydreamer.config import TwinConfig
from daydreamer.evaluation.contenders import Contender
from daydreamer.evaluation.measures import FAILURES, SUCCESSES, Measure, compared_quantity, measures_of
from daydreamer.evaluation.statistics import INTERVAL, Estimate, Group, differences, group_of, worst_of
from daydreamer.evaluation.trial import KINDS, Kind, Outcome, Trial, describe_drawn
from daydreamer.session.played import PlayedPolicy


class Worst(msgspec.Struct, frozen=True, kw_only=True):
    """The robot on which a policy has done worst.

    Attributes:
      seed: by which it is drawn again.
      value: of the compared reward.
      drawn: see `Outcome`.
      words: the same for people.
    """

    seed: int
    value: float
    drawn: dict[str, Any]
    words: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One policy.

    Attributes:
      name: of its session, in short.
      policy: which one.
      running: whether its session still ran.
      other_twin: whether it was learned in another twin than that of all policies.
      groups: by kind of robot.
      worst: None where no robot was drawn.
      differences: to the first policy, over pairs of the same robot, by kind and key; empty for the first.
      robots: all of them.
    """

    name: str
    policy: PlayedPolicy
    running: bool
    other_twin: bool
    groups: dict[str, Group]
    worst: Worst | None
    differences: dict[str, dict[str, Estimate]]
    robots: list[Outcome]

    @property
    def problems(self) -> list[Outcome]:
        """Robots of which nothing is known."""
        return [outcome for outcome in self.robots if outcome.problem]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All of it.

    Attributes:
      robot, task: of all sessions.
      episodes: of each robot, and how long each is at most.
      seeds: of the robots.
      twin: of which they are; `randomisation` says what they are drawn from.
      compared: key of the measure by which the worst is found.
      interval: what intervals are.
      complete: False if it was interrupted.
      wall_s: that it took.
      robot_minutes: of all robots.
      measures: what there is to know, the most important first.
      policies: in the order of their sessions.
    """

    robot: str
    task: str
    episodes: int
    episode_s: float
    seeds: list[int]
    twin: TwinConfig
    compared: str
    interval: str = INTERVAL
    complete: bool
    wall_s: float
    robot_minutes: float
    measures: list[Measure]
    policies: list[Judged]

    @property
    def robot_minutes_per_minute(self) -> float:
        return self.robot_minutes / (self.wall_s / 60.0)


def judge(
    contenders: Sequence[Contender], trials: Sequence[Trial], outcomes: Sequence[Outcome], wall_s: float
) -> Evaluation:
    """What came of some trials."""
    session, trial = contenders[0].session, trials[0]
    spec, presentation = session.spec, session.presentation
    compared = compared_quantity(spec, presentation)
    of_contender = [[each for each in outcomes if each.contender == index] for index in range(len(contenders))]
    measures = _known(measures_of(spec, presentation), outcomes)
    policies: list[Judged] = []
    for contender, robots in zip(contenders, of_contender, strict=True):
        groups = {
            kind: group_of([each for each in robots if each.kind == kind], measures, presentation.milestone_names)
            for kind in KINDS
        }
        is_first = not policies
        policies.append(
            Judged(
                name=contender.name,
                policy=contender.plays,
                running=contender.running,
                other_twin=contender.other_twin,
                groups={kind: group for kind, group in groups.items() if group is not None},
                worst=_worst(robots, compared, spec.joint_names),
                differences={}
                if is_first
                else {kind: differences(robots, of_contender[0], kind, measures) for kind in KINDS},
                robots=robots,
            )
        )
    return Evaluation(
        robot=spec.robot,
        task=spec.task,
        episodes=trial.episodes,
        episode_s=trial.episode_steps * spec.control_period_s,
        seeds=sorted({each.seed for each in trials}),
        twin=contenders[0].config.twin,
        compared=compared,
        complete=len(outcomes) == len(trials),
        wall_s=wall_s,
        robot_minutes=sum(each.robot_minutes for each in outcomes),
        measures=measures,
        policies=policies,
    )


def _known(measures: Sequence[Measure], outcomes: Sequence[Outcome]) -> list[Measure]:
    """Those of which something is known; whether episodes succeed or fail only where some have ended by themselves."""
    ended = any(outcome.values.get(key) for outcome in outcomes for key in (SUCCESSES, FAILURES))
    return [
        measure
        for measure in measures
        if any(measure.key in outcome.values for outcome in outcomes)
        and (ended or measure.key not in (SUCCESSES, FAILURES))
    ]


def _worst(robots: Sequence[Outcome], compared: str, joint_names: tuple[str, ...]) -> Worst | None:
    worst = worst_of(robots, compared)
    if worst is None or worst.drawn is None:
        return None
    words = describe_drawn(worst.drawn, joint_names)
    return Worst(seed=worst.seed, value=worst.values[compared], drawn=worst.drawn, words=words)


def table(evaluation: Evaluation, kind: Kind) -> list[list[str]]:
    """Heading, and rows for all that is known of the robots of a kind; of several policies they stand by each other."""
    several = len(evaluation.policies) > 1
    heading = ["", "of", "mean", "95 %", f"less {evaluation.policies[0].name}", "95 %"]
    if not several:
        heading = ["", "mean", "95 %", "median", "lowest", "highest"]
    rows = []
    groups = [(judged, judged.groups[kind]) for judged in evaluation.policies if kind in judged.groups]
    for measure in evaluation.measures:
        for number, (judged, group) in enumerate(groups):
            row = [measure.title if number == 0 else "", *([judged.name] if several else [])]
            row += _mean_cells(measure.number, group.measures.get(measure.key))
            if several:
                row += _mean_cells(measure.difference, judged.differences.get(kind, {}).get(measure.key))
            else:
                row += _spread_cells(measure, group.measures.get(measure.key))
            rows.append(row)
    names = groups[0][1].milestones if groups else ()
    for name in names:
        for number, (judged, group) in enumerate(groups):
            row = [f"{name} after (s)" if number == 0 else "", *([judged.name] if several else [])]
            row += _milestone_cells(group, name)
            rows.append(row + [""] * (len(heading) - len(row)))
    return [heading, *rows]


def _mean_cells(write: Callable[[float], str], estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return ["", ""]
    if estimate.low is None or estimate.high is None:
        return [write(estimate.mean), "-"]
    return [write(estimate.mean), f"{write(estimate.low)} to {write(estimate.high)}"]


def _spread_cells(measure: Measure, estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return [""] * 3
    return [measure.number(value) for value in (estimate.median, estimate.lowest, estimate.highest)]


def _milestone_cells(group: Group, name: str) -> list[str]:
    reached = group.milestones[name]
    median = "" if reached.median_s is None else f"{reached.median_s:.0f}"
    return [median, f"{reached.robots} of {group.robots}"]
