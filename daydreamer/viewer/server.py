"""The dashboard's server: one port for the page and its data, in a thread of its own, that only ever tells."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.resources
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from aiohttp import web

from daydreamer.errors import UserError
from daydreamer.viewer.access import (
    NO_TOKEN,
    Access,
    addresses_of_this_machine,
    is_loopback,
    names_of_this_machine,
)
from daydreamer.viewer.rerun_files import PROGRAM, SCRIPT, ViewerFiles

FIRST_PORT = 9090
FIRST_UNPRIVILEGED_PORT = 1024
TRIED_PORTS = 20
MOST_VIEWERS = 16
BACKLOG_BYTES = 8 << 20
"""Of additions that a viewer has not taken yet, some ten minutes of them; who is later has to begin anew."""
SILENCE_S = 20.0
"""After which a viewer is asked whether it is still there; it has half of that to answer."""
STOP_TIMEOUT_S = 5.0

EVERYWHERE = {"0.0.0.0": 4, "::": None}
"""Addresses that mean all network interfaces, and the version of IP that this is for."""

HEADERS = {
    # Nothing that runs in the page reaches anything but this server, whatever Rerun's viewer has in mind.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            "connect-src 'self'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
}
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
"""For what has its version in its address: browsers keep the compiled program with it."""

_CONTENT_TYPES = {SCRIPT: "text/javascript", PROGRAM: "application/wasm"}


class Viewer:
    """One browser that looks. It is told, and not listened to.

    Attributes:
      gone: its connection has ended.
      backlog: bytes of additions that it has not taken yet.
    """

    def __init__(self, socket_: web.WebSocketResponse, transport: asyncio.Transport):
        self.gone = False
        self._socket = socket_
        self._transport = transport
        self._waiting: asyncio.Queue[tuple[bytes | None, bool]] = asyncio.Queue()
        self.backlog = 0

    def give(self, piece: bytes) -> None:
        """Puts an addition in line; a viewer that takes too little loses its connection, and may come again."""
        self.backlog += len(piece)
        if self.backlog > BACKLOG_BYTES:
            self._transport.abort()
        else:
            self._waiting.put_nowait((piece, True))

    def give_past(self, pieces: Sequence[bytes]) -> None:
        """Puts these pieces in line, and the word that with them it has everything up to now."""
        for piece in pieces:
            self._waiting.put_nowait((piece, False))
        self._waiting.put_nowait((None, False))

    async def attend(self) -> None:
        """Until it is gone, or says anything at all."""
        sending = asyncio.create_task(self._send())
        try:
            await self._socket.receive()
        finally:
            self.gone = True
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, RuntimeError):
                await sending

    async def _send(self) -> None:
        while True:
            piece, is_addition = await self._waiting.get()
            if piece is None:
                await self._socket.send_str("complete")
                continue
            await self._socket.send_bytes(piece)
            if is_addition:
                self.backlog -= len(piece)


class ViewerServer:
    """Serves the page, Rerun's viewer, and by WebSocket the pieces of the recording.

    Attributes:
      port: where it listens.
    """

    def __init__(
        self,
        address: str,
        port: int | None,
        files: ViewerFiles,
        tls: ssl.SSLContext | None = None,
        on_page: Callable[[], None] = lambda: None,
    ):
        """Starts it.

        Args:
          address: of the network interface to listen on.
          port: None takes the first free one from `FIRST_PORT` on.
          tls: serves https.
          on_page: called, on the server's thread, when a browser asks for the page.

        Raises:
          UserError: the port is taken, or the address is not this machine's.
        """
        self._address = address
        self._files = files
        self._tls = tls
        self._on_page = on_page
        self._access = Access("https" if tls else "http", own_names(address))
        self._page = {
            name: importlib.resources.files(__package__).joinpath(name).read_text() for name in ("page.html", "page.js")
        }
        self._arrived = threading.Event()
        self._arrivals: list[Viewer] = []
        self._viewers: list[Viewer] = []
        self._connections = 0
        listener = _listen(address, port)
        self.port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0, handle_signals=False)
        self._loop.run_until_complete(self._start(listener))
        self._thread = threading.Thread(target=self._loop.run_forever, name="viewer-server", daemon=True)
        self._thread.start()

    @property
    def urls(self) -> list[str]:
        """What to open in a browser; of another machine, unless `is_local`: one for each address."""
        scheme = "https" if self._tls else "http"
        hosts = reachable_names(self._address)
        query = urlencode({"token": self._access.token})
        return [f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/?{query}" for host in hosts]

    def publish(self, piece: bytes) -> None:
        """Gives a piece to everybody who has been admitted."""
        self._loop.call_soon_threadsafe(self._publish, piece)

    def wait_for_arrival(self, timeout_s: float) -> None:
        """Returns when somebody wants to be admitted, or the time is over."""
        self._arrived.wait(timeout_s)

    def take_arrivals(self) -> list[Viewer]:
        """Those who wait to be admitted."""
        self._arrived.clear()
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def admit(self, viewers: Sequence[Viewer], pieces: Sequence[bytes]) -> None:
        """Gives these viewers the pieces, and whatever is published from now on."""
        self._loop.call_soon_threadsafe(self._admit, viewers, pieces)

    def give(self, viewers: Sequence[Viewer], piece: bytes) -> None:
        """Gives these viewers, who have been admitted, one more piece."""
        self._loop.call_soon_threadsafe(self._give, viewers, piece)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(STOP_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_TIMEOUT_S)

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=1024)
        program = f"/rerun-{self._files.version}"
        application.add_routes(
            [
                web.get("/", self._show_page),
                web.get("/page.js", self._show_page_script),
                web.get(f"{program}/{{name}}", self._show_viewer_file),
                web.get("/data", self._show_data),
            ]
        )
        return application

    async def _start(self, listener: socket.socket) -> None:
        await self._runner.setup()
        await web.SockSite(self._runner, listener, ssl_context=self._tls).start()

    @web.middleware
    async def _guard(self, request: web.Request, handler) -> web.StreamResponse:
        refusal = self._access.refusal(request.headers.getall("Host", []), request.headers.getall("Origin", []))
        if refusal is None and request.path in ("/", "/data") and not self._access.knows(request.query.get("token")):
            refusal = NO_TOKEN
        if refusal is not None:
            return web.Response(status=403, text=refusal + "\n", headers=HEADERS)
        return await handler(request)

    async def _show_page(self, request: web.Request) -> web.Response:
        self._on_page()
        text = self._page["page.html"].replace("RERUN_VERSION", self._files.version)
        return web.Response(text=text, content_type="text/html", headers=HEADERS | {"Cache-Control": "no-store"})

    async def _show_page_script(self, request: web.Request) -> web.Response:
        headers = HEADERS | {"Cache-Control": "no-cache"}
        return web.Response(text=self._page["page.js"], content_type="text/javascript", headers=headers)

    async def _show_viewer_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in _CONTENT_TYPES:
            raise web.HTTPNotFound
        headers = HEADERS | FOREVER | {"Content-Encoding": "gzip", "Content-Type": _CONTENT_TYPES[name]}
        return web.Response(body=self._files.compressed[name], headers=headers)

    async def _show_data(self, request: web.Request) -> web.StreamResponse:
        if self._connections >= MOST_VIEWERS:
            return web.Response(status=503, text=f"There are {MOST_VIEWERS} viewers already.\n", headers=HEADERS)
        # What a viewer says is not wanted; the least that can be said must not fill the memory.
        connection = web.WebSocketResponse(heartbeat=SILENCE_S, max_msg_size=1024, compress=False)
        await connection.prepare(request)
        viewer = Viewer(connection, request.transport)
        self._connections += 1
        self._arrivals.append(viewer)
        self._arrived.set()
        try:
            await viewer.attend()
        finally:
            self._connections -= 1
            if viewer in self._viewers:
                self._viewers.remove(viewer)
        return connection

    def _publish(self, piece: bytes) -> None:
        self._give(self._viewers, piece)

    def _give(self, viewers: Sequence[Viewer], piece: bytes) -> None:
        for viewer in viewers:
            if not viewer.gone:
                viewer.give(piece)

    def _admit(self, viewers: Sequence[Viewer], pieces: Sequence[bytes]) -> None:
        for viewer in viewers:
            if not viewer.gone:
                viewer.give_past(pieces)
                self._viewers.append(viewer)


def own_names(address: str) -> list[str]:
    """Names and addresses under which a server on this address may be asked, beside loopback."""
    if is_loopback(address):
        return []
    addresses = addresses_of_this_machine() if address in EVERYWHERE else [address]
    return addresses + names_of_this_machine()


def reachable_names(address: str) -> list[str]:
    """What others have to put into their address line to reach a server on this address."""
    if address not in EVERYWHERE:
        return [address]
    return addresses_of_this_machine(EVERYWHERE[address]) or names_of_this_machine()[:1]


def _listen(address: str, port: int | None) -> socket.socket:
    ports = range(FIRST_PORT, FIRST_PORT + TRIED_PORTS) if port is None else [port]
    for each in ports:
        try:
            family, *_, place = socket.getaddrinfo(address, each, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            return socket.create_server(place[:2], family=family, backlog=MOST_VIEWERS, dualstack_ipv6=address == "::")
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise UserError(
                    f"The dashboard cannot listen on {address} ({error.strerror}); give --address an address of this "
                    "machine, or leave it out."
                ) from error
    if port is None:
        raise UserError(f"Ports {ports[0]} to {ports[-1]} are all taken; stop another dashboard.")
    if port < FIRST_UNPRIVILEGED_PORT and os.geteuid() != 0:
        raise UserError(
            f"Port {port} is for root alone; choose one from {FIRST_UNPRIVILEGED_PORT} on, or leave it out."
        )
    raise UserError(f"Port {port} is taken; choose another --port, or leave it out to take a free one.")
