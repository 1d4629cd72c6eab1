"""`daydreamer robots`."""

from __future__ import annotations

import json

from rich.table import Table
from rich.text import Text

from daydreamer.cli.terminal import Terminal
from daydreamer.robots.registry import Found, discover
from daydreamer.texts import printable_line


def list_robots(as_json: bool) -> None:
    """Prints every robot that is found, and why one cannot be used."""
    found = discover()
    if as_json:
        print(json.dumps({name: _describe(each) for name, each in found.items()}, indent=2))
        return
    table = Table("robot", "tasks", "twin", "driver", "tried on", "from")
    problems = []
    for name, each in found.items():
        if each.robot is None:
            problems.append(f"{name} cannot be used: {each.problem}.")
            continue
        robot = each.robot
        tasks = "\n".join(f"{task}: {entry.summary}" for task, entry in robot.tasks.items())
        drivers = ", ".join(robot.interfaces) or "its own topics"
        row = (f"{name}\n{robot.summary}", tasks, "yes" if robot.twin else "no", drivers, robot.tried, each.provider)
        # As plain text: a robot's folder may be anybody's.
        table.add_row(*(Text("\n".join(map(printable_line, cell.split("\n")))) for cell in row))
    console = Terminal()
    console.print(table)
    for problem in problems:
        console.print(Text(printable_line(problem), style="bold red"), soft_wrap=True)
    console.print("Rehearse one with 'daydreamer learn ROBOT'; a robot of your own: docs/new_robot.md.", soft_wrap=True)


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
