"""The terminal of an operator, for texts that may be a stranger's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from daydreamer.texts import printable


class Terminal(Console):
    """A console on which no text is obeyed: neither rich's markup in it nor what a terminal takes for a command.

    Style comes with `rich.text.Text` alone.
    """

    def __init__(self, **options: Any):
        super().__init__(**({"markup": False, "emoji": False, "highlight": False} | options))

    def render_str(self, text: str, **options: Any) -> Text:
        # Before it is laid out: what is shown takes more room.
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As of `Console`; all that is printed passes here."""
        for segment in super().render(renderable, options):
            # What moves the cursor in a live view is rich's own.
            yield segment if segment.control else segment._replace(text=printable(segment.text))


class Display:
    """What is kept up to date in a terminal and is gone in the end; elsewhere nothing is. A context manager."""

    def __init__(self, console: Console):
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()
