"""`daydreamer status`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from daydreamer.session.directory import Session
from daydreamer.session.status import read_status


def show_status(session_directory: Path, as_json: bool) -> None:
    """Prints the status of a session.

    Raises:
      UserError: there is no such session.
    """
    status = read_status(Session.open(session_directory))
    if as_json:
        print(json.dumps(status, indent=2))
        return
    table = Table(show_header=False, box=None)
    for name, value in status.items():
        table.add_row(name, _describe(value))
    Console().print(table)


def _describe(value: Any) -> str:
    if value is None or value == {} or value == []:
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_describe(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "\n".join(map(_describe, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
