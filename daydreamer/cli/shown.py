"""What an operator is told of episodes that are shown: each as it comes, and all of them in the end."""

from __future__ import annotations

import json
import statistics
import time

from daydreamer.cli.terminal import Terminal
from daydreamer.demonstration.shown import Shown
from daydreamer.session.directory import Session
from daydreamer.texts import counted


class ShownEpisodes:
    """Tells of episodes; for programs on stderr, and their returns on stdout.

    Attributes:
      expected: how many there are to be.
      console: on which it tells.
    """

    def __init__(self, expected: int, as_json: bool):
        self.expected, self._as_json = expected, as_json
        self.console = Terminal(stderr=as_json)
        self._begin_s = time.monotonic()
        self._shown: list[Shown] = []

    def add(self, shown: Shown) -> None:
        """Tells of one more."""
        self._shown.append(shown)
        self.say(
            f"episode {len(self._shown):3d} of {self.expected}  return {shown.total:8.2f}  {shown.steps} steps  "
            f"{time.monotonic() - self._begin_s:.0f} s"
        )

    def say(self, text: str) -> None:
        """Tells something else."""
        self.console.print(text, soft_wrap=True)

    def conclude(self, session: Session, teaches: bool = True, **more: object) -> None:
        """Tells what they come to, and what `session`, which has them, is good for; programs are told `more`.

        Args:
          teaches: somebody has chosen in them what is to be imitated.
        """
        returns = [shown.total for shown in self._shown]
        if self._as_json:
            steps = [shown.steps for shown in self._shown]
            print(json.dumps({"session": str(session.path), "returns": returns, "steps": steps, **more}, indent=2))
            return
        if not returns:
            self.say(f"No episode was shown to its end. Session: {session.path}")
            return
        robot_task = f"{session.config.robot} {session.config.task}"
        learn = f"learn {robot_task} --demonstrations {session.path}"
        if not teaches:
            learn = f"train {robot_task} --from-logs {session.path} --out learned"
        self.say(
            f"{counted(len(returns), 'episode')}: return {statistics.fmean(returns):.2f} on average, from "
            f"{min(returns):.2f} to {max(returns):.2f}. Session: {session.path}\n"
            f"Learn from them: daydreamer {learn}"
        )
