"""What is to be seen of a dream: a line in the terminal, and the robot in the browser."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from daydreamer.cli.live import LiveLine
from daydreamer.cli.terminal import Terminal
from daydreamer.instrument.dreaming import Dream, Frame, Imagined
from daydreamer.presentation import Figure

if TYPE_CHECKING:
    from daydreamer.viewer.live import LiveView
    from daydreamer.viewer.server import ViewerServer

DRAWN_HZ = 10.0
"""Drawings in a second of dreamed time; more would be more than a browser without a GPU takes in."""


class Screen(LiveLine):
    """The line of a dream."""

    def __init__(self, console: Terminal, figures: list[Figure], version: int):
        super().__init__(console)
        self._figures = figures
        self._version = version

    def show_dream(self, frame: Frame, dream: Dream, rate_hz: float, period_s: float, paused: bool = False) -> None:
        """How things are, if it is time to say so."""
        self.show(lambda: self._line(frame, dream, rate_hz, period_s, paused))

    def _line(self, frame: Frame, dream: Dream, rate_hz: float, period_s: float, paused: bool) -> str:
        line = f"{frame.step * period_s:6.1f} s  {self.words(frame.robot)}  {rate_hz:.0f} frames/s"
        if dream.operated:
            line += "  stick " + " ".join(f"{axis:+.2f}" for axis in dream.stick)
        if frame.other is not None:
            line += f"  | what if: {self.words(frame.other)}"
        if paused:
            line += "  PAUSED"
        return line

    def words(self, robot: Imagined) -> str:
        """Reward foreseen, headline figures, whose action."""
        parts = [f"reward {robot.reward:+.2f}"]
        parts += [
            f"{figure.number(robot.figures[figure.quantity])} {figure.label}"
            for figure in self._figures
            if figure.quantity in robot.figures
        ]
        parts.append("you" if robot.operated else f"policy {self._version}")
        if robot.outside:
            parts.append("(never measured)")
        return "  ".join(parts)


class Stage:
    """The dashboard's side of a dream: draws now and then, and hands out at once."""

    def __init__(self, view: LiveView, server: ViewerServer, period_s: float):
        self._view = view
        self._server = server
        self._period_s = period_s
        self._every = max(1, round(1.0 / (DRAWN_HZ * period_s)))

    def show(self, frames: int, frame: Frame) -> None:
        """The newest of the frames that have come one after the other."""
        if frames % self._every:
            return
        robot, other = frame.robot, frame.other
        self._view.show(
            frames * self._period_s,
            (robot.observation, None if other is None else other.observation),
            (robot.reward, math.nan if other is None else other.reward),
            (robot.figures, {} if other is None else other.figures),
        )
        self.look()

    def tell(self, frames: int, sentence: str) -> None:
        self._view.tell(frames * self._period_s, sentence)

    def look(self) -> None:
        """Somebody may have come."""
        self._view.hand_out(self._server)
