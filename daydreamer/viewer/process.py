"""The dashboard as a process: `python -m daydreamer.viewer.process --session DIR`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from daydreamer.scheduling import look_on
from daydreamer.session.dashboard import announce_dashboard, note_page_opened
from daydreamer.session.directory import Session
from daydreamer.stop_request import StopRequest, run_process
from daydreamer.viewer.access import is_loopback
from daydreamer.viewer.rerun_files import LOOPBACK, viewer_files
from daydreamer.viewer.server import ViewerServer, own_names

RECORDING = "dashboard.rrd"


def show(
    session: Session,
    stop: StopRequest,
    *,
    minutes: float | None = None,
    address: str = LOOPBACK,
    port: int | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    save: bool = False,
    open_browser: bool = True,
) -> None:
    """Serves the dashboard of a session until it is told to stop.

    Args:
      minutes: robot time that the session is to have; None as configured.
      address, port: see `ViewerServer`. Other machines are served by TLS only.
      certificate, key: PEM files for that; None makes a certificate that nobody vouches for.
      save: also keep the recording in the session, and tell other processes where the page is.
      open_browser: if there is a display.

    Raises:
      UserError: see `ViewerServer`, `viewer_files` and `tls_context`; or with `save`, another process keeps the
        recording.
    """
    with contextlib.ExitStack() as stack:
        if save:
            stack.enter_context(session.lock("dashboard"))
        server = stack.enter_context(
            serving(
                address=address,
                port=port,
                certificate=certificate,
                key=key,
                open_browser=open_browser,
                say=lambda line: print(line, flush=True),
                on_page=lambda: note_page_opened(session) if save else None,
            )
        )
        if not save:  # otherwise whoever started this reads the address; a log would show it to others
            for url in server.urls:
                print(f"Dashboard: {url}", flush=True)
        # Imported here, so that a missing Rerun has been named by then.
        from daydreamer.viewer.dashboard import Dashboard

        recording = session.path / RECORDING if save else None
        dashboard = Dashboard(session, minutes or session.config.minutes, recording)
        stack.callback(dashboard.close)
        if save:
            stack.enter_context(announce_dashboard(session, server.urls[0]))
        dashboard.run(stop, server)


@contextlib.contextmanager
def serving(
    *,
    address: str,
    port: int | None,
    certificate: Path | None = None,
    key: Path | None = None,
    open_browser: bool,
    say: Callable[[str], None],
    on_page: Callable[[], None] = lambda: None,
) -> Iterator[ViewerServer]:
    """A server inside the block.

    Args:
      say: called with lines for the operator: who may look.
      on_page: called, on a thread, when a browser asks for the page.
      The others: see `show`.

    Raises:
      UserError: see `show`.
    """
    with contextlib.ExitStack() as stack:
        files = viewer_files()
        tls = None
        if certificate is not None or not is_loopback(address):
            from daydreamer.viewer.certificate import fingerprint, own_certificate, tls_context

            if certificate is None:
                spare = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daydreamer-")))
                certificate = own_certificate(own_names(address), spare)
            tls = tls_context(certificate, key)
        server = ViewerServer(address, port, files, tls, on_page)
        stack.callback(server.stop)
        if tls is not None:
            say(f"Certificate (SHA-256): {fingerprint(certificate)}")
        if not is_loopback(address):
            say("Whoever has this address can look; nobody can change anything.")
        if open_browser and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            webbrowser.open(server.urls[0])
        yield server


def main(arguments: Sequence[str], stop: StopRequest) -> None:
    look_on()
    parser = argparse.ArgumentParser(prog="dashboard", description=__doc__)
    parser.add_argument("--session", type=Path, required=True, metavar="DIR", help="session directory")
    parser.add_argument("--minutes", type=float, help="robot time that the session is to have")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    show(Session.open(options.session), stop, minutes=options.minutes, save=True)


if __name__ == "__main__":
    sys.exit(run_process(main))
