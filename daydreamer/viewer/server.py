"""Rerun's server, which hands the recording to browsers: a process of its own, on this machine only unless asked."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib.util
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from daydreamer.errors import UserError

LOOPBACK = "127.0.0.1"
WEB_PORT = 9090
GRPC_PORT = 9876
TRIED_PORTS = 20
MEMORY_LIMIT = "1GiB"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 5.0

_PR_SET_PDEATHSIG = 1


class ViewerServer:
    """Serves the page and the data.

    Not by Rerun's Python functions, which listen on all network interfaces whatever one does; its command line can be
    told an address.

    Attributes:
      web_port, grpc_port: where it listens.
    """

    def __init__(self, address: str, web_port: int | None, settings: Path):
        """Starts it.

        Args:
          address: of the network interface to listen on.
          web_port: of the page; None takes the first free one from `WEB_PORT` on.
          settings: directory for Rerun's own.

        Raises:
          UserError: Rerun is not installed, the port is taken, or the address is not this machine's.
        """
        self._address = address
        self.web_port = find_port(address, WEB_PORT) if web_port is None else require_port(address, web_port)
        self.grpc_port = find_port(address, GRPC_PORT, {self.web_port})
        # Newest first: whoever opens the page late sees the present while the past is still arriving.
        command = [str(_executable()), "--serve-web", "--bind", address, "--newest-first"]
        command += ["--server-memory-limit", MEMORY_LIMIT]
        command += ["--port", str(self.grpc_port), "--web-viewer-port", str(self.web_port)]
        if not self.is_local:
            # The page comes from another port than the data, which browsers allow only if the data's server agrees.
            command += ["--cors-allow-origin", f"http://*:{self.web_port}"]
        self._process = subprocess.Popen(
            command,
            env=os.environ | {"XDG_CONFIG_HOME": str(_write_settings(settings)), "RUST_LOG": "warn", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
            process_group=0,
        )
        self._wait_until_listening()

    @property
    def is_local(self) -> bool:
        """Nobody else in the network can look."""
        return self._address.startswith("127.") or self._address in ("localhost", "::1")

    @property
    def grpc_url(self) -> str:
        """Where this machine sends its data."""
        return _grpc_url(LOOPBACK if self._address in ("0.0.0.0", "::") else self._address, self.grpc_port)

    @property
    def page_url(self) -> str:
        """What to open in a browser."""
        host = socket.gethostname() if self._address in ("0.0.0.0", "::") else self._address
        data = quote(_grpc_url(host, self.grpc_port), safe="")
        return f"http://{host}:{self.web_port}/?url={data}&hide_welcome_screen=true&theme=dark"

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self._process.kill()

    def _wait_until_listening(self) -> None:
        end_s = time.monotonic() + START_TIMEOUT_S
        host = LOOPBACK if self._address in ("0.0.0.0", "::") else self._address
        while time.monotonic() < end_s and self.running:
            with contextlib.suppress(OSError), socket.create_connection((host, self.grpc_port), timeout=1.0):
                return
            time.sleep(0.1)
        self.stop()
        raise UserError(f"Rerun's server did not start on {self._address}; what it said is above.")


def find_port(address: str, first: int, taken: frozenset[int] | set[int] = frozenset()) -> int:
    """The first free port from `first` on.

    Raises:
      UserError: there is none among the next `TRIED_PORTS`, or the address is not this machine's.
    """
    for port in range(first, first + TRIED_PORTS):
        if port not in taken and _is_free(address, port):
            return port
    raise UserError(f"Ports {first} to {first + TRIED_PORTS - 1} are all taken; stop another dashboard.")


def require_port(address: str, port: int) -> int:
    """The port itself.

    Raises:
      UserError: it is taken.
    """
    if not _is_free(address, port):
        raise UserError(f"Port {port} is taken; choose another --port, or leave it out to take a free one.")
    return port


def _is_free(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # What a server that ended has left behind does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:
            return False
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UserError(
                    f"The dashboard cannot listen on {address} ({error.strerror}); give --address an address of this "
                    "machine, or leave it out."
                ) from error
            return False
    return True


def _grpc_url(host: str, port: int) -> str:
    return f"rerun+http://{host}:{port}/proxy"


def _executable() -> Path:
    package = importlib.util.find_spec("rerun_cli")
    if package is None or package.origin is None:
        raise UserError("The dashboard needs Rerun; install it with pip install 'daydreamer[viewer]'.")
    return Path(package.origin).parent / "rerun"


def _write_settings(directory: Path) -> Path:
    """Rerun sends usage data to its makers unless its settings say no; a robot's dashboard says no."""
    path = directory / "rerun" / "analytics.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"analytics_enabled": False, "analytics_id": "", "metadata": {}}
    paths = {"config_file_path": str(path), "data_dir_path": str(path.parent)}
    path.write_text(json.dumps(values | paths))
    return directory


def _end_with_parent() -> None:
    """In the child, before it becomes Rerun: it must not outlive a dashboard that was killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
