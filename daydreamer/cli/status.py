"""`daydreamer status`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from daydreamer.cli.progress import STYLES, why_not_running
from daydreamer.cli.terminal import Terminal
from daydreamer.session.directory import Session
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.health import STATE_LEVELS, Reading, read_health, robot_state
from daydreamer.telemetry.session_telemetry import TelemetryReader
from daydreamer.texts import counted


def show_status(session_directory: Path, as_json: bool) -> None:
    """Prints what a session is doing, what is wrong with it, how to go on, and its figures; as JSON all that is known.

    Raises:
      UserError: there is no such session.
    """
    session = Session.open(session_directory)
    telemetry = TelemetryReader(session).read()
    advice = judge(telemetry)
    if as_json:
        print(
            json.dumps(
                {
                    **telemetry.status,
                    "advice": [msgspec.to_builtins(each) | {"sentence": each.sentence} for each in advice],
                },
                indent=2,
            )
        )
        return
    console = Terminal()
    status = telemetry.status
    told = [
        _headline(session, status),
        *_sentences(session, status),
        *describe_advice(advice),
        *_go_on(session, status),
    ]
    console.print(*told, sep="\n", soft_wrap=True, highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for reading in _readings(session, status):
        table.add_row(Text(reading.name, style="dim"), Text(reading.value, style=STYLES[reading.level]))
    console.print()
    console.print(table)


def describe_advice(advice: Sequence[Advice]) -> list[Text]:
    """A paragraph for each, for a terminal."""
    if not advice:
        return [Text("Nothing is known to be wrong.", style="green")]
    styles = {"bad": "bold red", "warn": "bold yellow"}
    return [Text.assemble((each.title, styles[each.level]), f": {each.sentence}") for each in advice]


def _headline(session: Session, status: Mapping[str, Any]) -> Text:
    """Who does what where, and how it is going."""
    spec, body = session.spec, session.config.body
    where = "from logs" if session.is_offline else "in its twin" if body == "twin" else "on hardware"
    does = "learns" if session.learns else " ".join(session.driven_by or ())
    task = spec.task if session.learns else f"({spec.task})"
    state = robot_state(status) if status["state"] == "running" and not session.is_offline else status["state"]
    style = f"reverse {STYLES[STATE_LEVELS.get(state, 'warn')]}"
    return Text.assemble(
        (f"{spec.robot} {does} {task} {where} ", "bold"), (f" {state.replace('_', ' ').upper()} ", style)
    )


def _sentences(session: Session, status: Mapping[str, Any]) -> Iterator[str]:
    yield f"Session: {session.path}"
    record = session.record
    if record.parent:
        yield f"Began with {record.parent.sentence}."
    yield from (f"Learns from {each.sentence}." for each in record.demonstrations)
    yield from (f"Learns from {each.sentence}." for each in record.logs)
    if not session.is_offline:
        steps, episodes = counted(status["env_steps"] or 0, "step"), counted(status["episodes"] or 0, "episode")
        yield f"{_minutes(status):.1f} of {session.config.minutes:g} robot minutes, {steps}, {episodes} done."
    if status["state"] == "running" and (why := why_not_running(status)):
        yield f"{why[0].upper()}{why[1:]}."


def _go_on(session: Session, status: Mapping[str, Any]) -> Iterator[str]:
    """Names the command that goes on with the session, if nobody is at it."""
    begun = status["env_steps"] or status["problems"] or session.is_offline
    if status["state"] != "running" and session.learns and begun:
        complete = _minutes(status) >= session.config.minutes and not session.is_offline
        yield f"Go on with: {session.resume_command(10 if complete else None)}"


def _minutes(status: Mapping[str, Any]) -> float:
    return (status["robot_seconds"] or 0.0) / 60.0


def _readings(session: Session, status: Mapping[str, Any]) -> Iterator[Reading]:
    """All figures that are known."""
    if status["reward_recent"] is not None:
        yield Reading("reward", f"{status['reward_recent']:.2f} a step, of late")
    recent = status["figures_recent"]
    for figure in session.presentation.figures:
        if figure.quantity in recent:
            yield Reading(figure.name, figure.amount(recent[figure.quantity]))
    for name in session.presentation.milestone_names:
        reached_s = status["milestones_s"].get(name)
        reached = f"after {(reached_s or 0.0) / 60.0:.1f} robot minutes"
        yield Reading(name, "not yet" if reached_s is None else reached, "none" if reached_s is None else "good")
    yield from (each for each in read_health(status, session) if not each.value.startswith("-"))
    for name, counts in (("safety", status["safety_counts"]), ("watchdog trips", status["watchdog_trips"])):
        if counts:
            yield Reading(name, ", ".join(f"{each.replace('_', ' ')} {count}" for each, count in counts.items()))
    if status["camera"]:
        yield Reading("camera", status["camera"])
    if status["plans"] is not None:
        yield Reading("plans", f"{status['plans']}, {status['plans_late'] or 0} steps without one in time")
    if status["intervention_steps"]:
        yield Reading("steps chosen by an operator", str(status["intervention_steps"]))
    for role, process in status["processes"].items():
        yield Reading(role, process["state"], STATE_LEVELS.get(process["state"], "none"))
