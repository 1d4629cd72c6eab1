"""What the dashboard draws on: one Rerun recording, shown live and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rerun as rr

from daydreamer.robots.portrayal import Portrayal
from daydreamer.session.directory import Session
from daydreamer.viewer.layout import TIMELINE, blueprint

APPLICATION = "daydreamer"
FLUSH_S = 1.0
"""Rerun keeps what comes within this time in one chunk, which has some 1.5 kB of overhead."""

COLOURS = ((74, 158, 255), (255, 150, 50), (80, 200, 120), (230, 90, 160), (170, 130, 255), (220, 210, 90))


class Canvas:
    """Draws by robot time. Nothing here waits for a viewer."""

    def __init__(self, session: Session, portrayal: Portrayal, grpc_url: str | None, recording: Path | None):
        """Opens the recording.

        Args:
          grpc_url: of the server that hands it to viewers.
          recording: file to save it in; None saves nothing.
        """
        self._stream = rr.RecordingStream(
            APPLICATION,
            recording_id=f"{session.path.name}-{session.record.started}",
            batcher_config=rr.ChunkBatcherConfig(flush_tick=FLUSH_S),
        )
        sinks = [rr.GrpcSink(grpc_url)] if grpc_url else []
        sinks += [rr.FileSink(str(recording))] if recording else []
        self._stream.set_sinks(*sinks, default_blueprint=blueprint(session.spec, portrayal))
        self._stream.send_recording_name(session.path.name)

    def close(self) -> None:
        self._stream.disconnect()

    def name_lines(self, path: str, names: Sequence[str], first_colour: int = 0, width: float = 2.0) -> None:
        """The next `series` at `path` are lines with these names."""
        self._stream.log(
            path, rr.SeriesLines(names=names, colors=_colours(names, first_colour), widths=width), static=True
        )

    def name_points(self, path: str, names: Sequence[str], first_colour: int = 0, size: float = 3.0) -> None:
        """The next `series` at `path` are dots with these names."""
        points = rr.SeriesPoints(
            names=names, colors=_colours(names, first_colour), markers="circle", marker_sizes=[size] * len(names)
        )
        self._stream.log(path, points, static=True)

    def series(self, path: str, robot_s: np.ndarray, values: np.ndarray) -> None:
        """Adds `[points, lines]` to the lines at `path`."""
        if len(robot_s):
            values = np.asarray(values, np.float64).reshape(len(robot_s), -1)
            columns = rr.Scalars.columns(scalars=values.ravel()).partition([values.shape[1]] * len(values))
            self._send(path, robot_s, columns)

    def mark(self, path: str, robot_s: float, value: float) -> None:
        """One dot."""
        self.series(path, np.array([robot_s]), np.array([value]))

    def skeleton(self, path: str, robot_s: np.ndarray, frames: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Lines of the robot at each time."""
        if len(robot_s):
            strips = [strip.astype(np.float32) for frame in frames for strip in frame.values()]
            columns = rr.LineStrips3D.columns(strips=strips).partition([len(frame) for frame in frames])
            self._send(path, robot_s, columns)

    def style_skeleton(self, path: str, colour: tuple[int, int, int], radius_m: float) -> None:
        style = rr.LineStrips3D.from_fields(colors=[colour], radii=[radius_m])
        self._stream.log(path, style, static=True)

    def label(self, path: str, position_m: tuple[float, float, float], text: str) -> None:
        self._stream.log(path, rr.Points3D([position_m], radii=0.001, labels=[text], show_labels=True), static=True)

    def picture(self, path: str, robot_s: float, png: bytes) -> None:
        self._stream.set_time(TIMELINE, duration=robot_s)
        self._stream.log(path, rr.EncodedImage(contents=png, media_type="image/png"))

    def image(self, path: str, robot_s: float, pixels: np.ndarray) -> None:
        """`[height, width, channels]`, uint8; loses what the eye does not see."""
        self._stream.set_time(TIMELINE, duration=robot_s)
        self._stream.log(path, rr.Image(pixels).compress(jpeg_quality=80))

    def text(self, path: str, robot_s: float, text: str, level: str) -> None:
        """A line of a log; `level` is one of Rerun's, as 'INFO'."""
        self._stream.set_time(TIMELINE, duration=robot_s)
        self._stream.log(path, rr.TextLog(text, level=level))

    def _send(self, path: str, robot_s: np.ndarray, columns) -> None:
        rr.send_columns(path, [rr.TimeColumn(TIMELINE, duration=robot_s)], columns, recording=self._stream)


def _colours(names: Sequence[str], first: int) -> list[tuple[int, int, int]]:
    return [COLOURS[(first + index) % len(COLOURS)] for index in range(len(names))]
