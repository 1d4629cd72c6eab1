"""`daydreamer compare`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from daydreamer.cli.out_file import written
from daydreamer.cli.report import require_report_extra
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.storage.atomic import write_anywhere


def compare(directories: Sequence[Path], out: Path, as_json: bool) -> None:
    """Draws sessions into one picture and prints their milestones side by side.

    Raises:
      UserError: they cannot be compared, the extra is not installed, or `out` cannot be written.
    """
    require_report_extra()
    from daydreamer.report import comparison, style

    if out.suffix.lower() != ".png":
        raise UserError(f"{out} would not be a PNG; choose a name that ends in .png.")
    sessions = comparison.read_sessions(directories)
    with written(out):
        write_anywhere(out, style.to_png(comparison.draw(sessions)))
    if as_json:
        print(json.dumps({"picture": str(out), **comparison.figures(sessions)}, indent=2))
        return
    heading, *rows = comparison.table(sessions)
    table = Table(*heading, box=None)
    for row in rows:
        table.add_row(*row)
    console = Terminal()
    console.print(table)
    console.print(f"The curves are in {out}.", soft_wrap=True, highlight=False, markup=False)
