"""Words on the page of a robot that is driven live; without Rerun, which draws it."""

from __future__ import annotations

from typing import NamedTuple


class LiveTitles(NamedTuple):
    """Attributes:
    name: of the page.
    robot, reward: over the drawing, and over the curve.
    lines: of a curve: of the robot, and of one that does something else.
    """

    name: str
    robot: str
    reward: str
    lines: tuple[str, str]


DREAM = LiveTitles("a dream", "Dreamt robot (blue); what if (orange)", "Reward foreseen", ("dream", "what if"))
BY_HAND = LiveTitles("by hand", "Robot now", "Reward", ("robot", ""))
