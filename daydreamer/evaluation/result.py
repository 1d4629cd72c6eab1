"""What an evaluation has found: for programs as it is, and in tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from daydreamer.config import TwinConfig
from daydreamer.evaluation.contenders import Contender
from daydreamer.evaluation.measures import FAILURES, SUCCESSES, Measure, compared_quantity, measures_of
from daydreamer.evaluation.statistics import INTERVAL, Estimate, Group, differences, group_of, worst_of
from daydreamer.evaluation.trial import Kind, Outcome, Trial, describe_drawn
from daydreamer.session.played import PlayedPolicy

KINDS: tuple[Kind, ...] = ("nominal", "random")


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
    policies = []
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


def table_of_one(evaluation: Evaluation) -> list[list[str]]:
    """Heading and a row for each measure and milestone, of the first policy."""
    judged = evaluation.policies[0]
    nominal, random = (judged.groups.get(kind) for kind in KINDS)
    heading = ["", "nominal: mean [95 %]", "median [lowest, highest]"]
    heading += ["random: mean [95 %]", "median [lowest, highest]"] if random else []
    groups = [nominal, *([random] if random else [])]
    rows = []
    for measure in evaluation.measures:
        cells = [_estimate_cells(measure, group) for group in groups]
        rows.append([measure.title, *(cell for pair in cells for cell in pair)])
    names = next((group.milestones for group in groups if group), {})
    for name in names:
        cells = [_milestone_cells(group, name) for group in groups]
        rows.append([f"{name} after (s)", *(cell for pair in cells for cell in pair)])
    return [heading, *rows]


def _estimate_cells(measure: Measure, group: Group | None) -> tuple[str, str]:
    estimate = group.measures.get(measure.key) if group else None
    if estimate is None:
        return "-", "-"
    spread = [measure.number(value) for value in (estimate.median, estimate.lowest, estimate.highest)]
    return _mean(measure, estimate), f"{spread[0]} [{spread[1]}, {spread[2]}]"


def _milestone_cells(group: Group | None, name: str) -> tuple[str, str]:
    if group is None:
        return "-", "-"
    reached = group.milestones[name]
    by = f"by {reached.robots} of {group.robots}"
    return by, "-" if reached.median_s is None else f"{reached.median_s:.0f}"


def table_of_several(evaluation: Evaluation, kind: Kind) -> list[list[str]]:
    """Heading, a row for each policy, and one for how each but the first differs from it, on robots of a kind."""
    heading = ["", *(measure.title for measure in evaluation.measures)]
    rows = []
    for judged in evaluation.policies:
        group = judged.groups.get(kind)
        rows.append([judged.name, *(_estimate_cells(measure, group)[0] for measure in evaluation.measures)])
    first = evaluation.policies[0].name
    for judged in evaluation.policies[1:]:
        found = judged.differences.get(kind, {})
        cells = [
            _mean(measure, found[measure.key], difference=True) if measure.key in found else "-"
            for measure in evaluation.measures
        ]
        rows.append([f"{judged.name} less {first}", *cells])
    return [heading, *rows]


def _mean(measure: Measure, estimate: Estimate, difference: bool = False) -> str:
    write = measure.difference if difference else measure.number
    if estimate.low is None or estimate.high is None:
        return write(estimate.mean)
    return f"{write(estimate.mean)} [{write(estimate.low)}, {write(estimate.high)}]"
