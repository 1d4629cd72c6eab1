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
from daydreamer.session.status import LearnerStatus, ProcessStatus
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.session_telemetry import TelemetryReader

OF_LEARNING = {
    *(field for field in LearnerStatus.__struct_fields__ if field not in ProcessStatus.__struct_fields__),
    *("imagined_per_real_step", "policy_age_s", "learner_silence_s", "learner_starting", "stuck_s"),
}
"""What is not shown of a session in which nobody learns."""


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
    left_out = set() if session.learns else OF_LEARNING
    left_out = left_out if session.plays else left_out | {"plays"}
    record = session.record
    of_others = {
        "parent": record.parent.sentence if record.parent else None,
        "demonstrations": [each.sentence for each in record.demonstrations],
        "logs": [each.sentence for each in record.logs],
    }
    for name, value in {**telemetry.status, **of_others}.items():
        if name not in left_out:
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
