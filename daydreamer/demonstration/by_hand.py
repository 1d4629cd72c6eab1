"""An operator shows a task in a robot's twin, in real time; nobody learns."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import enum
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from daydreamer.actor.control_loop import StepWriter
from daydreamer.actor.simulated import SimulatedRobot, begin_life, live_a_step
from daydreamer.contract.task import OPERATOR_AXES, Task, TaskState
from daydreamer.demonstration.shown import Account, Shown
from daydreamer.errors import UserError
from daydreamer.experience.step import Step
from daydreamer.pacer import Pacer
from daydreamer.session.directory import Session

POLL_S = 0.02
"""Between two looks at what an operator does who does nothing."""


class HandRequest(enum.Enum):
    """Attributes:
    KEEP: the episode ends here; or the one that has ended is kept.
    DISCARD: it is forgotten: neither log nor events have it, though the task's own figures have counted it; likewise.
    PAUSE: the twin stands still, or goes on.
    """

    KEEP = enum.auto()
    DISCARD = enum.auto()
    PAUSE = enum.auto()


class HandLost(UserError):
    """That by which an operator drives is gone."""


class Hand(Protocol):
    """By what an operator drives. Asked on one thread."""

    def wait(self, seconds: float) -> None:
        """Lets so much time pass, and takes in what the operator does meanwhile.

        Raises:
          HandLost: see there.
        """

    def requests(self) -> Iterable[HandRequest]:
        """What has been asked for since the last call."""

    def action(self) -> np.ndarray | None:
        """What is to be done in this step `[action]`; None while nothing is: then the twin stands still."""

    def has_let_go(self) -> bool:
        """Whether what is done next is begun anew; a key that is held is silent between two repeats."""

    def begin(self) -> None:
        """An episode is to begin: what was done until now is not meant for it."""
        return

    def why(self) -> str:
        """Why nothing is to be done, if the operator is to know; else empty."""
        return ""


@dataclasses.dataclass(frozen=True)
class Scene:
    """How things are, for the operator.

    Attributes:
      episode: its number, from 1.
      state: what the task has observed last.
      note: see `Task.operator_note`.
      shown: of the episode.
      discarded: episodes so far.
      waits: why the twin stands still; empty if it does not.
    """

    episode: int
    state: TaskState
    note: str
    shown: Shown
    discarded: int
    waits: str


class Audience(Protocol):
    """Tells the operator what goes on."""

    def look(self, scene: Scene) -> None:
        """Called again and again, also while nothing happens."""

    def on_end(self, number: int, shown: Shown, how: str) -> None:
        """An episode has ended; it is kept unless the operator forgets it before the next one begins."""

    def on_verdict(self, number: int, shown: Shown, kept: bool) -> None:
        """Whether it was kept."""


class OperatedSession:
    """Logs what an operator chooses as interventions, an episode at a time, once it is known that it is to be kept.

    The twin stands still while the operator does nothing. After an episode they have to let go before they can begin
    the next one, and until then may forget the one that has ended.

    Attributes:
      kept: the episodes that are in the log.
      discarded: how many are not.
      lost: why it ended before its time, whatever was asked for; else None.
    """

    def __init__(self, session: Session, robot: SimulatedRobot, task: Task, hand: Hand, audience: Audience):
        self._session = session
        self._robot = robot
        self._task = task
        self._hand = hand
        self._audience = audience
        self._held = _HeldBack(robot)
        self._asked: HandRequest | None = None
        self._paused = self._over = False
        self._how = ""
        self._pacer = Pacer(session.spec.control_period_s, time.monotonic())
        self.kept: list[Shown] = []
        self.discarded = 0
        self.lost: HandLost | None = None

    def run(self, episodes: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Goes on until so many episodes are kept, or `stop` says so, or the hand is lost: then one that has not ended
        is forgotten.
        """
        with contextlib.ExitStack() as stack:
            self._account = Account(self._session, stack)
            between = self._held.before, self._held.before_events
            self._loop = begin_life(stack, self._session, self._robot, self._task, lambda step: None, *between)
            self._statistics = copy.deepcopy(self._loop.statistics)
            self._is_over = lambda: stop() or len(self.kept) >= episodes
            self._loop.intervene(self._choose)
            try:
                while not self._over:
                    live_a_step(self._loop, self._robot)
                    if self._held.shown.whole and not self._over:
                        self._conclude_episode()
            except HandLost as error:
                if self._held.shown.whole:
                    self._keep()
                self.lost = None if self._is_over() else error
            self._loop.statistics = self._statistics
            self._account.tell(self._loop, "stopped")

    def _choose(self, state: TaskState) -> np.ndarray:
        """What the operator does about what the task has just observed, once they do something."""
        self._hand.wait(max(0.0, self._pacer.tick_s - time.monotonic()))
        rest = self._task.operator_action(np.zeros(OPERATOR_AXES))
        at_begin = self._held.shown.whole or not self._held.shown.steps
        if state.ending is not None and not at_begin:
            self._how = state.ending
            return rest
        action = self._wait_for_action(state, at_begin)
        if self._held.shown.whole:
            self._keep()
        self._over = self._is_over()
        self._pacer.begin(time.monotonic())
        self._pacer.finish(time.monotonic())
        return rest if action is None or self._over else action

    def _wait_for_action(self, state: TaskState, at_begin: bool) -> np.ndarray | None:
        """None if the episode, or all of it, is to end."""
        has_let_go = not at_begin
        if at_begin:
            self._hand.begin()
        self._how = "time is up"
        while not self._is_over():
            self._obey(at_begin)
            if self._asked is not None:
                self._how = "ended by you"
                self._loop.end_episode()
                return None
            has_let_go = has_let_go or self._hand.has_let_go()
            action = self._hand.action()
            goes_on = action is not None and has_let_go and not self._paused
            waits = "" if goes_on else self._why(at_begin, has_let_go)
            self._audience.look(self._scene(state, waits))
            if goes_on:
                return action
            self._hand.wait(POLL_S)
        return None

    def _why(self, at_begin: bool, has_let_go: bool) -> str:
        if self._paused:
            return "PAUSED"
        if not has_let_go:
            return "let go first"
        return self._hand.why() or ("drive to begin" if at_begin else "waits for you")

    def _scene(self, state: TaskState, waits: str) -> Scene:
        shown = dataclasses.replace(self._held.shown)
        return Scene(len(self.kept) + 1, state, self._task.operator_note(), shown, self.discarded, waits)

    def _obey(self, at_begin: bool) -> None:
        for request in self._hand.requests():
            if request is HandRequest.PAUSE:
                self._paused = not self._paused
            elif not at_begin:
                self._asked = request
            elif self._held.shown.whole:
                self._keep() if request is HandRequest.KEEP else self._discard()

    def _conclude_episode(self) -> None:
        asked, self._asked = self._asked, None
        if asked is HandRequest.DISCARD:
            self._discard()
        else:
            self._audience.on_end(len(self.kept) + 1, self._held.shown, self._how)

    def _keep(self) -> None:
        shown = self._held.write(self._account)
        self.kept.append(shown)
        self._statistics = copy.deepcopy(self._loop.statistics)
        self._account.conclude_episode(self._loop)
        self._audience.on_verdict(len(self.kept), shown, kept=True)

    def _discard(self) -> None:
        shown = self._held.forget()
        self.discarded += 1
        self._loop.statistics = copy.deepcopy(self._statistics)
        self._audience.on_verdict(len(self.kept) + 1, shown, kept=False)


class _HeldBack:
    """Stands before a log, and keeps an episode's steps and its end back until it is known what becomes of them.

    Attributes:
      shown: what is kept back.
    """

    def __init__(self, robot: SimulatedRobot):
        self._robot = robot
        self._steps: list[tuple[Step, Mapping[str, float]]] = []
        self._end: dict[str, Any] = {}
        self.shown = Shown()

    def before(self, writer: StepWriter) -> StepWriter:
        """This, before `writer`."""
        self._writer = writer
        return self

    def before_events(self, record: Callable[..., None]) -> Callable[..., None]:
        """This, before `record`."""
        self._record = record
        return self.on_event

    def on_event(self, kind: str, **fields: Any) -> None:
        """See `ControlLoop`. All but the end of an episode is the robot's, whatever becomes of the episode."""
        if kind == "episode_end":
            self._end = {"wall_s": time.time()} | fields
        else:
            self._record(kind, **fields)

    def append(self, step: Step) -> None:
        """See `StepWriter`; a crash loses it."""
        self._steps.append((copy.deepcopy(step), self._robot.truth().quantities))
        self.shown.add(step)

    def write(self, account: Account) -> Shown:
        """Puts them into the log; what that was."""
        for step, truth in self._steps:
            self._writer.append(step)
            account.add(step, truth)
        if self._end:
            self._record("episode_end", **self._end | {"sequence": self._steps[-1][0].sequence})  # as in the log
        return self.forget()

    def forget(self) -> Shown:
        """They are not written; what that was."""
        shown, self.shown = self.shown, Shown()
        self._steps.clear()
        self._end = {}
        return shown
