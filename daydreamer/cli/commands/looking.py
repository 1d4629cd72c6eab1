"""A session is looked at: how it does, and how it has done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daydreamer.cli.commands.options import AddressOption, BrowserOption, Json, PortOption, SessionArgument


def status(
    session: SessionArgument,
    json: Json = False,
) -> None:
    """Show what a session is doing, what is wrong with it, and what to do about it."""
    from daydreamer.cli.status import show_status

    show_status(session, json)


def doctor(
    session: SessionArgument,
    json: Json = False,
    repair: Annotated[
        bool,
        typer.Option(help="Close the logs of actors that were killed, for other MCAP readers; nothing may be running."),
    ] = False,
) -> None:
    """Verify what a session has on disk: what is there, what is damaged, what to do. Changes nothing unless told."""
    from daydreamer.cli.doctor import doctor

    raise typer.Exit(doctor(session, json, repair))


def watch(
    session: SessionArgument,
    address: AddressOption = "127.0.0.1",
    port: PortOption = None,
    browser: BrowserOption = True,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file for TLS; default: one that is made here, whose fingerprint is printed."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with its key, if it is not in the same file.")] = None,
) -> None:
    """Show a running or finished session in a browser."""
    from daydreamer.cli.dashboard import watch

    watch(session, address, port, browser, certificate, key)


def report(session: SessionArgument) -> None:
    """Tell a session's story in DIR/report: one page with pictures, and a verdict in words."""
    from daydreamer.cli.report import report

    report(session)


def compare(
    sessions: Annotated[list[Path], typer.Argument(metavar="DIR DIR ...", help="Session directories.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG to write.")] = Path("comparison.png"),
    json: Json = False,
) -> None:
    """Draw sessions of one robot and task into one picture, and set their milestones side by side."""
    from daydreamer.cli.compare import compare

    compare(sessions, out, as_json=json)
