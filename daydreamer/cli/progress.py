"""Shows an operator how a session is doing: one line, kept up to date on a terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_PERIOD_S = 10.0


def describe(status: Mapping[str, Any], total_minutes: float) -> str:
    """One line of figures from `read_status`; what is not known yet is left out."""
    minutes = (status["robot_seconds"] or 0.0) / 60.0
    parts = [f"{minutes:.1f} of {total_minutes:g} robot minutes"]
    if status["safety_state"] not in (None, "running"):
        parts.append(f"{status['safety_state'].replace('_', ' ').upper()} ({status['safety_cause']})")
    parts += [f"{name.replace('_', ' ')}!" for name in status["watchdogs_raised"]]
    for name, template in (
        ("reward_recent", "reward {:.2f}"),
        ("forward_velocity_recent", "{:+.2f} m/s forward"),
        ("gradient_steps", "{} gradient steps"),
        ("imagined_per_real_step", "{:.0f} imagined per real step"),
        ("deadline_misses", "{} deadline misses"),
        ("policy_version", "policy {}"),
        ("policy_age_s", "{:.0f} s old"),
    ):
        if status[name] is not None:
            parts.append(template.format(status[name]))
    return ", ".join(parts)


def summarise(status: Mapping[str, Any]) -> list[str]:
    """What a finished session has come to, a line each."""
    steps = status["env_steps"] or 0
    summary = [f"{steps} steps logged ({(status['robot_seconds'] or 0.0) / 60.0:.1f} robot minutes)"]
    if status["deadline_misses"] is not None:
        summary.append(f"{status['deadline_misses']} deadline misses, {status['safety_events']} safety events")
    if status["gradient_steps"] is not None:
        imagined = f", {status['imagined_per_real_step']:.0f} imagined steps per real one" * bool(steps)
        summary.append(f"{status['gradient_steps']} gradient steps{imagined}")
    if status["milestones_s"]:
        reached = (f"{name} after {seconds / 60.0:.1f}" for name, seconds in status["milestones_s"].items())
        summary.append(f"{', '.join(reached)} robot minutes")
    return summary


class ProgressLine:
    """Shows the newest line: in place on a terminal, otherwise printed every `PLAIN_PERIOD_S`. A context manager."""

    def __init__(self, console: Console):
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._next_s = 0.0

    def __enter__(self) -> ProgressLine:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def show(self, line: str) -> None:
        if self._live:
            self._live.update(Text(line), refresh=True)
        elif time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + PLAIN_PERIOD_S
            self._console.print(line, soft_wrap=True, highlight=False)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)
