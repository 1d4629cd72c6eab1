"""Large print for the dashboard: Rerun has no text that can be read from two metres, so it is shown as pictures."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from daydreamer.presentation import Presentation
from daydreamer.telemetry.health import STATE_LEVELS, Reading, robot_state
from daydreamer.telemetry.rules import Advice

BANNER_SIZE = (1920, 190)
HEALTH_SIZE = (1400, 500)
HEALTH_COLUMNS = 3
COLOURS = 24
"""A palette this small keeps a picture at a few kilobytes."""

FIGURES, MILESTONES = 2, 5
"""So many fit."""
REWARD_WIDTH, FIGURE_WIDTH = 220, 260
"""Of a column with a number and its name."""

BACKGROUND, TEXT, QUIET = "#14181d", "#f2f4f6", "#8b95a1"
GOOD, WARN, BAD, IDLE = "#2fa866", "#e0a526", "#e5484d", "#5b6672"

LEVEL_COLOURS = {"good": GOOD, "warn": WARN, "bad": BAD, "none": IDLE}


def banner(status: Mapping[str, Any], presentation: Presentation, total_minutes: float) -> bytes:
    """PNG with clock, state of the robot, reward, headline figures and milestones."""
    image = Image.new("RGB", BANNER_SIZE, BACKGROUND)
    draw = ImageDraw.Draw(image)
    seconds = status["robot_seconds"] or 0.0
    draw.text((24, 8), f"{int(seconds // 60)}:{int(seconds % 60):02d}", font=_font(118), fill=TEXT)
    draw.text((30, 138), f"of {total_minutes:g} robot minutes", font=_font(34), fill=QUIET)
    figures = presentation.figures[:FIGURES]
    # A second figure takes its room from the state.
    right = 780 if len(figures) == FIGURES else 1010
    _state(draw, (470, 22, right, 168), status)
    x = right + 40
    _figure(draw, x, REWARD_WIDTH, "reward", _text(status["reward_recent"], "{:.1f}".format))
    x += REWARD_WIDTH
    for figure in figures:
        value = _text(status["figures_recent"].get(figure.quantity), figure.number)
        _figure(draw, x, FIGURE_WIDTH, figure.label, value)
        x += FIGURE_WIDTH
    _milestones(draw, presentation.milestone_names, status["milestones_s"] or {})
    return _png(image)


def _state(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], status: Mapping[str, Any]) -> None:
    state = robot_state(status)
    draw.rounded_rectangle(box, radius=18, fill=LEVEL_COLOURS[STATE_LEVELS.get(state, "warn")])
    words = state.replace("_", " ").upper()
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    width = box[2] - box[0] - 40
    reasons = [*(status.get("watchdogs_raised") or {})]
    if state not in ("running", "starting", "stopped") and status.get("safety_cause"):
        reasons.insert(0, status["safety_cause"])
    reason = ", ".join(reasons).replace("_", " ")
    if reason:
        draw.text((centre[0], box[3] - 26), reason, font=_fitting(draw, reason, width, 34), fill="#ffffff", anchor="mm")
        centre = (centre[0], centre[1] - 16)
    draw.text(centre, words, font=_fitting(draw, words, width, 88), fill="#ffffff", anchor="mm")


def _milestones(draw: ImageDraw.ImageDraw, names: Sequence[str], milestones_s: Mapping[str, float]) -> None:
    """Those that fit: about the first that has not been reached."""
    ahead = next((place for place, name in enumerate(names) if name not in milestones_s), len(names))
    begin = max(0, min(ahead - MILESTONES // 2, len(names) - MILESTONES))
    shown = names[begin : begin + MILESTONES]
    few = len(shown) <= 3
    top, spacing, size, radius = (40, 52, 38, 14) if few else (23, 36, 28, 10)
    for row, name in enumerate(shown):
        reached_s = milestones_s.get(name)
        colour = QUIET if reached_s is None else GOOD
        y = top + spacing * row
        box = (1588 - radius, y - radius, 1588 + radius, y + radius)
        draw.ellipse(box, fill=None if reached_s is None else colour, outline=colour, width=4 if few else 3)
        text = name if reached_s is None else f"{name}  {reached_s / 60:.1f} min"
        font = _fitting(draw, text, BANNER_SIZE[0] - 1620, size)
        draw.text((1620, y), text, font=font, fill=TEXT if reached_s is not None else QUIET, anchor="lm")


def health(readings: Sequence[Reading], advice: Sequence[Advice]) -> bytes:
    """PNG with the readings and, in colour, what is wrong and what to do about it."""
    image = Image.new("RGB", HEALTH_SIZE, BACKGROUND)
    draw = ImageDraw.Draw(image)
    colours = {"good": TEXT, "none": TEXT, "warn": WARN, "bad": BAD}
    rows = -(-len(readings) // HEALTH_COLUMNS)
    width = (HEALTH_SIZE[0] - 20) // HEALTH_COLUMNS
    for index, reading in enumerate(readings):
        x, y = 20 + width * (index // rows), 12 + 36 * (index % rows)
        draw.text((x, y), reading.name, font=_font(25), fill=QUIET)
        draw.text((x + width - 30, y), reading.value, font=_font(27), fill=colours[reading.level], anchor="ra")
    y = 12 + 36 * rows + 10
    draw.line((20, y, HEALTH_SIZE[0] - 20, y), fill=IDLE, width=2)
    y += 12
    if not advice:
        draw.text((20, y), "Nothing is known to be wrong.", font=_font(30), fill=GOOD)
    for item in advice:
        lines = textwrap.wrap(item.sentence, 122)
        if y + 38 + 27 * len(lines) > HEALTH_SIZE[1]:
            draw.text((20, min(y, HEALTH_SIZE[1] - 30)), "... more in the events", font=_font(23), fill=QUIET)
            break
        draw.text((20, y), item.title, font=_font(30), fill=colours[item.level])
        y += 38
        for line in lines:
            draw.text((20, y), line, font=_font(23), fill=TEXT)
            y += 27
        y += 10
    return _png(image)


def _figure(draw: ImageDraw.ImageDraw, x: int, width: int, name: str, value: str) -> None:
    draw.text((x, 36), value, font=_fitting(draw, value, width - 15, 84), fill=TEXT)
    draw.text((x + 4, 138), name, font=_fitting(draw, name, width - 15, 34), fill=QUIET)


def _text(value: float | None, write: Callable[[float], str]) -> str:
    return "-" if value is None else write(value)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _fitting(draw: ImageDraw.ImageDraw, words: str, width: float, size: int) -> ImageFont.FreeTypeFont:
    while size > 20 and draw.textlength(words, _font(size)) > width:
        size -= 4
    return _font(size)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.quantize(COLOURS).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
