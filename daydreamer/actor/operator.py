"""What an operator asks of a running actor, whatever it came by: keyboard, service, topic or gamepad."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable

import numpy as np

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.steering import STEERING, KeyStick
from daydreamer.contract.task import OPERATOR_AXES, Task, TaskState
from daydreamer.safety.states import SafetyState

GAMEPAD_TIMEOUT_S = 0.5
"""A gamepad that says nothing for this long has let go of the dead-man button."""

STEER = "steer"
"""Begins a line that names a key of `daydreamer.actor.steering`, where requests come as lines."""


class OperatorRequest(enum.StrEnum):
    """Attributes:
    EMERGENCY_STOP: damp and latch.
    EMERGENCY_RESET: from latched to stopped; refused while anybody holds a stop.
    PAUSE: hold the pose.
    RESUME: end a pause or what a watchdog has latched, or set out when stopped; a silent learner or an old policy that
      holds the robot is accepted as it is.
    INTERVENE: begin or end to choose the actions in the policy's place; forgotten whenever the robot is stopped.
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


class Operators:
    """What operators ask for and hold, carried out on the control loop. For the control loop's thread alone.

    Attributes:
      holders: who holds a stop now, by name, as 'e_stop from /panel'; while there is any, there is no reset.
    """

    def __init__(
        self,
        loop: ControlLoop,
        task: Task,
        on_event: Callable[..., None],
        clock: Callable[[], float],
        on_stop: Callable[[], None] = lambda: None,
    ):
        """`on_stop()` is called at every emergency stop, latched already or not, to damp the robot there and then."""
        self._on_stop = on_stop
        self._loop = loop
        self._task = task
        self._on_event = on_event
        self._clock = clock
        self._source: str | None = None
        self._is_gamepad = False
        self._activation = 0
        self._gamepad_s = -np.inf
        self._gamepad_axes = np.zeros(OPERATOR_AXES)
        self._stick, self._stick_run = KeyStick(), 0
        self._refused: set[str] = set()
        self.holders: set[str] = set()

    def request(self, request: OperatorRequest, source: str) -> Reply:
        """Does it, and says what came of it.

        Args:
          source: for the record, as 'keyboard'.
        """
        reply = getattr(self, f"_{request.value}")(source)
        self._on_event("operator", request=request.value, by=source, accepted=reply.accepted)
        return reply

    def stop_held(self, holder: str, held: bool) -> bool:
        """One of those who can hold a stop says whether they do; returns whether that is news.

        The first word of a holder is an emergency stop. That they let go resets nothing, and what one says is nothing
        that another has said: the stop is held for as long as anybody holds it. Say the same as often as you like.

        Args:
          holder: names whoever speaks, the same each time, as a topic and its publisher.
        """
        if held == (holder in self.holders):
            return False
        if held:
            self.holders.add(holder)
            self.request(OperatorRequest.EMERGENCY_STOP, holder)
        else:
            self.holders.remove(holder)
        self._on_event("stop_held", by=holder, held=held, holders=sorted(self.holders))
        return True

    def gamepad(self, axes: np.ndarray, deadman: bool, name: str = "gamepad") -> None:
        """The operator's stick as of now; intervenes for as long as the dead-man button is pressed.

        Of two gamepads the one that began steers; the other is named in an event, once each time it tries.

        Args:
          axes: `[6]`, finite, see `Task.operator_action` and `GamepadLayout.stick`.
          name: which gamepad, if there may be several.
        """
        if not deadman:
            self._refused.discard(name)
            if self._source == name:
                self._end()
            return
        if not self._loop.supervisor.active:
            return
        self._begin(name, is_gamepad=True)
        if self._source == name:
            self._gamepad_s = self._clock()
            self._gamepad_axes = axes
            self._loop.intervene(self._by_gamepad)
        elif name not in self._refused:
            self._refused.add(name)
            self._on_event("operator", request=OperatorRequest.INTERVENE.value, by=name, accepted=False)

    def steer(self, key: str, source: str) -> Reply | None:
        """A key of whoever intervenes, see `KeyStick`; it counts for the next step of this run or not at all.

        Of anybody else it means nothing, nor does it while the robot is held or begins an episode by itself.

        Returns:
          Why no key steers this robot, once each time they intervene; else None.
        """
        if self._source != source or key not in STEERING:
            return None
        if self._task.operator_stick == "pose":
            return self._refuse_keys(source)
        if self._loop.acting:
            self._stick_of_run().press(key)
        return None

    def tick(self) -> None:
        """Call every control tick: a gamepad out of reach must not go on steering, nor any operator after a stop."""
        supervisor = self._loop.supervisor
        stopped = not supervisor.active or supervisor.activations != self._activation
        out_of_reach = self._is_gamepad and self._clock() - self._gamepad_s > GAMEPAD_TIMEOUT_S
        if stopped or out_of_reach:
            self._end()

    def _emergency_stop(self, source: str) -> Reply:
        self._end()
        accepted = self._loop.supervisor.emergency_stop(source)
        self._on_stop()
        return Reply(accepted, "Emergency stop." if accepted else "The emergency stop is latched already.")

    def _emergency_reset(self, source: str) -> Reply:
        if self.holders:
            return Reply(False, f"The emergency stop is still held by {', '.join(sorted(self.holders))}; let go first.")
        accepted = self._loop.supervisor.emergency_reset(source)
        return Reply(accepted, "Reset; resume to set out." if accepted else "There is no emergency stop to reset.")

    def _pause(self, source: str) -> Reply:
        accepted = self._loop.supervisor.pause(source)
        return Reply(accepted, "Paused." if accepted else f"There is nothing to pause: {self._state}.")

    def _resume(self, source: str) -> Reply:
        supervisor = self._loop.supervisor
        if supervisor.state is SafetyState.EMERGENCY_STOPPED:
            return Reply(False, "The emergency stop is latched; reset it first.")
        if supervisor.resume(self._clock(), source):
            return Reply(True, "Resumed.")
        return Reply(False, supervisor.refusal or f"There is nothing to resume: {self._state}.")

    def _intervene(self, source: str) -> Reply:
        if self._source == source:
            self._end()
            return Reply(True, "The policy acts again.")
        if not self._loop.supervisor.active:
            return Reply(False, f"There is nothing to intervene in: {self._state}.")
        self._begin(source)
        if self._source != source:
            return Reply(False, f"The {self._source} intervenes already.")
        self._refused.discard(source)
        self._stick_run = 0
        self._loop.intervene(self._by_keys)
        if self._loop.supervisor.state is SafetyState.RUNNING:
            return Reply(True, "The operator acts.")
        return Reply(True, f"The operator acts once the robot goes on: {self._state}.")

    def _by_keys(self, state: TaskState) -> np.ndarray:
        return self._task.operator_action(self._stick_of_run().take())

    def _stick_of_run(self) -> KeyStick:
        """What was typed before the robot stood still is not meant for what it does when it goes on."""
        if self._stick_run != self._loop.supervisor.runs:
            self._stick_run = self._loop.supervisor.runs
            self._stick = KeyStick(single=self._task.spec.action.is_discrete)
        return self._stick

    def _refuse_keys(self, source: str) -> Reply | None:
        if source in self._refused:
            return None
        self._refused.add(source)
        self._on_event("operator", request=STEER, by=source, accepted=False)
        return Reply(False, "No key steers this robot: it would leap into a pose and back. Take a gamepad.")

    def _by_gamepad(self, state: TaskState) -> np.ndarray:
        return self._task.operator_action(self._gamepad_axes)

    @property
    def _state(self) -> str:
        return f"the actor is {self._loop.supervisor.state.value.replace('_', ' ')}"

    def _begin(self, source: str, is_gamepad: bool = False) -> None:
        if self._source is None:
            self._source, self._is_gamepad = source, is_gamepad
            self._activation = self._loop.supervisor.activations
            self._on_event("intervention", by=source, begins=True)

    def _end(self) -> None:
        if self._source is not None:
            self._on_event("intervention", by=self._source, begins=False)
            self._source = None
            self._loop.intervene(None)
