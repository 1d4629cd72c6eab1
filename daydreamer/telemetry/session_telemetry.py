"""What the files of a session say about how it is doing; advice and report are drawn from it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.events import EventTail
from daydreamer.session.status import read_status
from daydreamer.telemetry.accounts import find_losses, read_claims
from daydreamer.telemetry.columns import StepColumns, read_columns, to_columns, without_images
from daydreamer.telemetry.predictions import PredictionErrors, judged_keys
from daydreamer.telemetry.scalars import ScalarReader, Scalars

RECENT_S = 120.0
"""Span of the recent steps: long enough for a fall and a rescue, short enough to tell what is the matter now."""

RECENT_IMAGE_BYTES = 16 << 20
"""Steps with images are fewer, so that all of them can be looked at every few seconds."""

CLOCK_TAG = "actor/reward"
"""Written by every actor, with environment steps for steps: it says what robot time it was at a wall time."""

PREDICTION_HORIZON_S = 1.0
"""At which predictions are judged: a few steps of a gait."""


@dataclasses.dataclass(frozen=True)
class Series:
    """A scalar over robot time; both `[points]`."""

    robot_s: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    def between(self, begin_s: float, end_s: float) -> np.ndarray:
        """The values after `begin_s` up to and with `end_s`."""
        return self.value[(self.robot_s > begin_s) & (self.robot_s <= end_s)]

    def last(self, seconds: float) -> np.ndarray:
        """The values of the last `seconds` before the last point."""
        return self.between(self.robot_s[-1] - seconds, self.robot_s[-1]) if len(self) else self.value


@dataclasses.dataclass(frozen=True)
class SessionTelemetry:
    """One look at a session.

    Attributes:
      session: whose files these are.
      status: see `SessionStatus`, as plain values.
      events: see `EventTail`; all of them.
      scalars: see `ScalarReader`.
      recent: the last `RECENT_S` of logged steps, without images.
      recent_images: by camera, of the last steps `[steps, height, width, channels]`; `RECENT_IMAGE_BYTES` at most.
      problems: what could not be read, one sentence each.
    """

    session: Session
    status: Mapping[str, Any]
    events: list[dict[str, Any]]
    scalars: Mapping[str, Scalars]
    recent: StepColumns
    recent_images: Mapping[str, np.ndarray]
    problems: tuple[str, ...]

    def series(self, tag: str) -> Series:
        """A scalar over robot time; empty if nobody wrote it, or not what is needed to tell the time."""
        scalars, clock = self.scalars.get(tag), self.scalars.get(CLOCK_TAG)
        if scalars is None or clock is None:
            return Series(np.zeros(0), np.zeros(0))
        finite = np.isfinite(scalars.value)
        # A clock that was set back says nothing new until it is where it was.
        steps = np.interp(scalars.wall_s[finite], np.maximum.accumulate(clock.wall_s), clock.step)
        return Series(steps * self.session.spec.control_period_s, scalars.value[finite])

    @functools.cached_property
    def predictions(self) -> PredictionErrors:
        """How far the model's predictions were off, open-loop, `PREDICTION_HORIZON_S` ahead, while it learned."""
        errors: dict[str, Series] = {}
        guesses: dict[str, Series] = {}
        for key in judged_keys(self.session):
            error, guess = (self._dreamed(group, key) for group in ("dream", "dream_unchanged"))
            if len(error) and len(error) == len(guess):
                errors[key], guesses[key] = error, guess
        points = min((len(error) for error in errors.values()), default=0)
        robot_s = next((error.robot_s[-points:] for error in errors.values()), np.zeros(0))
        newest = [{key: series.value[-points:] for key, series in each.items()} for each in (errors, guesses)]
        return PredictionErrors(robot_s, *newest)

    def _dreamed(self, group: str, key: str) -> Series:
        """The errors of one observation at the horizon next to `PREDICTION_HORIZON_S`."""
        prefix = f"{group}/{key}/"
        horizons_s = {}
        for tag in self.scalars:
            if tag.startswith(prefix):
                with contextlib.suppress(ValueError):  # not one of ours
                    horizons_s[tag] = float(tag.removeprefix(prefix).rstrip("s"))
        nearest = min(horizons_s, key=lambda tag: abs(horizons_s[tag] - PREDICTION_HORIZON_S), default="")
        return self.series(nearest)


class TelemetryReader:
    """Looks at a session again and again; only what is new of metrics and events is read.

    Attributes:
      scalars: reads the metrics; also for who wants nothing else.
    """

    def __init__(self, session: Session):
        self.scalars = ScalarReader(session.metrics)
        self._session = session
        self._event_tail = EventTail(session.events)
        self._events: list[dict[str, Any]] = []

    def read(self) -> SessionTelemetry:
        """What is known now; what cannot be read is among the problems."""
        session = self._session
        claims = read_claims(session)
        status = read_status(session)
        scalars = self.scalars.read()
        problems = [*status["problems"], *self.scalars.problems.values()]
        recent, images = to_columns([], without_images(session.spec)), {}
        try:
            recent = read_columns(session, session.spec.steps(RECENT_S), images=False, problems=problems)
            images = _recent_images(session)
        except UserError as error:
            problems.append(str(error))
        try:
            self._events = [*self._events, *self._event_tail.read()]
        except UserError as error:
            problems.append(str(error))
        problems += _unreadable(session, self._events)
        if self._event_tail.torn_bytes and status["state"] != "running":
            problems.append(f"{session.events} ends in {self._event_tail.torn_bytes} bytes of an event.")
        logged = {int(life): last for life, last in status["last_logged_sequence"].items()}
        problems += find_losses(session, claims, logged)
        return SessionTelemetry(session, status, self._events, scalars, recent, images, tuple(problems))


def _unreadable(session: Session, events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    lines = [event.get("line") for event in events if event["kind"] == "unreadable"]
    if lines:
        more = f" and {len(lines) - 5} more" if len(lines) > 5 else ""
        named = ", ".join("the beginning" if line is None else str(line) for line in lines[:5])
        yield (
            f"{session.events}: line {named}{more} cannot be read, as after a power loss, on a full disk, or of "
            "another version."
        )


def _recent_images(session: Session) -> dict[str, np.ndarray]:
    sizes = {key: space.size for key, space in session.spec.observation.items() if space.is_image}
    if not sizes:
        return {}
    steps = min(session.spec.steps(RECENT_S), max(1, RECENT_IMAGE_BYTES // sum(sizes.values())))
    observation = read_columns(session, steps).observation
    return {key: observation[key] for key in sizes}
