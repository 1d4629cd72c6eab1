"""A robot that is driven live, dreamt or not, as a page draws it: it, one that does something else, and curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from daydreamer.contract.portrayal import Observation
from daydreamer.robots.portrayal import portray
from daydreamer.session.directory import Session
from daydreamer.telemetry.quantities import known_figures
from daydreamer.viewer.canvas import Canvas, hand_out
from daydreamer.viewer.feeds import SignalPlots
from daydreamer.viewer.layout import camera_path, figure_path, live_blueprint
from daydreamer.viewer.server import ViewerServer
from daydreamer.viewer.titles import LiveTitles

SIGNAL_PERIOD_S = 1.0
"""Between two additions to the plots of what the robot observes."""
BESIDE_M = 0.6
"""Where the other robot is drawn, to the left of the one that is driven."""
_ROBOT, _OTHER = (60, 130, 220), (255, 150, 50)


class LiveView:
    """Draws by a time that goes on where a dream is rewound: then curves have a jump."""

    def __init__(self, session: Session, titles: LiveTitles, recording: Path | None = None):
        """Of the session's robot and task.

        Args:
          recording: see `Canvas`.
        """
        portrayal = portray(session.spec)
        layout = live_blueprint(session.spec, session.presentation, portrayal, titles)
        name = f"{session.path.name}: {titles.name}"
        self._canvas = Canvas(name, f"{session.path.name}-live-{time.time_ns()}", layout, recording)
        self._portrayal = portrayal
        self._plots = SignalPlots(self._canvas)
        self._figures = known_figures(session.presentation, session.spec)
        self._waiting: list[tuple[float, Observation]] = []
        if portrayal.skeleton_m is not None:
            self._canvas.style_skeleton("robot/dream", _ROBOT, 0.014)
            self._canvas.style_skeleton("robot/other", _OTHER, 0.014)
        for path in ("dream/reward", *map(figure_path, self._figures)):
            self._canvas.name_lines(path, titles.lines)

    def show(
        self,
        time_s: float,
        robots: tuple[Observation, Observation | None],
        rewards: tuple[float, float],
        figures: tuple[Mapping[str, float], Mapping[str, float]],
    ) -> None:
        """How things are at a time: of the robot that is driven, and of the other one, if there is one.

        Args:
          rewards: NaN where there is none.
          figures: headline figures by quantity, as far as they are known.
        """
        times = np.array([time_s])
        self._draw("robot/dream", times, robots[0], 0.0)
        self._draw("robot/other", times, robots[1], BESIDE_M)
        for key, pixels in robots[0].items():
            if pixels.dtype == np.uint8 and pixels.ndim == 3:
                self._canvas.image(camera_path(key), time_s, pixels)
        self._canvas.series("dream/reward", times, np.array([rewards]))
        for figure in self._figures:
            values = [each.get(figure.quantity, np.nan) for each in figures]
            self._canvas.series(figure_path(figure), times, np.array([values]))
        self._add_signals(time_s, robots[0])

    def _draw(self, path: str, times: np.ndarray, observation: Observation | None, beside_m: float) -> None:
        if (skeleton_m := self._portrayal.skeleton_m) is not None:
            lines = {} if observation is None else skeleton_m(observation)
            shifted = {name: points + (0.0, beside_m, 0.0) for name, points in lines.items()}
            self._canvas.skeleton(path, times, [shifted])

    def _add_signals(self, time_s: float, observation: Observation) -> None:
        self._waiting.append((time_s, observation))
        if time_s - self._waiting[0][0] < SIGNAL_PERIOD_S:
            return
        times = np.array([time_s for time_s, _ in self._waiting])
        rows = {key: np.stack([each[key] for _, each in self._waiting]) for key in observation}
        self._waiting.clear()
        for plot, signals in self._portrayal.signals(rows).items():
            self._plots.add_reality(plot, list(signals), times, np.column_stack(list(signals.values())))

    def tell(self, time_s: float, text: str) -> None:
        """A line among the events."""
        self._canvas.text("events", time_s, text, "INFO")

    def hand_out(self, audience: ViewerServer) -> None:
        """Gives what is new to those who look."""
        hand_out(self._canvas, audience)

    def close(self) -> None:
        """Completes the recording."""
        self._canvas.close()
