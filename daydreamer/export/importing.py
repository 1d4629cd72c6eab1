"""Writes what others have recorded into a session, as if it had been experienced there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.export.lerobot_reader import Episode, EpisodeUnusable
from daydreamer.session.directory import Session
from daydreamer.session.recording import begin_log

MOST_TOLD = 20
"""Episodes that cannot be used are told one by one, up to so many."""


class Recording(Protocol):
    """Episodes that others have recorded.

    Attributes:
      episodes: where they are.
    """

    @property
    def episodes(self) -> Sequence[Episode]: ...

    def read(self, episode: Episode) -> list[Step]:
        """The steps of an episode, of no life and at no time yet. Raises EpisodeUnusable."""

    def conclude(self, steps: int, reward: float) -> list[str]:
        """What is to be said of all that was read, one sentence each.

        Args:
          steps, reward: that there were.

        Raises:
          UserError: it is of no use.
        """


def write_recording(session: Session, recording: Recording, on_episode: Callable[[Sequence[Step]], None]) -> list[str]:
    """Logs all episodes that can be used; what is to be said of them, one sentence each.

    Args:
      on_episode: called with the steps of each episode that has been logged.

    Raises:
      UserError: none can be used, or they cannot be written.
    """
    unusable = list[str]()
    begin_ns, period_ns = time.time_ns(), round(1e9 * session.spec.control_period_s)
    count, reward = 0, 0.0
    with begin_log(session) as writer:
        for episode in recording.episodes:
            try:
                steps = recording.read(episode)
            except EpisodeUnusable as error:
                unusable.append(f"episode {episode.number} is left out, as {error}")
                continue
            for step in steps:
                step.monotonic_ns = count * period_ns
                step.wall_ns = begin_ns + step.monotonic_ns
                writer.append(step)
                count, reward = count + 1, reward + step.reward
            on_episode(steps)
    if not count:
        raise UserError(f"Nothing can be imported: {unusable[0]}; take a copy of the dataset that is whole.")
    more = [f"{len(unusable) - MOST_TOLD} more are left out"] if len(unusable) > MOST_TOLD else []
    return [
        *recording.conclude(count, reward),
        *(f"{each[0].upper()}{each[1:]}." for each in (*unusable[:MOST_TOLD], *more)),
    ]
