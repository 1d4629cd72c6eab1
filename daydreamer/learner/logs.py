"""Recorded sessions that another one learns from offline: what they hold, what is kept aside, and what is missing."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.dream import dreamed_steps, spread_windows
from daydreamer.learner.inherited import InheritedWriter, read_held_out_experience
from daydreamer.learner.sound import is_sound
from daydreamer.learner.sources import describe_source, open_sources, require_same_robot, total_reward, wanted_steps
from daydreamer.replay import inheritable
from daydreamer.session.demonstrated import Recorded
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.known_motions import hand_down
from daydreamer.spec import RobotSpec

HELD_OUT_SHARE = 0.1
"""Of each log, its end, by which the model is judged."""
LEAST_CHANGE = 0.02
"""Of an action, which goes from -1 to 1, or of a measurement, with which it counts as another one."""
_WHAT = "logs"


@dataclasses.dataclass
class _Range:
    """What numbers that come in blocks of `[steps, numbers]` have ranged over."""

    lowest: np.ndarray | float = math.inf
    highest: np.ndarray | float = -math.inf

    def add(self, values: np.ndarray) -> None:
        self.lowest = np.minimum(self.lowest, values.min(0))
        self.highest = np.maximum(self.highest, values.max(0))

    def join(self, other: _Range) -> _Range:
        return _Range(np.minimum(self.lowest, other.lowest), np.maximum(self.highest, other.highest))

    @property
    def width(self) -> float:
        """Of the number that differs most; negative if there is none."""
        return float(np.max(np.asarray(self.highest) - self.lowest, initial=-math.inf))


@dataclasses.dataclass
class _Log:
    """What a session has recorded.

    Attributes:
      steps: that can be learned from.
      reward: of all of them.
      actions, measurements, rewards: how much they differ.
    """

    session: Session
    steps: int = 0
    reward: float = 0.0
    actions: _Range = dataclasses.field(default_factory=_Range)
    measurements: _Range = dataclasses.field(default_factory=_Range)
    rewards: _Range = dataclasses.field(default_factory=_Range)

    def add(self, steps: Sequence[Step]) -> None:
        self.steps += len(steps)
        self.reward += total_reward(steps)
        self.actions.add(np.array([np.ravel(step.action_requested) for step in steps]))
        self.rewards.add(np.array([[step.reward] for step in steps]))
        spaces = self.session.spec.observation.items()
        vectors = [key for key, space in spaces if not space.is_image]
        if vectors:
            rows = [np.concatenate([np.ravel(step.observation[key]) for key in vectors]) for step in steps]
            self.measurements.add(np.array(rows))


class Logs:
    """Sessions that one without a robot of its own learns from.

    Attributes:
      minutes: of robot time that were recorded in all and can be learned from.
    """

    def __init__(self, sessions: Sequence[Session]):
        """Reads all that was logged; see `read_logs`."""
        self._logs = list(map(_examine, sessions))
        self.minutes = sum(log.steps * log.session.spec.control_period_s for log in self._logs) / 60.0

    def require_fit(self, spec: RobotSpec, config: SessionConfig) -> None:
        """Refuses what a session of these settings cannot learn from.

        Raises:
          SpecMismatch: one is of another robot or task.
          UserError: one is too short, all of them are, or too long; or in all of them there is only one behaviour.
        """
        require_same_robot([log.session for log in self._logs], spec, _WHAT)
        learner = config.learner
        if learner.replays_others:
            raise UserError(
                "Offline all that is replayed is of the logs: leave out learner.inherited_share and "
                "learner.demonstration_share. A session with demonstrations is a log as any other."
            )
        window = sum(dreamed_steps(spec, learner))
        least = learner.batch_length + window
        for log in self._logs:
            if log.steps < least:
                raise UserError(
                    f"In {log.session.path} there are {log.steps} steps that can be learned from, fewer than {least}: "
                    f"a sequence of {learner.batch_length}, and {window} that are held out. Let it run for "
                    f"{(least - log.steps) * spec.control_period_s:.0f} s more, or leave it out."
                )
        steps, batch = sum(each.steps for each in self.recorded(config)), learner.batch_size * learner.batch_length
        if steps < batch:
            raise UserError(
                f"In all logs there are {steps} steps that are not held out, fewer than a batch of {batch}. Record "
                f"{(batch - steps) * spec.control_period_s:.0f} s more, or set a smaller learner.batch_size."
            )
        if steps > (room := inheritable(spec, learner, alone=True)):
            raise UserError(
                f"The logs have {steps} steps, and the replay holds {room}; raise learner.replay_capacity and "
                "learner.replay_bytes, or name fewer logs."
            )
        self._require_variety(spec)

    def _require_variety(self, spec: RobotSpec) -> None:
        """Refuses logs of which nothing could be learned that is not in one of their steps."""
        logs = " and ".join(str(log.session.path) for log in self._logs)
        if _width(log.actions for log in self._logs) < LEAST_CHANGE:
            raise UserError(
                f"In {logs} the action is always the same: what others would do cannot be learned from it. Name "
                "another log beside, as one with random actions."
            )
        if 0.0 <= _width(log.measurements for log in self._logs) < LEAST_CHANGE:
            raise UserError(
                f"In {logs} the robot never moved: all that it measured stayed as it was. Name another in which it "
                "moves."
            )
        if not _width(log.rewards for log in self._logs):
            raise UserError(f"In {logs} each step earned the same: nothing says what is better. Name another beside.")

    def recorded(self, config: SessionConfig) -> tuple[Recorded, ...]:
        """What the session that learns from them is to know of each."""
        described = []
        for log in self._logs:
            window = sum(dreamed_steps(log.session.spec, config.learner))
            held_out = max(window, round(HELD_OUT_SHARE * log.steps))
            fields = describe_source(log.session, log.steps, log.reward) | {"steps": log.steps - held_out}
            described.append(Recorded(**fields, held_out_steps=held_out))
        return tuple(described)

    def endow(self, session: Session) -> None:
        """Puts their steps into the directory of a session that is being made, the held-out ones apart.

        With them goes what the first that knows it knows of getting up.

        Raises:
          UserError: the disk failed, they cannot be read any more, or see `find_held_out`.
        """
        learned, held_out = InheritedWriter(session), InheritedWriter(session, session.held_out)
        events = EventLog(session.events)
        for each, log in zip(session.record.logs, self._logs, strict=True):
            tail = ExperienceTail(log.session.experience, log.session.spec)
            taken = learned.copy(tail, is_sound, each.steps), held_out.copy(tail, is_sound, each.held_out_steps)
            if taken != (each.steps, each.held_out_steps):
                raise UserError(f"The logs in {each.path} have become shorter while they were read; try again.")
            events.record("logs", "learner", path=each.path, taken_steps=taken[0], held_out_steps=taken[1])
        find_held_out(session, 1)
        for log in reversed(self._logs):  # so that what the first of them knows stays
            hand_down(log.session, session)


def read_logs(directories: Sequence[Path]) -> Logs:
    """What some sessions have recorded, whether they are at work or not.

    Raises:
      UserError: one of them is none, is named twice, or is damaged.
    """
    return Logs(open_sources(directories, _WHAT))


def find_held_out(
    session: Session, most: int, on_event: Callable[..., None] = lambda kind, **fields: None
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The steps by which a session is judged, and where at most so many stretches of them begin, spread evenly.

    Raises:
      UserError: there is no stretch without a gap that is as long as what is predicted.
    """
    rows = read_held_out_experience(session, on_event)
    length = sum(dreamed_steps(session.spec, session.config.learner))
    if rows is None or not len(starts := spread_windows(rows["is_first"], length, most)):
        raise UserError(
            f"The end of the logs, which is held out, has no stretch of {length * session.spec.control_period_s:.1f} s "
            "without a gap or the start of an episode: let them run on, or set a shorter learner.dream_horizon_s."
        )
    return rows, starts


def _examine(session: Session) -> _Log:
    log = _Log(session)
    for steps in wanted_steps(session, _WHAT, is_sound):
        log.add(steps)
    return log


def _width(ranges: Iterable[_Range]) -> float:
    return functools.reduce(_Range.join, ranges, _Range()).width
