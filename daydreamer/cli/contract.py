"""`daydreamer check-contract`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.compilation import keep_compilations, quick_compilation
from daydreamer.robots.checks import Verdict
from daydreamer.robots.registry import find_robot
from daydreamer.texts import printable

COLOURS = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAIL: "bold red"}


def check_contract(name: str, task: str | None) -> int:
    """Examines a robot and prints what was found; the exit status is 1 if something failed.

    Raises:
      UserError: there is no such robot or task.
    """
    robot = find_robot(name)
    task = task or robot.usual_task
    robot.task(task)
    with quick_compilation(), tempfile.TemporaryDirectory(prefix="daydreamer-contract-") as directory:
        from daydreamer.conformance import examine, failures

        keep_compilations()
        checks = examine(robot, task, Path(directory))
    table = Table("check", "verdict", "what was found", title=f"'{robot.name}' doing '{task}'")
    for check in checks:
        # As plain text: a robot's folder may be anybody's.
        detail = Text(printable(check.detail))
        table.add_row(Text(check.name), Text(check.verdict, COLOURS[check.verdict]), detail)
    console = Terminal()
    console.print(table)
    failed = len(failures(checks))
    console.print(f"{failed} failed." if failed else "Nothing failed.")
    return 1 if failed else 0
