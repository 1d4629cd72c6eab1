"""Demonstrations as those learn from them that know of no sequences: one transition after the other."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.learner.sound import is_sound
from daydreamer.learner.sources import describe_source, open_sources, require_same_robot, wanted_steps
from daydreamer.spec import RobotSpec
from peer_learners.measured import Measured

_WHAT = "demonstrations"


@dataclasses.dataclass(frozen=True)
class Shown:
    """Transitions whose action an operator or a teacher chose; the first axis of all arrays is theirs.

    Attributes:
      observations, next_observations: as `Measured` has them.
      actions: those chosen, `action_requested`, as our own replay has them; not what the guard made of them.
      rewards: received on arriving at the next observation.
      ends: whether nothing comes after the next observation; where the time was up, something would have.
      sources: what is known of each session, but where it is.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    ends: np.ndarray
    sources: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rewards)


def read_shown(directories: Sequence[Path], spec: RobotSpec) -> Shown:
    """Whatever was shown in some sessions.

    Raises:
      UserError: one of them is none, is named twice, is damaged, is of another robot or task, or shows nothing.
    """
    sessions = open_sources(directories, _WHAT)
    require_same_robot(sessions, spec, _WHAT)
    pairs, sources = [], []
    for session in sessions:
        shown = shown_pairs(list(itertools.chain.from_iterable(wanted_steps(session, _WHAT, is_sound))))
        if not shown:
            raise UserError(f"In {session.path} nobody has shown anything; leave it out.")
        source = describe_source(session, len(shown), sum(after.reward for _, after in shown))
        sources.append({key: value for key, value in source.items() if key != "path"})
        pairs += shown
    measured = Measured(spec.observation)
    before, after = zip(*pairs, strict=True)
    return Shown(
        observations=measured(_together(before)),
        actions=np.stack([step.action_requested for step in before]),
        rewards=np.array([step.reward for step in after], np.float32),
        next_observations=measured(_together(after)),
        ends=np.array([step.is_terminal for step in after]),
        sources=sources,
    )


def shown_pairs(steps: Sequence[Step]) -> list[tuple[Step, Step]]:
    """Steps whose action was shown, each with the one of the same episode that it led to."""
    return [
        (before, after)
        for before, after in itertools.pairwise(steps)
        if before.intervention
        and not (before.is_last or after.is_first)
        and (after.actor_life, after.sequence) == (before.actor_life, before.sequence + 1)
    ]


def _together(steps: Sequence[Step]) -> dict[str, np.ndarray]:
    """Observations of many steps by key."""
    return {key: np.stack([step.observation[key] for step in steps]) for key in steps[0].observation}
