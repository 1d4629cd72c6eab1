"""What an operator asks of a running actor, whatever it came by: keyboard, service, topic or gamepad."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.robots.base import Task
from daydreamer.safety.states import SafetyState

GAMEPAD_TIMEOUT_S = 0.5
"""A gamepad that says nothing for this long has let go of the dead-man button."""

AXES = 4


class OperatorRequest(enum.StrEnum):
    """Attributes:
    EMERGENCY_STOP: damp and latch.
    EMERGENCY_RESET: from latched to stopped.
    PAUSE: hold the pose.
    RESUME: end a pause, or set out when stopped; accepts a silent learner and an old policy as they are.
    INTERVENE: begin or end to choose the actions in the policy's place.
    """

    EMERGENCY_STOP = "emergency_stop"
    EMERGENCY_RESET = "emergency_reset"
    PAUSE = "pause"
    RESUME = "resume"
    INTERVENE = "intervene"


@dataclasses.dataclass(frozen=True)
class Reply:
    """Attributes:
    accepted: whether the request changed anything.
    message: one sentence for the operator.
    """

    accepted: bool
    message: str


class OperatorDesk:
    """Carries out requests on the control loop. Not thread-safe: called by the control loop's thread.

    Attributes:
      held: a stop that is pressed somewhere, as on the topic `e_stop`; as long as it is, there is no reset.
    """

    def __init__(self, loop: ControlLoop, task: Task, on_event: Callable[..., None], clock: Callable[[], float]):
        self._loop = loop
        self._task = task
        self._on_event = on_event
        self._clock = clock
        self._source: str | None = None
        self._gamepad_s = -np.inf
        self.held = False

    def request(self, request: OperatorRequest, source: str) -> Reply:
        """Does it, and says what came of it.

        Args:
          source: for the record, as 'keyboard'.
        """
        reply = getattr(self, f"_{request.value}")(source)
        self._on_event("operator", request=request.value, by=source, accepted=reply.accepted)
        return reply

    def gamepad(self, axes: np.ndarray, deadman: bool) -> None:
        """The operator's stick as of now; intervenes for as long as the dead-man button is pressed.

        Args:
          axes: `[4]`, see `Task.operator_action`.
        """
        source = "gamepad"
        if deadman:
            self._gamepad_s = self._clock()
            self._begin(source)
            if self._source == source:
                self._loop.intervene(self._task.operator_action(axes))
        elif self._source == source:
            self._end()

    def tick(self) -> None:
        """Call every control tick: a gamepad out of reach must not go on steering."""
        if self._source == "gamepad" and self._clock() - self._gamepad_s > GAMEPAD_TIMEOUT_S:
            self._end()

    def _emergency_stop(self, source: str) -> Reply:
        self._end()
        accepted = self._loop.supervisor.emergency_stop(source)
        return Reply(accepted, "Emergency stop." if accepted else "The emergency stop is latched already.")

    def _emergency_reset(self, source: str) -> Reply:
        if self.held:
            return Reply(False, "The emergency stop is still pressed on the topic e_stop; release it there first.")
        accepted = self._loop.supervisor.emergency_reset(source)
        return Reply(accepted, "Reset; resume to set out." if accepted else "There is no emergency stop to reset.")

    def _pause(self, source: str) -> Reply:
        accepted = self._loop.supervisor.pause(source)
        return Reply(accepted, "Paused." if accepted else f"There is nothing to pause: {self._state}.")

    def _resume(self, source: str) -> Reply:
        supervisor = self._loop.supervisor
        if supervisor.state is SafetyState.EMERGENCY_STOPPED:
            return Reply(False, "The emergency stop is latched; reset it first.")
        accepted = supervisor.resume(self._clock(), source)
        return Reply(accepted, "Resumed." if accepted else f"There is nothing to resume: {self._state}.")

    def _intervene(self, source: str) -> Reply:
        if self._source == source:
            self._end()
            return Reply(True, "The policy acts again.")
        self._begin(source)
        if self._source != source:
            return Reply(False, f"The {self._source} intervenes already.")
        self._loop.intervene(self._task.operator_action(np.zeros(AXES)))
        return Reply(True, "The operator acts.")

    @property
    def _state(self) -> str:
        return f"the actor is {self._loop.supervisor.state.value.replace('_', ' ')}"

    def _begin(self, source: str) -> None:
        if self._source is None:
            self._source = source
            self._on_event("intervention", by=source, begins=True)

    def _end(self) -> None:
        if self._source is not None:
            self._on_event("intervention", by=self._source, begins=False)
            self._source = None
            self._loop.intervene(None)
