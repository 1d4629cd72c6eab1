"""Takes a picture of a page in headless Chromium: `python benchmarks/dashboard_picture.py URL --out FILE`.

Every host but this one is out of reach for the browser, so that a page which needs the internet does not come up.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from websockets.sync.client import connect

SIZE = (1920, 1080)
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Rerun draws with WebGL: in software here.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    f"--window-size={SIZE[0]},{SIZE[1]}",
)
START_TIMEOUT_S = 120.0


LINE = (74, 158, 255)
"""The reward is drawn in the first of the viewer's colours."""


def reward_curve(picture: np.ndarray) -> np.ndarray:
    """Height of the reward's curve, top left below the banner, by column of its plot; NaN where there is none."""
    height, width, _ = picture.shape
    plot = picture[round(0.16 * height) : round(0.395 * height), round(0.015 * width) : round(0.332 * width)]
    found = np.abs(plot.astype(int) - LINE).sum(-1) < 60
    rows = np.arange(len(plot))[:, None]
    with np.errstate(invalid="ignore"):
        return 1.0 - (found * rows).sum(0) / np.where(found.any(0), found.sum(0), np.nan) / len(plot)


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One page, by the Chrome DevTools Protocol."""

    def __init__(self, socket: Any):
        self._socket = socket
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method of the protocol."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=120.0))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def open(self, url: str) -> None:
        """Goes there, and waits until the page, though not what it draws, is there."""
        self.call("Page.navigate", url=url)
        while not self._is_complete():
            time.sleep(0.2)

    def _is_complete(self) -> bool:
        # While one page gives way to the next there is none to ask.
        with contextlib.suppress(RuntimeError):
            state = self.call("Runtime.evaluate", expression="location.host && document.readyState")
            return state["result"].get("value") == "complete"
        return False

    def evaluate(self, expression: str) -> Any:
        """What JavaScript says."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def picture(self) -> np.ndarray:
        """What can be seen, uint8 `[height, width, 3]`."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@contextlib.contextmanager
def browse(executable: str, profile: Path | None = None) -> Iterator[Page]:
    """A browser with an empty page; ends with the block.

    Args:
      profile: where it keeps what it caches; None begins with nothing.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as temporary:
        profile = profile or Path(temporary)
        (profile / "DevToolsActivePort").unlink(missing_ok=True)
        command = [executable, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with connect(
                _page_socket(profile, process), max_size=None, open_timeout=60.0, ping_interval=None
            ) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(30.0)


def _page_socket(profile: Path, process: subprocess.Popen) -> str:
    import urllib.request

    end_s = time.monotonic() + START_TIMEOUT_S
    port_file = profile / "DevToolsActivePort"
    while time.monotonic() < end_s and process.poll() is None:
        if port_file.exists() and (lines := port_file.read_text().split()):
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json", timeout=60.0) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page"]
            if pages:
                return pages[0]["webSocketDebuggerUrl"]
        time.sleep(0.2)
    raise RuntimeError("Chromium did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--wait", type=float, default=60.0, metavar="S", help="until the first picture")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        parser.error("there is no Chromium here; install it with apt-get install chromium")
    with browse(executable) as page:
        page.open(options.url)
        time.sleep(options.wait)
        Image.fromarray(page.picture()).save(options.out)


if __name__ == "__main__":
    main()
