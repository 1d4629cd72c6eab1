"""`daydreamer status`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.session.directory import Session
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.session_telemetry import TelemetryReader


def show_status(session_directory: Path, as_json: bool) -> None:
    """Prints the status of a session and what is wrong with it.

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
    table = Table(show_header=False, box=None)
    parent = session.record.parent
    for name, value in {**telemetry.status, "parent": parent.sentence if parent else None}.items():
        table.add_row(name, _describe(value))
    console = Terminal()
    console.print(table)
    console.print(*describe_advice(advice), sep="\n", soft_wrap=True, highlight=False)


def describe_advice(advice: Sequence[Advice]) -> list[Text]:
    """A paragraph for each, for a terminal."""
    if not advice:
        return [Text("Nothing is known to be wrong.", style="green")]
    styles = {"bad": "bold red", "warn": "bold yellow"}
    return [Text.assemble((each.title, styles[each.level]), f": {each.sentence}") for each in advice]


def _describe(value: Any) -> str:
    if value is None or value == {} or value == []:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_describe(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "\n".join(map(_describe, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
