"""`daydreamer doctor`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
from rich.console import Console

from daydreamer.session.directory import Session

_MARKS = {"sound": "[green]sound  [/]", "note": "[yellow]note   [/]", "damaged": "[red]damaged[/]"}


def doctor(session_directory: Path, as_json: bool) -> int:
    """Prints what `examine` finds; returns the exit status, 1 if anything is damaged.

    Raises:
      UserError: there is no such session, or its `session.yaml` is damaged.
    """
    # A learner may be using the accelerator.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from daydreamer.doctor import examine

    session = Session.open(session_directory)
    findings = []
    console = Console()
    for finding in examine(session):
        findings.append(finding)
        if not as_json:
            console.print(f"{_MARKS[finding.state]} {finding.part}: ", end="")
            console.print(finding.text, finding.cure, highlight=False, markup=False, soft_wrap=True)
    damaged = sum(finding.state == "damaged" for finding in findings)
    if as_json:
        values = {"path": str(session.path), "damaged": damaged, "findings": msgspec.to_builtins(findings)}
        print(json.dumps(values, indent=2))
    else:
        console.print(f"{damaged} damaged." if damaged else "Nothing is damaged.", highlight=False)
    return 1 if damaged else 0
