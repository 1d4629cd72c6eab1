"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SessionArgument = Annotated[Path, typer.Argument(metavar="DIR", help="Session directory.")]
VersionOption = Annotated[
    str,
    typer.Option(
        metavar="best|newest|N",
        help="Which of its policies: 'best' is the newest of those whose reward, over a minute of what they chose "
        "themselves, is within one standard error of the highest, N a version.",
    ),
]
Sample = Annotated[
    bool, typer.Option("--sample", help="Act with the noise that it learned with, where otherwise the mean acts.")
]
RobotName = Annotated[str, typer.Argument(metavar="ROBOT", help="Who learns; 'daydreamer robots' lists them.")]
TaskName = Annotated[str | None, typer.Argument(metavar="[TASK]", help="What it learns; default: its usual task.")]
BodyOption = Annotated[
    str,
    typer.Option(
        metavar="twin|hardware",
        help="'twin': its simulation. 'hardware': start its driver first, or use ros2 launch, which does; the robot "
        "then waits for you: press r, then Y.",
    ),
]
NewSession = Annotated[
    Path | None, typer.Option("--session", metavar="DIR", help="New directory for everything; default sessions/TIME.")
]
NewDirectory = Annotated[Path, typer.Option(metavar="DIR", help="New session directory.")]
TwinFile = Annotated[
    Path | None,
    typer.Option("--twin", metavar="FILE", help="Rehearse on the twin that 'daydreamer fit' found, before --set."),
]
Dashboard = Annotated[bool, typer.Option(help="Show the session in a browser, on this machine only.")]
AddressOption = Annotated[
    str,
    typer.Option(
        help="Of the network interface to serve on; 0.0.0.0 for all. Other machines need the address that is printed, "
        "with its token, and are served by TLS."
    ),
]
PortOption = Annotated[
    int | None, typer.Option(min=0, max=65_535, help="Of the page; default: the first free one from 9090 on.")
]
BrowserOption = Annotated[bool, typer.Option(help="Open the page if there is a display.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Change a setting, as learner.train_ratio=100. The session.yaml of a session has all; may be repeated.",
    ),
]
