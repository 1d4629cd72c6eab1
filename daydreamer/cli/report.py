"""`daydreamer report`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.session.directory import Session


def report(session_directory: Path) -> None:
    """Writes the report of a session and prints what it concludes.

    Raises:
      UserError: there is no such session, the extra is not installed, or the report cannot be written.
    """
    require_report_extra()
    from daydreamer.report.page import write_report

    session = Session.open(session_directory)
    try:
        path, verdict = write_report(session)
    except OSError as error:
        raise UserError(
            f"{session.report} cannot be written ({error.strerror}); free some space or copy the session."
        ) from error
    console = Terminal()
    for sentence in (*verdict.learned, *verdict.wrong, *verdict.advice):
        console.print(sentence, soft_wrap=True, highlight=False, markup=False)
    console.print(f"\nOpen {path} in a browser.", soft_wrap=True, highlight=False, markup=False)


def require_report_extra() -> None:
    """Raises UserError without the libraries that draw."""
    missing = [name for name in ("matplotlib", "jinja2", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"Reports need {' and '.join(missing)}; install them with: pip install 'daydreamer[report]'.")
