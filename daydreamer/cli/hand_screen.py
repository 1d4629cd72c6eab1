"""What an operator sees who drives a twin in `daydreamer demonstrate`: a line in the terminal, and the browser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from daydreamer.cli.live import LiveLine
from daydreamer.cli.shown import ShownEpisodes
from daydreamer.contract.task import TaskState
from daydreamer.demonstration.by_hand import Scene
from daydreamer.demonstration.shown import Shown
from daydreamer.spec import RobotSpec

if TYPE_CHECKING:
    from daydreamer.viewer.live import LiveView
    from daydreamer.viewer.server import ViewerServer


class Page:
    """Draws each observation once, and hands it out at once."""

    def __init__(self, view: LiveView, server: ViewerServer, period_s: float):
        self._view = view
        self._server = server
        self._period_s = period_s
        self._steps = 0
        self._drawn: TaskState | None = None

    def show(self, state: TaskState) -> None:
        """What the task has observed."""
        if state is not self._drawn:
            self._drawn = state
            self._steps += 1
            figures = {f"info/{name}": value for name, value in state.info.items()}
            time_s = self._steps * self._period_s
            self._view.show(time_s, (state.observation, None), (state.reward, math.nan), (figures, {}))
        self._view.hand_out(self._server)  # somebody may have come

    def tell(self, sentence: str) -> None:
        """A line among the events."""
        self._view.tell(self._steps * self._period_s, sentence)


class HandScreen:
    """The `Audience` of an operated session."""

    def __init__(self, line: LiveLine, page: Page | None, told: ShownEpisodes, spec: RobotSpec):
        """`told` is told of the episodes that are kept."""
        self._line = line
        self._page = page
        self._told = told
        self._longest_s = spec.episode_steps * spec.control_period_s
        self._period_s = spec.control_period_s

    def look(self, scene: Scene) -> None:
        """See `Audience`."""
        if self._page is not None:
            self._page.show(scene.state)
        self._line.show(lambda: self._words(scene))

    def on_end(self, number: int, shown: Shown, how: str) -> None:
        """See `Audience`."""
        self._say(
            f"Episode {number}: {how} after {shown.steps * self._period_s:.1f} s, return {shown.total:.2f}. It is kept "
            "unless you forget it before you drive on."
        )

    def on_verdict(self, number: int, shown: Shown, kept: bool) -> None:
        """See `Audience`."""
        if kept:
            self._told.add(shown)
        else:
            self._say(f"Forgotten; episode {number} begins anew.")

    def _say(self, sentence: str) -> None:
        self._line.say(sentence)
        if self._page is not None:
            self._page.tell(sentence)

    def _words(self, scene: Scene) -> str:
        shown = scene.shown
        parts = [
            f"episode {scene.episode} of {self._told.expected}",
            f"{shown.steps * self._period_s:5.1f} of {self._longest_s:g} s",
            scene.waits,  # early, as the line may be cut off
            f"return {shown.total:+.2f}",
            f"reward {scene.state.reward:+.2f}",
            scene.note,
            f"forgotten {scene.discarded}" if scene.discarded else "",
        ]
        return "  ".join(filter(None, parts))
