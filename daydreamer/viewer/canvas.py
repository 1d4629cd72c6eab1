"""What the dashboard draws on: one Rerun recording, for those who look now, those who come late, and the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rerun as rr
from PIL import Image

from daydreamer.contract.portrayal import Portrayal
from daydreamer.session.directory import Session
from daydreamer.viewer.layout import blueprint
from daydreamer.viewer.tracks import IMAGE, PICTURE, SERIES, SKELETON, TEXT, Kind, Track, send

APPLICATION = "daydreamer"
FILE_FLUSH_S = 1.0
"""Rerun keeps what comes within this time in one chunk, which has some 1.5 kB of overhead."""
NEVER_S = 3600.0
"""Pieces are flushed when they are taken, not by time."""

COLOURS = ((74, 158, 255), (255, 150, 50), (80, 200, 120), (230, 90, 160), (170, 130, 255), (220, 210, 90))


class Canvas:
    """Draws by robot time. Nothing here waits for a viewer, and none is needed.

    It is handed out in pieces, each a complete Rerun recording in bytes. An `addition` has what is new since the last
    one. Who comes late gets `present`, `curves` and `pictures`: few and large chunks, which a browser takes in at once.
    """

    def __init__(self, session: Session, portrayal: Portrayal, recording: Path | None):
        """Opens the recording.

        Args:
          recording: file to save it in; None saves nothing.
        """
        self._name = session.path.name
        self._identity = f"{session.path.name}-{session.record.started}"
        self._blueprint = blueprint(session.spec, session.presentation, portrayal, learns=session.learns)
        self._tracks: dict[str, Track] = {}
        self._statics: dict[str, rr.AsComponents] = {}
        self._live = self._open(NEVER_S, send_properties=False)
        self._added = self._live.binary_stream()
        self._streams = [self._live]
        if recording is not None:
            file = self._open(FILE_FLUSH_S)
            file.set_sinks(rr.FileSink(str(recording)), default_blueprint=self._blueprint)
            file.send_recording_name(self._name)
            self._streams.append(file)

    def close(self) -> None:
        """Completes the file."""
        self.addition()
        for stream in self._streams:
            stream.disconnect()

    def addition(self) -> bytes | None:
        """What has been drawn since the last call; None if that is nothing."""
        return self._added.read() or None

    def present(self) -> bytes:
        """Layout and styles, and how things are now."""

        def draw(stream: rr.RecordingStream) -> None:
            stream.send_blueprint(self._blueprint)
            stream.send_recording_name(self._name)
            for path, style in self._statics.items():
                stream.log(path, style, static=True)
            for track in self._tracks.values():
                track.send_newest(stream)

        return self._piece(draw, send_properties=True)

    def curves(self) -> bytes:
        """All series and texts from the beginning, one chunk of each path."""
        return self._past(of_pictures=False)

    def pictures(self) -> bytes:
        """How things looked from the beginning, now and then, one chunk of each path."""
        return self._past(of_pictures=True)

    def name_lines(self, path: str, names: Sequence[str], first_colour: int = 0, width: float = 2.0) -> None:
        """The next `series` at `path` are lines with these names."""
        self._style(path, rr.SeriesLines(names=names, colors=_colours(names, first_colour), widths=width))

    def name_points(self, path: str, names: Sequence[str], first_colour: int = 0, size: float = 3.0) -> None:
        """The next `series` at `path` are dots with these names."""
        points = rr.SeriesPoints(
            names=names, colors=_colours(names, first_colour), markers="circle", marker_sizes=[size] * len(names)
        )
        self._style(path, points)

    def series(self, path: str, robot_s: np.ndarray, values: np.ndarray) -> None:
        """Adds `[points, lines]` to the lines at `path`."""
        if len(robot_s):
            self._add(path, SERIES, robot_s, np.asarray(values, np.float64).reshape(len(robot_s), -1))

    def mark(self, path: str, robot_s: float, value: float) -> None:
        """One dot."""
        self.series(path, np.array([robot_s]), np.array([value]))

    def skeleton(self, path: str, robot_s: np.ndarray, frames: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Lines of the robot at each time."""
        if len(robot_s):
            self._add(path, SKELETON, robot_s, frames)

    def style_skeleton(self, path: str, colour: tuple[int, int, int], radius_m: float) -> None:
        self._style(path, rr.LineStrips3D.from_fields(colors=[colour], radii=[radius_m]))

    def label(self, path: str, position_m: tuple[float, float, float], text: str) -> None:
        self._style(path, rr.Points3D([position_m], radii=0.001, labels=[text], show_labels=True))

    def picture(self, path: str, robot_s: float, png: bytes) -> None:
        self._add(path, PICTURE, np.array([robot_s]), [png])

    def image(self, path: str, robot_s: float, pixels: np.ndarray) -> None:
        """`[height, width, channels]`, uint8, of which three or one are shown; loses what the eye does not see."""
        buffer = io.BytesIO()
        shown = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., 0]
        Image.fromarray(np.ascontiguousarray(shown)).save(buffer, "JPEG", quality=80)
        self._add(path, IMAGE, np.array([robot_s]), [buffer.getvalue()])

    def text(self, path: str, robot_s: float, text: str, level: str) -> None:
        """A line of a log; `level` is one of Rerun's, as 'INFO'."""
        self._add(path, TEXT, np.array([robot_s]), [(text, level)])

    def _add(self, path: str, kind: Kind, robot_s: np.ndarray, rows: Any) -> None:
        self._tracks.setdefault(path, Track(path, kind)).add(robot_s, rows)
        for stream in self._streams:
            send(stream, path, kind, robot_s, rows)

    def _style(self, path: str, style: rr.AsComponents) -> None:
        self._statics[path] = style
        for stream in self._streams:
            stream.log(path, style, static=True)

    def _past(self, of_pictures: bool) -> bytes:
        def draw(stream: rr.RecordingStream) -> None:
            for track in self._tracks.values():
                if track.kind.is_picture == of_pictures:
                    track.send_past(stream)

        return self._piece(draw)

    def _piece(self, draw: Callable[[rr.RecordingStream], None], send_properties: bool = False) -> bytes:
        stream = self._open(NEVER_S, send_properties)
        content = stream.binary_stream()
        draw(stream)
        piece = content.read()
        stream.disconnect()
        return piece

    def _open(self, flush_s: float, send_properties: bool = True) -> rr.RecordingStream:
        return rr.RecordingStream(
            APPLICATION,
            recording_id=self._identity,
            send_properties=send_properties,
            batcher_config=rr.ChunkBatcherConfig(flush_tick=flush_s),
        )


def _colours(names: Sequence[str], first: int) -> list[tuple[int, int, int]]:
    return [COLOURS[(first + index) % len(COLOURS)] for index in range(len(names))]
