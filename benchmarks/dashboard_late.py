"""How long a browser that is opened late takes until it shows the whole learning curve.

    python benchmarks/dashboard_late.py [--minutes 5 20 40] [--repeats 3] [--json FILE] [--pictures DIR]
    python benchmarks/dashboard_late.py --url URL

Opens a real headless Chromium, which draws in software, at the dashboard of a synthesised session that is so many
minutes old, or of any session at an address. Time begins with the navigation, and ends with the first frame in which
the curve of the reward is drawn over 90 % of its plot's width. That is read back from the viewer's canvas at the end of
each of its frames, because a screenshot by the DevTools protocol takes five to ten seconds of CPU time here; a
screenshot afterwards has to agree. "cold" is a browser that has never been here, "warm" the same one started again.
"blank" is a viewer that is given nothing: Rerun's program loaded, compiled and drawn once, below which no data can be
shown. CPU time is that of all of the browser's processes until then; on a machine with other work it says more than the
time on the wall.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dashboard_picture
import numpy as np
import psutil
from PIL import Image
from websockets.sync.client import connect

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import conftest

from daydreamer.telemetry.dreams import Dream, DreamWriter
from daydreamer.viewer.rerun_files import viewer_files
from daydreamer.viewer.server import ViewerServer

TIMEOUT_S = 300.0
WHOLE = 0.9
DREAM_PERIOD_S = 10.0
DREAM_STEPS, CONTEXT_STEPS = 70, 20


def synthesise(path: Path, minutes: float) -> None:
    """A session whose reward rises from 5 to 12, with a dream every ten seconds, and metrics as often."""
    recorder = conftest.SessionRecorder(path)
    steps = round(minutes * 60 * recorder.spec.control_rate_hz)
    random = np.random.default_rng(0)

    def rising(step) -> None:
        step.reward = 5.0 + 7.0 * step.sequence / steps + random.normal()

    recorder.log(minutes * 60, rising)
    recorder.write_metrics(minutes)
    recorder.write_status()
    truth = {
        key: random.normal(0.0, 0.1, (DREAM_STEPS, *space.shape)).astype(np.float32)
        for key, space in recorder.spec.observation.items()
    } | {"reward": np.ones(DREAM_STEPS, np.float32)}
    error = {key: np.full(DREAM_STEPS - CONTEXT_STEPS, 0.1, np.float32) for key in truth}
    dreams = DreamWriter(recorder.session.dreams)
    stride = round(DREAM_PERIOD_S * recorder.spec.control_rate_hz)
    for first in range(0, steps - DREAM_STEPS, stride):
        dreams.write(
            Dream(
                gradient_step=1,
                env_steps=first + DREAM_STEPS,
                actor_life=1,
                first_sequence=first,
                control_rate_hz=recorder.spec.control_rate_hz,
                context_steps=CONTEXT_STEPS,
                windows=1,
                truth=truth,
                prediction={key: each[CONTEXT_STEPS:] for key, each in truth.items()},
                action=np.zeros((DREAM_STEPS, 12), np.float32),
                error=error,
                unchanged_error={key: 2 * each for key, each in error.items()},
            )
        )


@contextlib.contextmanager
def dashboard_of(session: Path) -> Iterator[str]:
    """Address of a dashboard that has taken in all of the session."""
    command = [sys.executable, "-m", "daydreamer.cli.main", "watch", str(session), "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.nice(10), start_new_session=True
    )
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("Dashboard: "))
        with connect(url.replace("http", "ws", 1).replace("/?", "/data?"), max_size=None) as viewer:
            while viewer.recv(TIMEOUT_S) != "complete":
                pass
        yield url
    finally:
        process.terminate()
        process.wait(30.0)


@contextlib.contextmanager
def blank_viewer() -> Iterator[str]:
    """Address of a page that gives the viewer nothing."""
    server = ViewerServer("127.0.0.1", None, viewer_files())
    ended = threading.Event()

    def admit() -> None:
        while not ended.is_set():
            server.wait_for_arrival(0.1)
            server.admit(server.take_arrivals(), [])

    thread = threading.Thread(target=admit)
    thread.start()
    try:
        yield server.urls[0]
    finally:
        ended.set()
        thread.join()
        server.stop()


LOOK = """
(() => {
  const [red, green, blue] = LINE;
  const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  // As in dashboard_picture.reward_curve.
  function share(canvas) {
    const [left, top] = [Math.round(0.015 * canvas.width), Math.round(0.16 * canvas.height)];
    const [right, bottom] = [Math.round(0.332 * canvas.width), Math.round(0.395 * canvas.height)];
    const [width, height] = [right - left, bottom - top];
    copy.canvas.width = width;
    copy.canvas.height = height;
    copy.drawImage(canvas, left, top, width, height, 0, 0, width, height);
    const pixels = copy.getImageData(0, 0, width, height).data;
    const columns = new Set();
    for (let index = 0; index < pixels.length; index += 4) {
      const far = Math.abs(pixels[index] - red) + Math.abs(pixels[index + 1] - green)
        + Math.abs(pixels[index + 2] - blue);
      if (far < 60) columns.add((index / 4) % width);
    }
    return columns.size / width;
  }
  const request = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) => request((time) => {
    draw(time);
    const canvas = document.getElementById("canvas");
    if (!canvas || canvas.className !== "" || canvas.width < 500 || window.shownAt) return;
    window.loadedAt ??= performance.now();
    if (share(canvas) >= WHOLE) window.shownAt = performance.now();
  });
})()
"""


def measure(url: str, profile: Path, whole: float, picture: Path | None) -> dict[str, float]:
    """Opens a browser and waits for a curve over this share of its plot.

    `loaded_s` is when the viewer had taken in the past and began to draw it, `shown_s` when that was done.
    """
    executable = dashboard_picture.find_chromium()
    if executable is None:
        raise SystemExit("There is no Chromium here; install it with apt-get install chromium.")
    with dashboard_picture.browse(executable, profile) as page:
        page.call("Page.enable")
        look = LOOK.replace("LINE", str(list(dashboard_picture.LINE))).replace("WHOLE", str(whole))
        page.call("Page.addScriptToEvaluateOnNewDocument", source=look)
        before_s, begin_s = cpu_s(), time.monotonic()
        page.call("Page.navigate", url=url)
        while (shown_ms := page.evaluate("window.shownAt")) is None:
            if time.monotonic() - begin_s > TIMEOUT_S:
                raise SystemExit(f"The curve did not come; the page says: {page.evaluate('document.body.innerText')}")
            time.sleep(0.2)
        result = {"loaded_s": page.evaluate("window.loadedAt") / 1000, "shown_s": shown_ms / 1000}
        result["cpu_s"] = cpu_s() - before_s
        shown = page.picture()
        if np.isfinite(dashboard_picture.reward_curve(shown)).mean() < whole:
            raise SystemExit("The screenshot does not show what the viewer has drawn.")
        if picture is not None:
            Image.fromarray(shown).save(picture)
        time.sleep(5.0)  # for the browser to write its cache
        page.call("Browser.close")
    return result


def cpu_s() -> float:
    """CPU time of all browser processes that this one has started."""
    total_s = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "chrom" in child.name():
                times = child.cpu_times()
                total_s += times.user + times.system
    return total_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0, 20.0, 40.0], help="ages of sessions to make")
    parser.add_argument("--url", help="of a dashboard to look at instead")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-blank", action="store_true", help="do not look at a viewer that is given nothing")
    parser.add_argument("--pause", type=float, default=0.0, metavar="S", help="before each browser but the first")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where to put what was seen")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
    rows = []

    def run(name: str, url: str, whole: float) -> None:
        for repeat in range(options.repeats):
            with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
                for cache in ("cold", "warm"):
                    picture = options.pictures / f"{name}-{cache}-{repeat}.png" if options.pictures else None
                    time.sleep(options.pause if rows else 0.0)
                    result = measure(url, Path(profile), whole, picture)
                    rows.append({"name": name, "cache": cache, "load_average": os.getloadavg()[0]} | result)
                    figures = (f"{key} {value:.1f}" for key, value in rows[-1].items() if isinstance(value, float))
                    print(f"{name:>12} {cache}  {'  '.join(figures)}", flush=True)

    if not options.skip_blank:
        with blank_viewer() as url:
            run("blank", url, 0.0)
    if options.url:
        run("given", options.url, WHOLE)
    else:
        for minutes in options.minutes:
            with tempfile.TemporaryDirectory(prefix="session-") as folder:
                session = Path(folder) / "session"
                synthesise(session, minutes)
                with dashboard_of(session) as url:
                    run(f"{minutes:g} minutes", url, WHOLE)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
