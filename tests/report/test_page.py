"""The report as an operator opens it: complete, of a session broken off, and of one that hardly began."""

import base64
import html
import io
import re
import subprocess

import msgspec
import numpy as np
import pytest
from PIL import Image

from daydreamer.cli.report import report
from daydreamer.errors import UserError
from daydreamer.experience.log import log_path
from daydreamer.report import figures, film, style
from daydreamer.report.history import read_history
from daydreamer.report.page import PICTURES, write_report
from daydreamer.robots.portrayal import portray
from daydreamer.safety.flags import SAFETY_FLAGS

NAMES = {picture.name: f"{picture.name}.{picture.suffix}" for picture in PICTURES}
CURVE_RGB = (0x00, 0x72, 0xB2)


def pictures(path):
    """Names in the page, each with the bytes that are inlined, and the reasons for those that are missing."""
    page = path.read_text()
    shown = dict(re.findall(r'<img id="([\w-]+)"[^>]*src="data:image/\w+;base64,([^"]+)"', page))
    missing = {name: html.unescape(why) for name, why in re.findall(r'id="([\w-]+)-missing">([^<]+)<', page)}
    return {name: base64.b64decode(data) for name, data in shown.items()}, missing


def screenshot(chromium, page):
    """What headless Chromium shows of a file."""
    picture = page.with_suffix(".png")
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,1600")
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = (chromium, *options, profile, f"--screenshot={picture}", page.as_uri())
    subprocess.run(command, check=True, capture_output=True, timeout=550)
    return Image.open(picture)


def count_pixels(image, rgb):
    pixels = np.asarray(image.convert("RGB")).astype(int)
    return np.count_nonzero(np.abs(pixels - rgb).max(axis=-1) < 12)


def test_a_whole_session(record_session, record_dreams, chromium, tmp_path):
    """Everything is drawn and nothing is fetched: a copy of the page elsewhere shows the curve in a browser."""
    recorder = record_session()

    def clip_and_rise(step):
        step.safety_flags = SAFETY_FLAGS["rate_clipped"] * (step.sequence < 100)
        step.info["published_reward"] = 5.0 + step.sequence / 300

    recorder.log(60.0, clip_and_rise)
    recorder.log(30.0)
    recorder.write_metrics(1.5)
    recorder.write_status()
    recorder.events.record("start", "actor", actor_life=1, note="<script>alert(1)</script>")
    record_dreams(recorder, (0.9, 0.5, 0.2))
    path, verdict = write_report(recorder.session)
    shown, missing = pictures(path)
    assert missing == {} and set(shown) == set(NAMES)
    for name, content in shown.items():
        assert (recorder.session.report / NAMES[name]).read_bytes() == content
    assert Image.open(io.BytesIO(shown["film"])).n_frames == 40
    page = path.read_text()
    assert "<script>" not in page and "minimum_s: 50" in page and "mujoco" in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert any("upright after 1.0" in sentence for sentence in verdict.learned)

    # Everything else is hidden, so that what has the curve's colour is the curve.
    alone = "<style>body * { visibility: hidden } #learning-curve { visibility: visible }</style>"
    copy = tmp_path / "elsewhere.html"
    copy.write_text(page + alone)
    assert count_pixels(screenshot(chromium, copy), CURVE_RGB) > 300


def test_a_session_broken_off(record_session):
    """Killed in the middle of a step, without learner, dreams, metrics or a last word."""
    recorder = record_session()
    recorder.log(30.0)
    path = log_path(recorder.session.experience, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report_path, _ = write_report(recorder.session)
    shown, missing = pictures(report_path)
    assert "learning-curve" not in missing and "film" not in missing
    assert set(missing) == {"prediction-error", "dream-against-reality", "safety"}
    assert "learner.dream_period_s" in missing["prediction-error"]


def test_a_session_without_a_step(record_session, capsys):
    recorder = record_session()
    (recorder.session.report / "learning-curve.png").write_bytes(b"of an earlier report")
    report(recorder.session.path)
    shown, missing = pictures(recorder.session.report / "report.html")
    assert shown == {} and set(missing) == set(NAMES)
    assert [file.name for file in recorder.session.report.iterdir()] == ["report.html"]
    printed = capsys.readouterr().out
    assert "not one logged step" in printed and "report.html" in printed


@pytest.mark.parametrize("seconds", [3.0, 8.0])
def test_a_session_of_seconds(record_session, seconds):
    recorder = record_session()
    recorder.log(seconds)
    _, missing = pictures(write_report(recorder.session)[0])
    assert "160 steps were logged" in missing["learning-curve"] if seconds == 8.0 else "film" in missing


def test_a_robot_that_nobody_can_draw(record_session, monkeypatch):
    from daydreamer.report import film

    recorder = record_session()
    recorder.log(12.0)
    monkeypatch.setattr(film, "portray", lambda spec: portray(msgspec.structs.replace(spec, robot="b1")))
    _, missing = pictures(write_report(recorder.session)[0])
    assert "no drawing of robot 'a1'" in missing["film-strip"]


def test_a_report_is_not_written_or_deleted_through_a_link(record_session, tmp_path):
    """Of a session with too few steps for any picture, each of an earlier report would be removed."""
    session = record_session().session
    outside = tmp_path / "home"
    outside.mkdir()
    for name in NAMES.values():
        (outside / name).write_text("mine")
    session.report.rmdir()
    session.report.symlink_to(outside)
    with pytest.raises(UserError, match="report is a link, which is not followed"):
        report(session.path)
    assert sorted(path.name for path in outside.iterdir()) == sorted(NAMES.values())
    assert {path.read_text() for path in outside.iterdir()} == {"mine"}


def test_a_strangers_events_and_steps_that_are_no_numbers_are_drawn_as_far_as_they_go(record_session):
    recorder = record_session()

    def lose_some(step):
        if step.sequence % 3 == 0:
            step.observation["joint_position"] = np.full(12, np.nan)

    recorder.log(10.0, lose_some)
    for number in range(40):
        recorder.events.record(f"$\\x${number}", "somebody")
    history = read_history(recorder.session)
    for picture in (style.to_png(figures.safety(history)), film.film_strip(history)):
        assert Image.open(io.BytesIO(picture)).width > 100
