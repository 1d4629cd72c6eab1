"""A robot whose time passes only when it is told to: what a control loop needs of a twin without a clock."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.contract.signals import Measurement


class Truth(Protocol):
    """What only a simulator knows."""

    @property
    def quantities(self) -> dict[str, float]:
        """By the names that `daydreamer.presentation` has for what is measured."""


class SimulatedRobot(Protocol):
    """What lock-step needs of a twin; time passes only in `advance`."""

    @property
    def time_s(self) -> float: ...

    def measure(self) -> Measurement: ...

    def command(self, setpoint: np.ndarray | None) -> None: ...

    def advance(self, seconds: float) -> None: ...

    def truth(self) -> Truth: ...


def live_a_step(loop: ControlLoop, robot: SimulatedRobot) -> None:
    """One control period; what the robot does to begin an episode comes in addition."""
    ticks = 0
    while ticks < loop.ticks_per_step:
        restart_ticks = loop.restart_ticks
        command = loop.step(robot.measure(), robot.time_s)
        robot.command(None if command.relaxes else command.setpoint)
        robot.advance(loop.tick_period_s)
        ticks += loop.restart_ticks == restart_ticks
