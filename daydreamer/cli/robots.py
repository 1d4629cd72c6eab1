"""`daydreamer robots`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.robots.registry import Found, Robot, discover
from daydreamer.texts import printable_line

LONGEST = 500
"""Characters of a sentence of a robot's folder, which may be anybody's."""


def list_robots(as_json: bool) -> None:
    """Prints every robot that is found, and why one cannot be used."""
    found = discover()
    if as_json:
        print(json.dumps({name: _describe(each) for name, each in found.items()}, indent=2))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    problems = []
    for name, each in found.items():
        if each.robot is None:
            problems.append(f"{name} cannot be used: {each.problem}.")
            continue
        table.add_row(
            Text(printable_line(name), style="bold"), Text(printable_line(each.robot.summary, LONGEST), style="bold")
        )
        for told, words in _told(each.robot, each.provider):
            table.add_row(Text(f"  {printable_line(told)}"), Text(printable_line(words, LONGEST)))
        table.add_row()
    console = Terminal()
    console.print(table)
    for problem in problems:
        console.print(Text(printable_line(problem, LONGEST), style="bold red"), soft_wrap=True)
    console.print("Rehearse one with 'daydreamer learn ROBOT'; a robot of your own: docs/new_robot.md.", soft_wrap=True)


def _told(robot: Robot, provider: str) -> Iterator[tuple[str, str]]:
    """What each row of a robot is of, and says."""
    for task, entry in robot.tasks.items():
        yield task, entry.summary
    yield "twin", "yes" if robot.twin else "no"
    yield "driver", ", ".join(robot.interfaces) or "its own topics"
    yield "tried on", robot.tried
    yield "from", provider


def _describe(found: Found) -> dict[str, object]:
    if found.robot is None:
        return {"problem": found.problem, "from": found.provider}
    robot = found.robot
    return {
        "summary": robot.summary,
        "tasks": {name: entry.summary for name, entry in robot.tasks.items()},
        "twin": robot.twin is not None,
        "interfaces": list(robot.interfaces),
        "tried": robot.tried,
        "from": found.provider,
    }
