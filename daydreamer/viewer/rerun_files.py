"""Rerun's viewer for browsers, taken out of the program that Rerun installs, which has it inside."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import gzip
import importlib.metadata
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from daydreamer.errors import UserError
from daydreamer.storage.atomic import write_anywhere

SCRIPT = "re_viewer.js"
PROGRAM = "re_viewer_bg.wasm"
LOOPBACK = "127.0.0.1"
TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
COMPRESSION = 6
"""A quarter of the size; more takes long and gains little."""

_PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class ViewerFiles:
    """Attributes:
    version: of Rerun.
    compressed: content by name, gzipped.
    """

    version: str
    compressed: dict[str, bytes]


def viewer_files() -> ViewerFiles:
    """The viewer, from the cache of an earlier call if there is one.

    Raises:
      UserError: Rerun is not installed, or does not hand it out.
    """
    rerun = executable()
    version = importlib.metadata.version("rerun-sdk")
    cache = _cache_directory()
    # The size too: a program that was built from source may have the version of a release.
    folder = cache / f"rerun-{version}-{rerun.stat().st_size}" if cache else None
    if folder is not None:
        with contextlib.suppress(OSError):
            return ViewerFiles(version, {name: (folder / f"{name}.gz").read_bytes() for name in (SCRIPT, PROGRAM)})
    content = {name: gzip.compress(each, COMPRESSION, mtime=0) for name, each in _ask(rerun, (SCRIPT, PROGRAM)).items()}
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name, each in content.items():
                write_anywhere(folder / f"{name}.gz", each)
        except OSError as error:
            logging.info("The viewer is prepared anew each time, because %s: %s.", folder, error.strerror)
    return ViewerFiles(version, content)


def executable() -> Path:
    """Rerun's program.

    Raises:
      UserError: it is not installed.
    """
    package = importlib.util.find_spec("rerun_cli")
    if package is None or package.origin is None:
        raise UserError("The dashboard needs Rerun; install it with pip install 'daydreamer[viewer]'.")
    return Path(package.origin).parent / "rerun"


def _cache_directory() -> Path | None:
    place = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(place) if place else Path.home() / ".cache") / "daydreamer"
    except RuntimeError:  # a user without a home
        return None


def _ask(rerun: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """Starts Rerun's own server, without any data and on this machine only, and asks it for the files."""
    with tempfile.TemporaryDirectory(prefix="daydreamer-") as settings, _two_free_ports() as ports:
        page_port, data_port = ports
        command = [str(rerun), "--serve-web", "--bind", LOOPBACK, "--server-memory-limit", "1MB"]
        command += ["--port", str(data_port), "--web-viewer-port", str(page_port)]
        process = subprocess.Popen(
            command,
            env=os.environ | {"XDG_CONFIG_HOME": settings, "RUST_LOG": "error", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            preexec_fn=_prepare(Path(settings)),
            process_group=0,
        )
        try:
            _wait_until_listening(process, page_port)
            return {name: _fetch(f"http://{LOOPBACK}:{page_port}/{name}") for name in names}
        except OSError as error:
            raise UserError(f"{rerun} does not hand out its viewer ({error}); what it said is above.") from error
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT_S)
            process.kill()
            process.wait()


@contextlib.contextmanager
def _two_free_ports():
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((LOOPBACK, 0))
        ports = first.getsockname()[1], second.getsockname()[1]
    yield ports


def _wait_until_listening(process: subprocess.Popen, port: int) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while process.poll() is None and time.monotonic() < end_s:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1.0):
            return
        time.sleep(0.05)
    raise OSError("it did not start")


def _fetch(url: str) -> bytes:
    # Not by way of a proxy that the environment may name.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT_S) as answer:
        content = answer.read()
        length = answer.headers.get("rerun-final-length")
    if not content or (length is not None and int(length) != len(content)):
        raise OSError(f"{url} is not complete")
    return content


def _prepare(settings: Path):
    """Rerun sends usage data to its makers unless its settings say no; a robot's dashboard says no."""
    path = settings / "rerun" / "analytics.json"
    path.parent.mkdir(parents=True)
    values = {"analytics_enabled": False, "analytics_id": "", "metadata": {}}
    path.write_text(json.dumps(values | {"config_file_path": str(path), "data_dir_path": str(path.parent)}))

    def end_with_parent() -> None:
        """In the child, before it becomes Rerun: it must not outlive a dashboard that was killed."""
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return end_with_parent
