"""Shows an operator how a session is doing: a compact live view on a terminal, plain lines otherwise."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Display
from daydreamer.periodic import Schedule
from daydreamer.presentation import Presentation
from daydreamer.session.directory import Session
from daydreamer.telemetry.health import STATE_LEVELS, Reading, actor_state, read_health, robot_state
from daydreamer.texts import counted

PLAIN_PERIOD_S = 10.0
LIVE_WIDTH = 100
HISTORY_PERIOD_S = 10.0
HISTORY_POINTS = 60
STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "none": "default"}
_BARS = "▁▂▃▄▅▆▇█"


def describe(status: Mapping[str, Any], session: Session, total_minutes: float) -> str:
    """One line of figures from `read_status`; what is not known yet is left out."""
    minutes = (status["robot_seconds"] or 0.0) / 60.0
    parts = [f"{minutes:.1f} of {total_minutes:g} robot minutes"]
    if session.driven_by:
        parts.append(" ".join(session.driven_by))
    if why := why_not_running(status):
        parts.append(why)
    if status["reward_recent"] is not None:
        parts.append(f"reward {status['reward_recent']:.2f}")
    parts += _describe_figures(status, session.presentation)
    for name, template in (
        ("gradient_steps", "{} gradient steps"),
        ("imagined_per_real_step", "{:.0f} imagined per real step"),
        ("deadline_misses", "{} deadline misses"),
        *([] if session.driven_by else [("policy_version", "policy {}"), ("policy_age_s", "{:.0f} s old")]),
    ):
        if status[name] is not None:
            parts.append(template.format(status[name]))
    return ", ".join(parts)


def _describe_figures(status: Mapping[str, Any], presentation: Presentation) -> list[str]:
    """Recent means of the headline figures, as '+0.30 m/s forward'; those that are not known are left out."""
    recent = status["figures_recent"]
    return [
        f"{figure.number(recent[figure.quantity])} {figure.label}"
        for figure in presentation.figures
        if figure.quantity in recent
    ]


def why_not_running(status: Mapping[str, Any]) -> str:
    """What the safety supervisor has against it, or that nobody controls the robot, and what the actor has to say."""
    process = actor_state(status)
    if process in ("starting", "stopped"):
        return "the actor is not running"
    notices = status["notices"]
    if process == "waiting" and status["safety_state"] in (None, "stopped"):
        return "; ".join(notices) or "waiting for the robot"
    reasons = [f"{name.replace('_', ' ')}!" for name in status["watchdogs_raised"]]
    if status["learner_starting"]:
        reasons.append("learner starting")
    if status["safety_state"] not in (None, "running"):
        cause = f" ({status['safety_cause']})" if status["safety_cause"] else ""
        reasons.insert(0, f"{status['safety_state'].replace('_', ' ').upper()}{cause}")
    return "; ".join([", ".join(reasons), *notices]) if reasons else "; ".join(notices)


def summarise(status: Mapping[str, Any]) -> list[str]:
    """What a finished session has come to, a line each."""
    steps = status["env_steps"] or 0
    summary = [f"{counted(steps, 'step')} logged ({(status['robot_seconds'] or 0.0) / 60.0:.1f} robot minutes)"]
    if status["deadline_misses"] is not None:
        misses = counted(status["deadline_misses"], "deadline miss", "deadline misses")
        summary.append(f"{misses}, {counted(status['safety_events'] or 0, 'safety event')}")
    if status["gradient_steps"] is not None:
        per_step = status["imagined_per_real_step"]
        imagined = "" if per_step is None else f", {per_step:.0f} imagined steps per real one"
        summary.append(f"{counted(status['gradient_steps'], 'gradient step')}{imagined}")
    if status["milestones_s"]:
        reached = (f"{name} after {seconds / 60.0:.1f}" for name, seconds in status["milestones_s"].items())
        summary.append(f"{', '.join(reached)} robot minutes")
    return summary


def sparkline(values: collections.deque[float] | list[float], low: float, high: float) -> str:
    """One character for each value, as high as it lies between `low` and `high`."""
    span = max(high - low, 1e-9)
    return "".join(_BARS[min(len(_BARS) - 1, max(0, int((value - low) / span * len(_BARS))))] for value in values)


class LiveView:
    """What is shown on a terminal: the newest status and the reward so far."""

    def __init__(self, session: Session, total_minutes: float):
        self._session = session
        self._total_minutes = total_minutes
        self._rewards: collections.deque[float] = collections.deque(maxlen=HISTORY_POINTS)
        self._history = Schedule(HISTORY_PERIOD_S, at_once=True)

    def render(self, status: Mapping[str, Any], dashboard: str | None) -> Panel:
        """The view of this moment; `dashboard` is where the other one is."""
        if status["reward_recent"] is not None and self._history.due():
            self._rewards.append(status["reward_recent"])
        readings = read_health(status, self._session)
        rows = [self._clock(status), self._learning(status), self._health(readings)]
        if why := why_not_running(status):
            rows.append(Text(why, style="yellow", overflow="fold"))
        if any(reading.level == "bad" for reading in readings):
            hint = f"'daydreamer status {self._session.path}' says what is wrong and what to do."
            rows.append(Text(hint, style="bold red", overflow="fold"))
        return Panel(Group(*rows), title="daydreamer", subtitle=dashboard, width=LIVE_WIDTH)

    def _clock(self, status: Mapping[str, Any]) -> Table:
        seconds = status["robot_seconds"] or 0.0
        state = robot_state(status)
        row = Table.grid(padding=(0, 2))
        row.add_row(
            Text(f"{int(seconds // 60)}:{int(seconds % 60):02d} of {self._total_minutes:g} min", style="bold"),
            ProgressBar(total=60.0 * self._total_minutes, completed=seconds, width=40),
            Text(f" {state.replace('_', ' ').upper()} ", style=f"reverse {STYLES[STATE_LEVELS.get(state, 'warn')]}"),
        )
        return row

    def _learning(self, status: Mapping[str, Any]) -> Text:
        line = Text()
        if status["reward_recent"] is not None:
            line.append(f"reward {status['reward_recent']:.2f} ", style="bold")
            line.append(sparkline(self._rewards, min(self._rewards), max(self._rewards)), style="cyan")
        for figure in _describe_figures(status, self._session.presentation):
            line.append(f"  {figure}")
        line.append("\n")
        for name in self._session.presentation.milestone_names:
            reached_s = (status["milestones_s"] or {}).get(name)
            when = "" if reached_s is None else f" {reached_s / 60.0:.1f} min"
            line.append(f"{'●' if when else '○'} {name}{when}   ", style="green" if when else "dim")
        return line

    def _health(self, readings: list[Reading]) -> Table:
        table = Table.grid(padding=(0, 2))
        known = [reading for reading in readings if reading.value != "-"]
        half = (len(known) + 1) // 2
        for left, right in zip(known[:half], [*known[half:], Reading("", "")], strict=False):
            table.add_row(
                Text(left.name, style="dim"),
                Text(left.value, style=STYLES[left.level]),
                Text(right.name, style="dim"),
                Text(right.value, style=STYLES[right.level]),
            )
        return table


class ProgressView(Display):
    """Keeps the live view up to date, or prints a line every `PLAIN_PERIOD_S`. A context manager."""

    def __init__(self, console: Console, session: Session, total_minutes: float):
        super().__init__(console)
        self._session = session
        self._total_minutes = total_minutes
        self._view = LiveView(session, total_minutes)
        self._plain = Schedule(PLAIN_PERIOD_S, at_once=True)
        self._dashboard: str | None = None

    def show(self, status: Mapping[str, Any], dashboard: str | None = None, wrong: Sequence[str] = ()) -> None:
        """The state of things, from `read_status`, where the dashboard is if there is one, and what is wrong."""
        if self._live:
            self._live.update(self._view.render(status, dashboard), refresh=True)
            return
        if dashboard != self._dashboard and dashboard is not None:
            self.say(f"Dashboard: {dashboard}")
        self._dashboard = dashboard
        line = describe(status, self._session, self._total_minutes)
        self._print_now_and_then(f"{line}; wrong: {', '.join(wrong)}" if wrong else line)

    def show_line(self, line: str) -> None:
        """What is being done now."""
        if self._live:
            self._live.update(Text(line), refresh=True)
        else:
            self._print_now_and_then(line)

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _print_now_and_then(self, line: str) -> None:
        if self._plain.due():
            self.say(line)
