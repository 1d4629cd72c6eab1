"""`daydreamer doctor`."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import msgspec
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.session.directory import Session

_STYLES = {"sound": "green", "note": "yellow", "damaged": "red"}


def doctor(session_directory: Path, as_json: bool, repair: bool = False) -> int:
    """Prints what `examine` finds, after `repair` if asked to; returns the exit status, 1 if anything is damaged.

    Raises:
      UserError: there is no such session, or its `session.yaml` is damaged.
    """
    # A learner may be using the accelerator.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from daydreamer.doctor import close_logs, examine

    session = Session.open(session_directory)
    findings = []
    console = Terminal()
    for finding in itertools.chain(close_logs(session) if repair else (), examine(session)):
        findings.append(finding)
        if not as_json:
            mark = (f"{finding.state:7}", _STYLES[finding.state])
            console.print(Text.assemble(mark, f" {finding.part}: {finding.text} {finding.cure}"), soft_wrap=True)
    damaged = sum(finding.state == "damaged" for finding in findings)
    if as_json:
        values = {"path": str(session.path), "damaged": damaged, "findings": msgspec.to_builtins(findings)}
        print(json.dumps(values, indent=2))
    else:
        console.print(f"{damaged} damaged." if damaged else "Nothing is damaged.")
    return 1 if damaged else 0
