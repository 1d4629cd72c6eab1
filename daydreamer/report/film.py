"""The robot at a few moments of the session, drawn as lines from what was logged; no simulator is needed."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from daydreamer.report import style
from daydreamer.report.figures import Missing
from daydreamer.report.story import Story
from daydreamer.robots.a1.skeleton import skeleton_m

SKELETONS: dict[str, Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]] = {"a1": skeleton_m}
"""Lines `[points, 3]` in m by name from one observation, by `RobotSpec.robot`."""

MINUTES = (5.0, 20.0, 40.0, 60.0)
"""Moments of an hour, whatever the robot does then. A shorter session is shown at its quarters."""

SCENE_S = 4.0
STRIP_FRAMES = 7
GIF_FRAMES_PER_S = 10.0
HALF_WIDTH_M, HEIGHT_M = 0.47, 0.68

_VIEW_AZIMUTH_RAD, _VIEW_ELEVATION_RAD = np.deg2rad(25.0), np.deg2rad(12.0)
_FAR_SIDE = {"FL", "RL"}  # the viewer stands on the robot's right


def moments_s(minutes: float) -> list[float]:
    """Robot seconds at which scenes end, for a session of `minutes`."""
    if minutes >= MINUTES[-1] - SCENE_S / 60.0:
        return [60.0 * minute for minute in MINUTES[:-1]] + [60.0 * min(minutes, MINUTES[-1])]
    return [60.0 * minutes * share for share in (0.25, 0.5, 0.75, 1.0)]


def film_strip(story: Story) -> bytes:
    """PNG: a row for each moment, frames from left to right."""
    scenes = _scenes(story)
    figure, axes = style.new_figure(len(scenes), STRIP_FRAMES, height_in=1.15 * len(scenes) + 0.2)
    for row, rows in zip(axes, scenes, strict=True):
        frames = rows[np.linspace(0, len(rows) - 1, STRIP_FRAMES).astype(int)]
        for axis, step in zip(row, frames, strict=True):
            _draw(axis, story, step)
        row[0].set_title(_caption(story, rows), loc="left", fontsize=8)
    return style.to_png(figure)


def film(story: Story) -> bytes:
    """GIF: all moments side by side, as fast as they were."""
    scenes = _scenes(story)
    stride = max(1, round(story.session.spec.control_rate_hz / GIF_FRAMES_PER_S))
    images = []
    for step in range(0, min(map(len, scenes)), stride):
        figure, axes = style.new_figure(1, len(scenes), height_in=1.9)
        for axis, rows in zip(axes[0], scenes, strict=True):
            _draw(axis, story, rows[step])
            axis.set_title(_caption(story, rows), fontsize=8)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("P", colors=32))
    buffer = io.BytesIO()
    duration_ms = stride * story.session.spec.control_period_s * 1e3
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0)
    return buffer.getvalue()


def _scenes(story: Story) -> list[np.ndarray]:
    """Indices of the steps of each scene."""
    if story.session.spec.robot not in SKELETONS:
        raise Missing(f"There is no drawing of robot '{story.session.spec.robot}'.")
    rows = round(SCENE_S * story.session.spec.control_rate_hz)
    if len(story.steps) < rows:
        raise Missing(f"Only {len(story.steps)} steps were logged; a scene takes {rows}.")
    ends = [round(second * story.session.spec.control_rate_hz) for second in moments_s(story.minutes)]
    ends = sorted({min(max(end, rows), len(story.steps)) for end in ends})
    return [np.arange(end - rows, end) for end in ends]


def _caption(story: Story, rows: np.ndarray) -> str:
    minute = story.steps.robot_s[rows[-1]] / 60.0
    speed = "" if story.forward_m_s is None else f", {story.forward_m_s[rows].mean():+.2f} m/s"
    return f"minute {minute:.1f}: reward {story.reward[rows].mean():.1f}{speed}"


def _draw(axes: Axes, story: Story, step: int) -> None:
    observation = {key: values[step] for key, values in story.steps.observation.items()}
    lines = SKELETONS[story.session.spec.robot](observation)
    for name, points in lines.items():
        x, z = _project(points)
        colour = style.ORANGE if name == "head" else "#9ec9e2" if name in _FAR_SIDE else style.BLUE
        if name == "trunk_top":  # solid, so that it can be told from the belly
            axes.fill(x, z, color="#555555", alpha=0.75)
        axes.plot(x, z, color=style.BLACK if "trunk" in name else colour, linewidth=1.6, solid_capstyle="round")
    ground = np.array([(x, y, 0.0) for x, y in ((-0.4, -0.25), (0.4, -0.25), (0.4, 0.25), (-0.4, 0.25))])
    axes.fill(*_project(ground), color="#eeeeee", zorder=0)
    axes.set_xlim(-HALF_WIDTH_M, HALF_WIDTH_M)
    axes.set_ylim(-0.12, HEIGHT_M - 0.12)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seen from the robot's right, a little from behind and above, so that it heads to the right; parallel lines."""
    cos_azimuth, sin_azimuth = np.cos(_VIEW_AZIMUTH_RAD), np.sin(_VIEW_AZIMUTH_RAD)
    across = points[:, 0] * cos_azimuth - points[:, 1] * sin_azimuth
    away = points[:, 0] * sin_azimuth + points[:, 1] * cos_azimuth
    return across, points[:, 2] * np.cos(_VIEW_ELEVATION_RAD) + away * np.sin(_VIEW_ELEVATION_RAD)
