"""What an evaluation judges of a robot: what its task says of itself, and what every robot has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from daydreamer.presentation import Figure, Occurrence, Presentation
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.quantities import is_known, known_figures

SUCCESSES, FAILURES = "succeeded_percent", "failed_percent"
POWER, TRANSPORT = "power_w", "cost_of_transport"
ACTION_CHANGE, BY_POLICY = "action_change_percent", "by_policy_percent"


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """A number that a robot has come to.

    Attributes:
      key: for programs.
      title: for people, with its unit.
      decimals, signed: see `Figure`.
      is_rate: events per minute, of which there may have been none.
      is_share: of the robot's episodes, in per cent.
    """

    key: str
    title: str
    decimals: int = 2
    signed: bool = False
    is_rate: bool = False
    is_share: bool = False

    def number(self, value: float) -> str:
        """The value as it is written."""
        return f"{value:{'+' if self.signed else ''}z.{self.decimals}f}"

    def difference(self, value: float) -> str:
        """A difference of two values as it is written, always with its sign."""
        return f"{value:+z.{self.decimals}f}"


def compared_quantity(spec: RobotSpec, presentation: Presentation) -> str:
    """The reward by which robots and sessions are compared."""
    return presentation.compared_reward if is_known(presentation.compared_reward, spec) else "reward"


def known_occurrences(spec: RobotSpec, presentation: Presentation) -> list[Occurrence]:
    """What is counted of this robot."""
    return [each for each in presentation.occurrences if is_known(each.quantity, spec)]


def rate_key(occurrence: Occurrence) -> str:
    """As 'fell_per_minute'."""
    return f"{re.sub(r'[^a-z0-9]+', '_', occurrence.did.lower()).strip('_')}_per_minute"


def measures_of(spec: RobotSpec, presentation: Presentation) -> list[Measure]:
    """All that a robot may be judged by, the most important first; not every robot has all of them."""
    return [*_of_task(spec, presentation), *_of_any_robot(spec)]


def _of_task(spec: RobotSpec, presentation: Presentation) -> Iterator[Measure]:
    compared = compared_quantity(spec, presentation)
    if compared != "reward":
        yield Measure(key=compared, title=f"reward, {presentation.compared_as}".rstrip(", "))
    yield Measure(key="reward", title="reward")
    yield Measure(key=SUCCESSES, title="episodes that succeeded (%)", decimals=0, is_share=True)
    yield Measure(key=FAILURES, title="episodes that failed (%)", decimals=0, is_share=True)
    yield from map(_of_figure, known_figures(presentation, spec))
    for occurrence in known_occurrences(spec, presentation):
        yield Measure(key=rate_key(occurrence), title=f"{occurrence.did}, per minute", is_rate=True)


def _of_figure(figure: Figure) -> Measure:
    return Measure(key=figure.quantity, title=figure.title, decimals=figure.decimals, signed=figure.signed)


def _of_any_robot(spec: RobotSpec) -> Iterator[Measure]:
    yield Measure(key=TRANSPORT, title="cost of transport")
    yield Measure(key=POWER, title="motors' power (W)", decimals=1)
    changes = "action changes (%)" if spec.action.is_discrete else "action change (%)"
    yield Measure(key=ACTION_CHANGE, title=changes, decimals=1)
    yield Measure(key=BY_POLICY, title="by the policy (%)", decimals=0)
