"""The dashboard of one session: reads its directory, draws, and changes nothing in it but its own recording."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rerun as rr

from daydreamer.errors import UserError
from daydreamer.periodic import Schedule
from daydreamer.robots.portrayal import portray
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status
from daydreamer.stop_request import StopRequest
from daydreamer.telemetry.advice import Advice, judge
from daydreamer.telemetry.columns import StepColumns
from daydreamer.telemetry.health import read_health
from daydreamer.telemetry.session_telemetry import TelemetryReader
from daydreamer.viewer.canvas import Canvas, hand_out
from daydreamer.viewer.cards import banner, health
from daydreamer.viewer.clock import RobotClock
from daydreamer.viewer.feeds import (
    BLOCK_STEPS,
    DreamFeed,
    EventFeed,
    ExperienceFeed,
    RobotFeed,
    ScalarFeed,
    SignalPlots,
)
from daydreamer.viewer.layout import blueprint
from daydreamer.viewer.server import ViewerServer

PERIOD_S = 1.0
"""Between two looks at the experience log: by so much the robot's picture is late. More often would make more and
smaller chunks, which a browser without a GPU has trouble to keep up with."""
PERIODS_S = {"banner": 2.0, "advice": 15.0, "scalars": 10.0, "health": 5.0}
PAST_FRAMES_STRIDE = 5
"""Of what happened before the dashboard was opened, the robot is shown this much less often."""


class Dashboard:
    """Everything that is shown of a session."""

    def __init__(self, session: Session, minutes: float, recording: Path | None):
        """Opens the recording; see `Canvas`.

        Args:
          minutes: robot time that the session is to have.
        """
        portrayal = portray(session.spec)
        self._session = session
        self._presentation = session.presentation
        self._minutes = minutes
        identity = f"{session.path.name}-{session.record.started}"
        layout = blueprint(session.spec, session.presentation, portrayal, learns=session.learns)
        self._canvas = Canvas(session.path.name, identity, layout, recording)
        self._clock = RobotClock(session.spec.control_period_s)
        plots = SignalPlots(self._canvas)
        self._experience = ExperienceFeed(session, self._canvas, self._clock, portrayal, plots)
        self._dreams = DreamFeed(session, self._canvas, self._clock, portrayal, plots)
        learns = session.learns
        self._robot = RobotFeed(self._canvas, self._dreams, portrayal, session.spec.control_rate_hz, learns)
        self._telemetry = TelemetryReader(session)
        self._scalars = ScalarFeed(self._telemetry.scalars, self._canvas, self._clock)
        self._events = EventFeed(session, self._canvas, self._clock)
        self._advice: list[Advice] = []
        self._complaint = ""
        self._milestones: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._schedules = {name: Schedule(period_s, at_once=True) for name, period_s in PERIODS_S.items()}

    def run(self, stop: StopRequest, audience: ViewerServer) -> None:
        """Shows what there is and what is added, until it is told to stop."""
        while not stop:
            begin_s = time.monotonic()
            behind = False
            try:
                behind = self.update()
            except UserError as error:
                # What cannot be read now, as a file that is about to be replaced, may be read later.
                logging.warning("%s", error)
            self._show(audience, behind)
            while not behind and not stop and (rest_s := PERIOD_S - (time.monotonic() - begin_s)) > 0:
                audience.wait_for_arrival(rest_s)
                self._show(audience)
        for schedule in self._schedules.values():
            schedule.hurry()
        with contextlib.suppress(UserError):  # what could not be read before cannot be read now
            while self.update():
                pass
        self._show(audience)

    def _show(self, audience: ViewerServer, behind: bool = False) -> None:
        # Who comes while the past is still being read gets it in one go a little later.
        hand_out(self._canvas, audience, admits=not behind)

    def update(self) -> bool:
        """One look at the session; whether there may be more to take in at once."""
        steps = self._look_at_experience()
        self._dreams.update()
        behind = steps is not None and len(steps) == BLOCK_STEPS
        if steps is not None:
            self._robot.update(steps, PAST_FRAMES_STRIDE if behind else 1)
        if behind:
            # The rest takes its time from the experience, all of it.
            return True
        self._events.update()
        if self._schedules["banner"].due():
            status = read_status(self._session)
            self._canvas.picture("banner", self._clock.now_s, banner(status, self._presentation, self._minutes))
            self._mark_milestones(status)
        if self._schedules["advice"].due():
            self._renew_advice()
        if self._schedules["scalars"].due():
            self._values = self._scalars.update()
        if self._schedules["health"].due():
            readings = read_health(read_status(self._session), self._session, self._values)
            self._canvas.picture("health/card", self._clock.now_s, health(readings, self._advice))
        return False

    def _look_at_experience(self) -> StepColumns | None:
        """A block of steps, if there is one; a log that cannot be read now must not hide all else."""
        try:
            steps = self._experience.update()
        except UserError as error:
            if str(error) != self._complaint:
                logging.warning("%s", error)
            self._complaint = str(error)
            return None
        self._complaint = ""
        return steps

    def close(self) -> None:
        """Completes the recording."""
        self._canvas.close()

    def _mark_milestones(self, status: Mapping[str, Any]) -> None:
        """As dots in the plot of the reward: at the level that means something, or where the reward is then."""
        level = self._presentation.reward_level
        height = (status["reward_recent"] or 0.0) if level is None else level.value
        for number, name in enumerate(self._presentation.milestone_names):
            reached_s = (status["milestones_s"] or {}).get(name)
            if reached_s is not None and name not in self._milestones:
                self._milestones[name] = reached_s
                path = f"learning/reward/{rr.escape_entity_path_part(name)}"
                self._canvas.name_points(path, [name], number + 2, size=8.0)
                self._canvas.mark(path, reached_s, height)

    def _renew_advice(self) -> None:
        before = {advice.title for advice in self._advice}
        self._advice = judge(self._telemetry.read())
        for advice in self._advice:
            if advice.title not in before:
                level = "ERROR" if advice.level == "bad" else "WARN"
                self._canvas.text("events", self._clock.now_s, f"{advice.title}: {advice.sentence}", level)
