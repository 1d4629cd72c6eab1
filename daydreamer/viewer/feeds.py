"""Takes what is new in a session directory to the canvas; reads only, and each file from where it was left."""

from __future__ import annotations

import collections
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daydreamer.contract.portrayal import Portrayal
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.presentation import Presentation
from daydreamer.session.directory import Session
from daydreamer.session.events import EventTail
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.columns import StepColumns, to_columns
from daydreamer.telemetry.dreams import Dream, list_dreams, read_dream
from daydreamer.telemetry.predictions import error_ratio, judged_keys
from daydreamer.telemetry.quantities import is_known, known_figures, of_columns
from daydreamer.telemetry.scalars import ScalarReader
from daydreamer.viewer.canvas import Canvas
from daydreamer.viewer.clock import RobotClock
from daydreamer.viewer.layout import camera_path, figure_path
from daydreamer.viewer.selection import Selection

BLOCK_STEPS = 2000
MEAN_S = 5.0
"""Span of a point of the learning curve."""
SIGNAL_RATE_HZ = 10.0
SIGNAL_PERIOD_S = 3.0
"""Of robot time between two additions to the signals."""
FRAME_RATE_HZ = 5.0
SHOWN_RATIO = 3.0
"""Ratios of errors beyond this say no more, and would flatten the curve."""
SHOWN_HORIZONS_S = (0.5, 1.0, 2.5)

SCALAR_PLOTS = {
    "timing": ("actor/step_ms/p50", "actor/step_ms/p99"),
    "misses": ("actor/deadline_misses",),
    "learner": ("learner/updates_per_s",),
    "loss": (
        "learner/loss/vector",
        "learner/loss/reward",
        "learner/loss/dynamics",
        "learner/loss/representation",
        "learner/loss/image",
        "learner/loss/actor",
        "learner/loss/critic",
    ),
    "model": ("learner/model/kl", "learner/model/prior_entropy", "learner/model/posterior_entropy"),
    "behavior": ("learner/behavior/randomness", "learner/behavior/entropy_scale", "learner/behavior/return_scale"),
    "gradient": ("learner/gradient_norm",),
}
"""TensorBoard tags by plot of `health`."""

EVENT_LEVELS = {
    "fault": "ERROR",
    "process_end": "ERROR",
    "process_kill": "ERROR",
    "log_problem": "ERROR",
    "log_shorter_than_checkpoint": "ERROR",
    "checkpoint_damaged": "ERROR",
    "checkpoint_failed": "ERROR",
    "publish_failed": "ERROR",
    "dream_failed": "ERROR",
    "policy_refused": "ERROR",
    "known_motions_refused": "WARN",
    "action_not_finite": "ERROR",
    "steps_not_finite": "ERROR",
    "watchdog_stall": "ERROR",
    "fell_back": "WARN",
    "update_skipped": "WARN",
    "watchdog": "WARN",
    "operator": "WARN",
    "intervention": "WARN",
    "safety_state": "WARN",
}
"""By kind; all others are 'INFO'."""


class ExperienceFeed:
    """Learning curve, control periods, the robot and its signals, from the experience log."""

    def __init__(self, session: Session, canvas: Canvas, clock: RobotClock, portrayal: Portrayal, plots: SignalPlots):
        self._spec = session.spec
        self._canvas = canvas
        self._clock = clock
        self._portrayal = portrayal
        self._plots = plots
        self._tail = ExperienceTail(session.experience, session.spec)
        self._read = 0
        self._mean_steps = max(1, round(MEAN_S * self._spec.control_rate_hz))
        self._pending: list[np.ndarray] = []
        self._lines = _learning_lines(self._spec, session.presentation)
        for path, lines in self._lines.items():
            canvas.name_lines(path, list(lines.values()))
        canvas.name_lines("health/control", ["mean", "longest"])
        self._signals: dict[str, list[np.ndarray]] = {}

    def update(self) -> StepColumns | None:
        """Reads a block; None if there was nothing new."""
        steps = self._tail.read(BLOCK_STEPS)
        if not steps:
            return None
        columns = to_columns(steps, self._spec, self._read)
        self._read += len(steps)
        self._clock.add(columns)
        self._add_means(columns)
        self._add_signals(columns)
        return columns

    def _add_means(self, steps: StepColumns) -> None:
        period_ms = np.diff(steps.monotonic_ns, prepend=steps.monotonic_ns[0]) * 1e-6
        period_ms[np.diff(steps.actor_life, prepend=steps.actor_life[0]) != 0] = np.nan
        period_ms[0] = np.nan
        quantities = [quantity for lines in self._lines.values() for quantity in lines]
        curves = (of_columns(steps, quantity) for quantity in quantities)
        rows = np.column_stack([steps.robot_s, period_ms, *curves])
        rows = np.concatenate([*self._pending, rows])
        whole = len(rows) // self._mean_steps * self._mean_steps
        self._pending = [rows[whole:]]
        if not whole:
            return
        blocks = rows[:whole].reshape(-1, self._mean_steps, rows.shape[1])
        robot_s = blocks[:, -1, 0]
        means = np.nanmean(blocks, 1)
        self._canvas.series("health/control", robot_s, np.column_stack((means[:, 1], np.nanmax(blocks[:, :, 1], 1))))
        column = 2
        for path, lines in self._lines.items():
            self._canvas.series(path, robot_s, means[:, column : column + len(lines)])
            column += len(lines)

    def _add_signals(self, steps: StepColumns) -> None:
        stride = max(1, round(self._spec.control_rate_hz / SIGNAL_RATE_HZ))
        shown = {key: values[::stride] for key, values in steps.observation.items()}
        for plot, signals in self._portrayal.signals(shown).items():
            waiting = self._signals.setdefault(plot, [])
            waiting.append(np.column_stack((steps.robot_s[::stride], *signals.values())))
            # The dreams that they are compared with come every ten seconds only; few large chunks are cheaper.
            if waiting[-1][-1, 0] - waiting[0][0, 0] >= SIGNAL_PERIOD_S:
                rows = np.concatenate(waiting)
                waiting.clear()
                self._plots.add_reality(plot, list(signals), rows[:, 0], rows[:, 1:])


def _learning_lines(spec: RobotSpec, presentation: Presentation) -> dict[str, dict[str, str]]:
    """Name of each line by quantity, by path of its plot."""
    rewards = {"reward": "reward"}
    if is_known(presentation.compared_reward, spec):
        rewards.setdefault(presentation.compared_reward, _words(presentation.compared_reward))
    lines = {"learning/reward": rewards}
    if spec.reward_terms:
        lines["learning/terms"] = {f"reward_terms/{name}": _words(name) for name in spec.reward_terms}
    return lines | {figure_path(figure): {figure.quantity: figure.name} for figure in known_figures(presentation, spec)}


def _words(quantity: str) -> str:
    return quantity.rpartition("/")[2].replace("_", " ")


class SignalPlots:
    """The plots of what the robot observes: which lines they show, in reality and in dreams.

    Each choice of lines has paths of its own. The plots cover all of them, and the last seconds only: when others are
    chosen, the old lines end and new ones begin.
    """

    def __init__(self, canvas: Canvas):
        self._canvas = canvas
        self._selections: dict[str, Selection] = collections.defaultdict(Selection)

    def add_reality(self, plot: str, names: Sequence[str], robot_s: np.ndarray, values: np.ndarray) -> None:
        """Adds `[points, lines]`."""
        selection = self._selections[plot]
        if selection.measure(robot_s, values):
            shown = [names[index] for index in selection.chosen]
            self._canvas.name_lines(self._path(plot, "reality"), shown)
            # The same names, so that the legend has each once.
            self._canvas.name_points(self._path(plot, "dream"), shown)
        self._canvas.series(self._path(plot, "reality"), robot_s, values[:, selection.chosen])

    def add_dream(self, plot: str, robot_s: np.ndarray, values: np.ndarray) -> None:
        """Adds `[points, lines]`, once something has been chosen."""
        selection = self._selections[plot]
        if selection.chosen is not None:
            self._canvas.series(self._path(plot, "dream"), robot_s, values[:, selection.chosen])

    def _path(self, plot: str, whose: str) -> str:
        return f"dream/signals/{plot}/{self._selections[plot].number}/{whose}"


class DreamFeed:
    """Predictions drawn over what happened, and their error over the session."""

    def __init__(self, session: Session, canvas: Canvas, clock: RobotClock, portrayal: Portrayal, plots: SignalPlots):
        self._directory = session.dreams
        self._spec = session.spec
        self._canvas = canvas
        self._clock = clock
        self._portrayal = portrayal
        self._plots = plots
        self._scale = ErrorScale(judged_keys(session))
        self._done: set[Path] = set()
        self._lines = 0
        self._newest: collections.deque[tuple[float, Dream]] = collections.deque(maxlen=400)

    def update(self) -> None:
        try:
            paths = list_dreams(self._directory)
        except UserError as error:
            logging.warning("%s", error)
            return
        for path in paths:
            if path in self._done:
                continue
            try:
                dream = read_dream(path, self._spec)
            except UserError as error:  # one that is damaged stays so, and must not hide the others
                logging.warning("%s", error)
                self._done.add(path)
                continue
            begin_s = self._clock.of_step(dream.actor_life, dream.first_sequence)
            if begin_s is None and dream.actor_life > self._clock.newest_life:
                return  # its steps have not been read yet
            self._done.add(path)
            if begin_s is not None:  # else the log of that life is gone
                self._add(dream, begin_s)

    def at(self, robot_s: float) -> tuple[Dream, int] | None:
        """The newest dream whose end had come by then, and the row of it that its endless repetition shows."""
        for end_s, dream in reversed(self._newest):
            if end_s <= robot_s:
                row = round((robot_s - end_s) * dream.control_rate_hz) % dream.horizon_steps
                return dream, row
        return None

    def _add(self, dream: Dream, begin_s: float) -> None:
        context_s = dream.context_steps / dream.control_rate_hz
        robot_s = begin_s + context_s + dream.horizon_s - 1 / dream.control_rate_hz
        self._newest.append((float(robot_s[-1]), dream))
        for plot, signals in self._portrayal.signals(dream.prediction).items():
            self._plots.add_dream(plot, robot_s, np.column_stack(list(signals.values())))
        steps = (max(1, round(horizon_s * dream.control_rate_hz)) for horizon_s in SHOWN_HORIZONS_S)
        horizons = sorted({min(step, dream.horizon_steps) for step in steps})
        if not self._lines:
            names = [f"{step / dream.control_rate_hz:g} s ahead" for step in horizons]
            self._canvas.name_lines("dream/error/ratio", names, width=3.0)
            self._canvas.name_lines("dream/error/useless", ["no better than 'nothing changes'"], 3, width=1.0)
            self._lines = len(horizons)
        if len(horizons) != self._lines:  # recorded with another horizon
            return
        self._canvas.series("dream/error/ratio", robot_s[-1:], self._scale.ratio(dream)[None, np.array(horizons) - 1])
        self._canvas.series("dream/error/useless", robot_s[-1:], np.ones((1, 1)))


class ErrorScale:
    """Puts errors in units of what a prediction that nothing changes has had so far in the session.

    Of the session, because of a single moment it may be next to nothing: a robot at rest is predicted perfectly so.
    """

    def __init__(self, keys: Sequence[str]):
        """`keys` are those of the observations that count."""
        self._keys = tuple(keys)
        self._squares: dict[str, float] = {}
        self._dreams = 0

    def ratio(self, dream: Dream) -> np.ndarray:
        """Error `[horizon]`, see `error_ratio`, at most `SHOWN_RATIO`; takes the dream into account."""
        keys = [key for key in self._keys if key in dream.error]
        if all(np.isfinite(dream.unchanged_error[key]).all() for key in keys):
            self._dreams += 1
            for key in keys:
                square = float(np.mean(np.square(dream.unchanged_error[key])))
                self._squares[key] = self._squares.get(key, 0.0) + square
        usual = {key: np.sqrt(self._squares[key] / self._dreams) for key in keys if key in self._squares}
        ratio = error_ratio(dream.error, usual)
        return np.minimum(np.zeros(dream.horizon_steps) if ratio is None else ratio, SHOWN_RATIO)


class RobotFeed:
    """The robot as it is now, beside its newest prediction, which is shown again and again."""

    BESIDE_M = 0.4

    def __init__(self, canvas: Canvas, dreams: DreamFeed, portrayal: Portrayal, rate_hz: float, learns: bool = True):
        """Without anybody who `learns` there are no dreams to be drawn."""
        self._canvas = canvas
        self._dreams = dreams
        self._skeleton_m = portrayal.skeleton_m
        self._stride = max(1, round(rate_hz / FRAME_RATE_HZ))
        if self._skeleton_m:
            canvas.style_skeleton("robot/now", (60, 130, 220), 0.014)
            canvas.style_skeleton("robot/truth", (130, 140, 150), 0.012)
            canvas.style_skeleton("robot/dream", (255, 150, 50), 0.012)
            canvas.label("robot/label/now", (0.0, self.BESIDE_M, 0.55), "now")
            if learns:
                canvas.label("robot/label/dream", (0.0, -self.BESIDE_M, 0.55), "dream over reality")

    def update(self, steps: StepColumns, stride: int = 1) -> None:
        """Shows every `stride`-th frame of these steps."""
        stride *= self._stride
        times = steps.robot_s[::stride]
        if self._skeleton_m:
            now = [
                self._lines({key: values[index] for key, values in steps.observation.items()}, self.BESIDE_M)
                for index in range(0, len(steps), stride)
            ]
            self._canvas.skeleton("robot/now", times, now)
        else:
            self._show_cameras(steps)
        shown = [(robot_s, *found) for robot_s in times.tolist() if (found := self._dreams.at(robot_s))]
        self._show_dreams(shown)

    def _show_cameras(self, steps: StepColumns) -> None:
        """The newest picture of each: more often than it is looked for, nobody sees them."""
        for key, images in steps.observation.items():
            if images.dtype == np.uint8 and images.ndim == 4:
                self._canvas.image(camera_path(key), float(steps.robot_s[-1]), images[-1])

    def _show_dreams(self, shown: list[tuple[float, Dream, int]]) -> None:
        if self._skeleton_m:
            times = np.array([robot_s for robot_s, _, _ in shown])
            truth = [_row(dream.truth, dream.context_steps + row) for _, dream, row in shown]
            dreamt = [_row(dream.prediction, row) for _, dream, row in shown]
            self._canvas.skeleton("robot/truth", times, [self._lines(each, -self.BESIDE_M) for each in truth])
            self._canvas.skeleton("robot/dream", times, [self._lines(each, -self.BESIDE_M) for each in dreamt])
        for robot_s, dream, row in shown:
            for key, images in dream.prediction.items():
                if images.dtype == np.uint8:
                    truth_image, image = dream.truth[key][dream.context_steps + row], images[row]
                    difference = np.abs(truth_image.astype(np.int16) - image).astype(np.uint8)
                    for name, pixels in (("truth", truth_image), ("prediction", image), ("error", difference)):
                        self._canvas.image(f"dream/camera/{key}/{name}", robot_s, pixels)

    def _lines(self, observation: dict[str, np.ndarray], beside_m: float) -> dict[str, np.ndarray]:
        return {name: points + (0.0, beside_m, 0.0) for name, points in self._skeleton_m(observation).items()}


def _row(values: Any, index: int) -> dict[str, np.ndarray]:
    return {key: each[index] for key, each in values.items()}


class ScalarFeed:
    """The curves behind the health card, from the TensorBoard files."""

    def __init__(self, reader: ScalarReader, canvas: Canvas, clock: RobotClock):
        self._reader = reader
        self._canvas = canvas
        self._clock = clock
        self._shown: collections.Counter[str] = collections.Counter()

    def update(self) -> dict[str, float]:
        """Shows what is new; returns the newest value of every tag."""
        scalars = self._reader.read()
        for plot, tags in SCALAR_PLOTS.items():
            for index, tag in enumerate(tags):
                if tag not in scalars:
                    continue
                path = f"health/{plot}/{tag.replace('/', '-')}"
                if not self._shown[tag]:
                    self._canvas.name_lines(path, [tag.partition("/")[2]], index)
                new = slice(self._shown[tag], None)
                robot_s = np.array([self._clock.of_wall(wall_s) for wall_s in scalars[tag].wall_s[new]])
                self._canvas.series(path, robot_s, scalars[tag].value[new])
                self._shown[tag] = len(scalars[tag].value)
        return {tag: float(each.value[-1]) for tag, each in scalars.items()}


class EventFeed:
    """Events as lines of text."""

    def __init__(self, session: Session, canvas: Canvas, clock: RobotClock):
        self._tail = EventTail(session.events)
        self._complaint = ""
        self._canvas = canvas
        self._clock = clock

    def update(self) -> None:
        try:
            events = self._tail.read()
            self._complaint = ""
        except UserError as error:  # it must not hide all else
            if str(error) != self._complaint:
                logging.warning("%s", error)
            self._complaint, events = str(error), []
        for event in events:
            robot_s = self._clock.of_wall(event.get("wall_s", 0.0))
            self._canvas.text("events", robot_s, describe_event(event), EVENT_LEVELS.get(event["kind"], "INFO"))


def describe_event(event: dict[str, Any]) -> str:
    """One line: who, what, and the fields that say more."""
    fields = (f"{name} {_short(value)}" for name, value in event.items() if name not in _COMMON_FIELDS)
    return f"{event['source']}: {event['kind'].replace('_', ' ')} {', '.join(fields)}".rstrip()


_COMMON_FIELDS = ("wall_s", "monotonic_s", "kind", "source", "pid")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
