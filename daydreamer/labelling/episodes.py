"""The episodes of a session's log, and the pictures of some of its steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence

import numpy as np

from daydreamer.learner.sources import wanted_steps
from daydreamer.session.directory import Session
from daydreamer.session.labels import StepName

_WHAT = "pictures"


@dataclasses.dataclass(frozen=True)
class Episode:
    """Consecutive steps, from the beginning of an episode on.

    Attributes:
      actor_life, first: names of its first step.
      steps: how many there are.
      paid: the last of them was rewarded, and ended it.
    """

    actor_life: int
    first: int
    steps: int
    paid: bool = False

    def step(self, index: int) -> StepName:
        return self.actor_life, self.first + index

    @property
    def names(self) -> Iterator[StepName]:
        """Of all its steps."""
        return map(self.step, range(self.steps))


def read_episodes(session: Session) -> list[Episode]:
    """All that begin in the log; what comes after a gap is of none.

    Raises:
      UserError: the log cannot be read, or is damaged.
    """
    episodes: list[Episode] = []
    current: Episode | None = None
    for block in wanted_steps(session, _WHAT, lambda step: True):
        for step in block:
            if step.is_first:
                current = Episode(step.actor_life, step.sequence, 1)
                episodes.append(current)
            elif current is not None and (step.actor_life, step.sequence) == current.step(current.steps):
                paid = step.is_terminal and step.reward > 0.0
                current = episodes[-1] = dataclasses.replace(current, steps=current.steps + 1, paid=paid)
            else:
                current = None
    return episodes


def read_pictures(session: Session, camera: str, wanted: Collection[StepName]) -> dict[StepName, np.ndarray]:
    """The pictures of these steps, as far as they are logged.

    Raises:
      UserError: the log cannot be read, or is damaged.
    """
    steps = frozenset(wanted)
    blocks = wanted_steps(session, _WHAT, lambda step: (step.actor_life, step.sequence) in steps)
    return {(step.actor_life, step.sequence): np.array(step.observation[camera]) for block in blocks for step in block}


def shown_steps(episode: Episode, count: int) -> list[StepName]:
    """At most `count` steps of an episode: its first and its last one, and half of all in a row before that, because it
    is in the end that it is decided.
    """
    last = range(max(0, episode.steps - count // 2), episode.steps)
    before = np.linspace(0, max(0, last.start - 1), count - len(last)).astype(int)
    return [episode.step(index) for index in sorted({*before.tolist(), *last})]


def choose(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """At most so many, half of them paid and half not, as far as there are; either half spread evenly."""
    kinds = [[each for each in episodes if each.paid == paid] for paid in (True, False)]
    paid, unpaid = map(len, kinds)
    of_paid = min(paid, max(count // 2, count - unpaid))
    chosen = [*_spread(kinds[0], of_paid), *_spread(kinds[1], min(unpaid, count - of_paid))]
    return [each for each in episodes if each in chosen]


def _spread(episodes: Sequence[Episode], count: int) -> list[Episode]:
    indices = np.linspace(0, len(episodes) - 1, count).astype(int) if count else ()
    return [episodes[index] for index in indices]
