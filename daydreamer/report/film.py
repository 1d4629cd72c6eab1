"""The robot at a few moments of the session, drawn as lines from what was logged; no simulator is needed."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from daydreamer.report import style
from daydreamer.report.figures import Missing
from daydreamer.report.history import SessionHistory
from daydreamer.robots.portrayal import portray
from daydreamer.telemetry.quantities import known_mean

MINUTES = (5.0, 20.0, 40.0, 60.0)
"""Moments of an hour, whatever the robot does then. A shorter session is shown at its quarters."""

SCENE_S = 4.0
STRIP_FRAMES = 7
GIF_FRAMES_PER_S = 10.0

WIDTH_M, HEIGHT_M, BELOW_M = 0.94, 0.62, 0.12
"""Of a frame: enough for legs stretched out, and how much of it lies below the middle of the ground."""

_STRIP_WIDTH_PX, _GIF_WIDTH_PX, _CAPTION_PX = 140, 245, 18
_SUPERSAMPLED = 3  # Pillow draws lines with steps; scaled down they are smooth
_VIEW_AZIMUTH_RAD, _VIEW_ELEVATION_RAD = np.deg2rad(25.0), np.deg2rad(12.0)
_FAR_SIDE = {"FL", "RL"}  # the viewer stands on the robot's right
_GROUND_M = np.array([(x, y, 0.0) for x, y in ((-0.4, -0.25), (0.4, -0.25), (0.4, 0.25), (-0.4, 0.25))])


def moments_s(minutes: float) -> list[float]:
    """Robot seconds at which scenes end, for a session of `minutes`."""
    if minutes >= MINUTES[-1] - SCENE_S / 60.0:
        return [60.0 * minute for minute in MINUTES[:-1]] + [60.0 * min(minutes, MINUTES[-1])]
    return [60.0 * minutes * share for share in (0.25, 0.5, 0.75, 1.0)]


def film_strip(history: SessionHistory) -> bytes:
    """PNG: a row for each moment, frames from left to right.

    Raises:
      Missing: there are too few steps, or nobody knows how to draw the robot.
    """
    rows = []
    for scene in _scenes(history):
        steps = scene[np.linspace(0, len(scene) - 1, STRIP_FRAMES).astype(int)]
        frames = side_by_side([_frame(history, step, _STRIP_WIDTH_PX) for step in steps])
        rows.append(with_caption(frames, _caption(history, scene)))
    picture = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for index, row in enumerate(rows):
        picture.paste(row, (0, index * row.height))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def film(history: SessionHistory) -> bytes:
    """GIF: all moments side by side, as fast as they were.

    Raises:
      Missing: as `film_strip`.
    """
    scenes = _scenes(history)
    stride = max(1, round(history.session.spec.control_rate_hz / GIF_FRAMES_PER_S))
    captions = [_caption(history, scene) for scene in scenes]
    images = [
        side_by_side(
            [
                with_caption(_frame(history, scene[step], _GIF_WIDTH_PX), caption)
                for scene, caption in zip(scenes, captions, strict=True)
            ]
        ).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)
        for step in range(0, len(scenes[0]), stride)
    ]
    buffer = io.BytesIO()
    duration_ms = stride * history.session.spec.control_period_s * 1e3
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0)
    return buffer.getvalue()


def _scenes(history: SessionHistory) -> list[np.ndarray]:
    """Indices of the steps of each scene."""
    if portray(history.session.spec).skeleton_m is None:
        raise Missing(f"There is no drawing of robot '{history.session.spec.robot}'.")
    rows = round(SCENE_S * history.session.spec.control_rate_hz)
    if len(history.steps) < rows:
        raise Missing(f"Only {len(history.steps)} steps were logged; a scene takes {rows}.")
    ends = [round(second * history.session.spec.control_rate_hz) for second in moments_s(history.minutes)]
    ends = sorted({min(max(end, rows), len(history.steps)) for end in ends})
    return [np.arange(end - rows, end) for end in ends]


def _caption(history: SessionHistory, rows: np.ndarray) -> str:
    minute = history.steps.robot_s[rows[-1]] / 60.0
    headline = ""
    if history.figures:  # one fits beside the reward
        figure, values = history.figures[0]
        mean = float(known_mean(values[rows]))
        headline = f", {figure.amount(mean) if figure.unit else f'{figure.number(mean)} {figure.label}'}"
    return f"minute {minute:.1f}: reward {known_mean(history.reward[rows]):.1f}{headline}"


def _frame(history: SessionHistory, step: int, width_px: int) -> Image.Image:
    """The robot at one step; `width_px` wide."""
    observation = {key: values[step] for key, values in history.steps.observation.items()}
    return draw_robot(portray(history.session.spec).skeleton_m(observation), width_px)


def draw_robot(skeleton_m: Mapping[str, np.ndarray], width_px: int) -> Image.Image:
    """A robot's lines `[points, 3]` by name, on level ground; `width_px` wide."""
    scale = _SUPERSAMPLED * width_px / WIDTH_M  # pixels per metre
    size = (_SUPERSAMPLED * width_px, round(scale * HEIGHT_M))

    def pixels(points: np.ndarray) -> list[tuple[float, float]]:
        across_m, up_m = _project(points)
        return list(zip(size[0] / 2 + scale * across_m, size[1] - scale * (up_m + BELOW_M), strict=True))

    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.polygon(pixels(_GROUND_M), fill="#eeeeee")
    for name, points in skeleton_m.items():
        if not np.isfinite(points).all():
            continue
        if name == "trunk_top":  # solid, so that it can be told from the belly
            draw.polygon(pixels(points), fill="#777777")
        draw.line(pixels(points), fill=_colour(name), width=round(0.012 * scale), joint="curve")
    return image.resize((width_px, size[1] // _SUPERSAMPLED), Image.Resampling.LANCZOS)


def _colour(line: str) -> str:
    if line.startswith("trunk"):
        return style.BLACK
    return style.ORANGE if line == "head" else "#9ec9e2" if line in _FAR_SIDE else style.BLUE


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """Pictures of one height from left to right."""
    picture = Image.new("RGB", (sum(image.width for image in images), images[0].height), "white")
    for index, image in enumerate(images):
        picture.paste(image, (index * images[0].width, 0))
    return picture


def with_caption(image: Image.Image, caption: str) -> Image.Image:
    """The picture below a line of text."""
    picture = Image.new("RGB", (image.width, image.height + _CAPTION_PX), "white")
    picture.paste(image, (0, _CAPTION_PX))
    ImageDraw.Draw(picture).text((4, 2), caption, fill=style.BLACK, font=ImageFont.load_default(12))
    return picture


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seen from the robot's right, a little from behind and above, so that it heads to the right; parallel lines."""
    cos_azimuth, sin_azimuth = np.cos(_VIEW_AZIMUTH_RAD), np.sin(_VIEW_AZIMUTH_RAD)
    across = points[:, 0] * cos_azimuth - points[:, 1] * sin_azimuth
    away = points[:, 0] * sin_azimuth + points[:, 1] * cos_azimuth
    return across, points[:, 2] * np.cos(_VIEW_ELEVATION_RAD) + away * np.sin(_VIEW_ELEVATION_RAD)
