"""Other sessions of which one that is being made takes steps: which can be used, and which of their steps are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.inherited import BLOCK_STEPS
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, spec_difference


def open_sources(directories: Sequence[Path], what: str) -> list[Session]:
    """Sessions by their directories, whether they are at work or not.

    Args:
      what: they have, in the plural, as 'demonstrations'.

    Raises:
      UserError: one of them is none, or is named twice.
    """
    sessions = list(map(Session.open, directories))
    paths = [session.path for session in sessions]
    for session in sessions:
        if paths.count(session.path) > 1:
            raise UserError(f"The {what} in {session.path} are named twice; name each session once.")
    return sessions


def wanted_steps(session: Session, what: str, wanted: Callable[[Step], bool]) -> Iterator[list[Step]]:
    """All logged steps of a session that are wanted, in blocks.

    Raises:
      UserError: after the last of them, if the session is damaged; or a file cannot be read.
    """
    tail = ExperienceTail(session.experience, session.spec)
    while steps := tail.read(BLOCK_STEPS):
        if chosen := [step for step in steps if wanted(step)]:
            yield chosen
    if problems := [*session.problems, *(problem.text for problem in tail.problems)]:
        raise UserError(
            f"The {what} in {session.path} are damaged: {problems[0]} Take a copy that is whole, or leave them out; "
            f"'daydreamer doctor {session.path}' says more."
        )


def describe_source(session: Session, steps: int, reward: float) -> dict[str, Any]:
    """Fields of a `Source`, for so many steps with so much reward in all."""
    return {
        "path": str(session.path),
        "digest": session.digest,
        "robot": session.config.robot,
        "body": session.config.body,
        "steps": steps,
        "reward": max(-1e12, min(1e12, reward / max(1, steps))),
    }


def total_reward(steps: Sequence[Step]) -> float:
    """Sum over steps."""
    return math.fsum(step.reward for step in steps)


def require_same_robot(sessions: Sequence[Session], spec: RobotSpec, what: str) -> None:
    """Refuses sessions of another robot or task.

    Raises:
      SpecMismatch: names the first, both hashes, and what differs.
    """
    for session in sessions:
        if session.spec.hash != spec.hash:
            raise SpecMismatch(
                f"The {what} in {session.path} are of robot specification {session.spec.hash}, the new session's is "
                f"{spec.hash}: {spec_difference(spec, session.spec)}. Take others."
            )
