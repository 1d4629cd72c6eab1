"""How a task wants its robot's progress to be told: milestones, headline figures and what happens to it, as data.

A task brings a `Presentation`, and the session keeps it, so that status, report, dashboard and comparisons say the same
where the robot is not installed. An empty one is complete: then there is the reward, and nothing else is claimed.

A quantity is something that every step logs, by name: 'reward', 'reward_terms/NAME' or 'info/NAME'. One that a robot's
specification does not have is nowhere shown, and its milestones are never reached.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

# A session keeps these and may be a stranger's: every text is one short line that no terminal obeys, every number is
# finite, every list short.
_LINE = "[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
Name = Annotated[str, Meta(pattern=r"^\w[\w -]*\Z", max_length=40)]
Words = Annotated[str, Meta(pattern=f"^{_LINE}*\\Z", max_length=60)]
Quantity = Annotated[str, Meta(pattern=r"^(reward|(reward_terms|info)/[a-z0-9_]+)\Z", max_length=100)]
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]

MOST_MILESTONES, MOST_FIGURES, MOST_OCCURRENCES, MOST_CONSTANT = 8, 3, 5, 16


class Milestone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that the robot achieves once it has kept it up, so that it is no accident.

    Attributes:
      name: as 'standing'; unique in a task.
      did: what the robot did then, for sentences, as 'stood'.
      does: what it has learned to do by then, as 'stands'; empty where `name` must do.
      quantity: what is judged.
      at_least: its least value.
      hold_s: so long it must be at least that, at every step; 0 is a single step.
      mean_s: what is judged is the mean over so long; 0 judges each step by itself.
    """

    name: Name
    did: Words
    does: Words = ""
    quantity: Quantity
    at_least: Number
    hold_s: Annotated[float, Meta(ge=0.0, le=86_400.0)]
    mean_s: Annotated[float, Meta(ge=0.0, le=600.0)] = 0.0


class Level(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value that means something: a thin line across a plot.

    Attributes:
      words: what it means, as 'walking'.
    """

    value: Number
    words: Words


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A headline: a quantity that an operator wants to see, beside the reward.

    Attributes:
      quantity: of which means are shown; unique in a task.
      name: as 'forward speed'.
      short: the same beside a number, as 'forward'; empty takes `name`.
      unit: as 'm/s'; empty for a figure without one.
      did: what the robot did at it, for sentences: 'went forward at' +0.30 m/s. Empty: 'the forward speed was'.
      source: what measures it, as 'odometry'; empty if nothing needs to be said.
      decimals: of its numbers.
      signed: they carry a sign, also where they are positive.
      plot_range: lowest and highest value of a plot on the dashboard; None lets the curve decide.
      level: see `Level`.
    """

    quantity: Quantity
    name: Name
    short: Words = ""
    unit: Words = ""
    did: Words = ""
    source: Words = ""
    decimals: Annotated[int, Meta(ge=0, le=6)] = 2
    signed: bool = False
    plot_range: tuple[Number, Number] | None = None
    level: Level | None = None

    def __post_init__(self) -> None:
        _require_rising(self.plot_range)

    @property
    def label(self) -> str:
        """What follows a number, as 'm/s forward'."""
        return f"{self.unit} {self.short or self.name}".strip()

    @property
    def title(self) -> str:
        """Name and unit, as 'forward speed (m/s)'."""
        return self._with_unit(self.name)

    @property
    def heading(self) -> str:
        """The same in short, as 'forward (m/s)'."""
        return self._with_unit(self.short or self.name)

    def number(self, value: float) -> str:
        """A value as it is written, as '+0.30'."""
        return f"{value:{'+' if self.signed else ''}z.{self.decimals}f}"

    def amount(self, value: float) -> str:
        """A value with its unit, as '+0.30 m/s'."""
        return f"{self.number(value)} {self.unit}".rstrip()

    def _with_unit(self, name: str) -> str:
        return f"{name} ({self.unit})" if self.unit else name


class Occurrence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happens to the robot now and then, and is counted.

    It has happened when the quantity comes to lie beyond `to` after it lay beyond `start`, on the other side: what
    sways about one of them is counted once.

    Attributes:
      did: what the robot did, for sentences, as 'fell'.
      quantity: what tells.
      start: from there; above it if it is the larger of the two, else below.
      to: to there.
    """

    did: Words
    quantity: Quantity
    start: Number
    to: Number

    def __post_init__(self) -> None:
        if self.start == self.to:
            raise ValueError(f"what '{self.did}' goes from must differ from what it goes to")


class Presentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a task says about how it is shown.

    Attributes:
      compared_reward: by which sessions are compared, where it is not the reward that is learned from; where a session
        does not have it, the reward takes its place.
      compared_as: what the compared reward is beside the other, as 'as published'.
      reward_range, terms_range: of the plots on the dashboard; None lets the curves decide.
      reward_level: of the compared reward.
      milestones: in the order in which they are told; the last is the goal.
      figures: the headlines, the most important one first.
      occurrences: what is counted.
      may_be_constant: observations that may well stay the same while the robot moves: what it is told, as a target, or
        a switch.
      verdict_minutes: robot minutes before which nothing can be said about where a session leads.
    """

    compared_reward: Quantity = "reward"
    compared_as: Words = ""
    reward_range: tuple[Number, Number] | None = None
    terms_range: tuple[Number, Number] | None = None
    reward_level: Level | None = None
    milestones: Annotated[tuple[Milestone, ...], Meta(max_length=MOST_MILESTONES)] = ()
    figures: Annotated[tuple[Figure, ...], Meta(max_length=MOST_FIGURES)] = ()
    occurrences: Annotated[tuple[Occurrence, ...], Meta(max_length=MOST_OCCURRENCES)] = ()
    may_be_constant: Annotated[tuple[Name, ...], Meta(max_length=MOST_CONSTANT)] = ()
    verdict_minutes: Annotated[float, Meta(ge=0.0, le=1e6)] = 10.0

    def __post_init__(self) -> None:
        _require_rising(self.reward_range)
        _require_rising(self.terms_range)
        for names in ([each.name for each in self.milestones], [each.quantity for each in self.figures]):
            if len(set(names)) < len(names):
                raise ValueError(f"one of {', '.join(names)} is there twice")

    @property
    def milestone_names(self) -> tuple[str, ...]:
        return tuple(milestone.name for milestone in self.milestones)

    @property
    def goal(self) -> Milestone | None:
        return self.milestones[-1] if self.milestones else None


def _require_rising(limits: tuple[float, float] | None) -> None:
    if limits is not None and not limits[0] < limits[1]:
        raise ValueError(f"a range from {limits[0]:g} to {limits[1]:g}")
