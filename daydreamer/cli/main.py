"""The `daydreamer` command, put together in the order of its `--help`.

What a command needs is imported when it runs, so that `--help` comes at once.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer
import typer.core

import daydreamer
from daydreamer.cli.commands import bench, instrument, learned, learning, looking, robots, teaching
from daydreamer.errors import USER_ERROR_STATUS, UserError
from daydreamer.texts import PrintableFormatter, printable


class Commands(typer.core.TyperGroup):
    """A list of commands whose sentences are whole, where click cuts them off."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = [(name, command.get_short_help_str(limit=1000)) for name, command in commands.items() if command]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


app = typer.Typer(
    name="daydreamer",
    help="A robot learns on itself within an hour, in the world model that it learns meanwhile.",
    cls=Commands,
    no_args_is_help=True,
    # rich's tables cut off the names of settings and options at 80 columns.
    rich_markup_mode=None,
    context_settings={"max_content_width": 110},
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(daydreamer.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(learning.learn)
app.command()(learning.walk)
app.command()(learned.play)
app.command()(learned.evaluate)
app.command()(teaching.demonstrate)
app.command("import")(teaching.import_dataset)
app.command()(teaching.label)
app.command()(robots.robots)
app.command()(learning.resume)
app.command()(looking.status)
app.command()(looking.doctor)
app.command()(looking.watch)
app.command()(looking.report)
app.command()(looking.compare)
app.command()(instrument.rank)
app.command()(instrument.dream)
app.command()(instrument.wish)
app.command()(learned.export)
app.command()(learning.train)
app.command()(robots.fit)
app.command()(bench.bench)
app.command(context_settings=robots.PASSES_ROS_ARGUMENTS)(robots.check_robot)
app.command()(robots.check_contract)
app.command()(robots.new_robot)


def main() -> None:
    """Entry point. A mistake of the user's is one line on stderr and exit status 2."""
    log = logging.StreamHandler()
    log.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    try:
        app()
    except UserError as error:
        print(f"daydreamer: {printable(error)}", file=sys.stderr)
        sys.exit(USER_ERROR_STATUS)


if __name__ == "__main__":
    main()
