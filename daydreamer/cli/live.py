"""What is seen of a robot that is driven live: a line in the terminal, and a page in the browser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from daydreamer.cli.terminal import Display, Terminal
from daydreamer.periodic import Schedule
from daydreamer.session.directory import Session
from daydreamer.viewer.titles import LiveTitles

if TYPE_CHECKING:
    from daydreamer.viewer.live import LiveView
    from daydreamer.viewer.server import ViewerServer

LINE_HZ, PLAIN_PERIOD_S = 5.0, 10.0
"""How often the line in a terminal changes, and the time between two lines where there is no terminal."""


class LiveLine(Display):
    """A line that is kept up to date in a terminal; where there is none, one now and then. A context manager."""

    def __init__(self, console: Terminal):
        super().__init__(console)
        self._schedule = Schedule(1.0 / LINE_HZ if self._live else PLAIN_PERIOD_S, at_once=True)

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._console.print(Text(sentence), soft_wrap=True)

    def show(self, line: Callable[[], str]) -> None:
        """How things are, if it is time to say so."""
        if not self._schedule.due():
            return
        if self._live:
            self._live.update(Text(line(), no_wrap=True, overflow="ellipsis"), refresh=True)
        else:
            self.say(line())


@contextlib.contextmanager
def live_page(
    session: Session,
    titles: LiveTitles,
    say: Callable[[str], None],
    address: str,
    port: int | None,
    open_browser: bool,
) -> Iterator[tuple[LiveView, ViewerServer]]:
    """What draws a robot of the session's kind, and who hands it out, inside the block.

    Args:
      say: called with lines for the operator, as where the page is.
      address, port, open_browser: see `daydreamer.viewer.process.show`.

    Raises:
      UserError: see there.
    """
    from daydreamer.viewer.process import serving

    with contextlib.ExitStack() as stack:
        serve = serving(address=address, port=port, open_browser=open_browser, say=say)
        server = stack.enter_context(serve)
        from daydreamer.viewer.live import LiveView  # once a missing Rerun has been named

        for url in server.urls:
            say(f"Dashboard: {url}")
        view = LiveView(session, titles)
        stack.callback(view.close)
        yield view, server
