"""What the actor may do to the robot: six states, and one table of everything that leads from one to another."""

from __future__ import annotations

import enum
from collections.abc import Callable


class SafetyState(enum.StrEnum):
    """Attributes:
    STOPPED: nothing is commanded; where everything starts.
    RAMPING: slowly from the measured pose to the robot's ramp pose.
    RUNNING: the policy, or an intervening operator, chooses. The only state whose steps are experience.
    HOLDING: the last pose is commanded.
    DAMPING: no torque but viscous damping.
    EMERGENCY_STOPPED: damped, and latched until an operator resets it.
    """

    STOPPED = "stopped"
    RAMPING = "ramping"
    RUNNING = "running"
    HOLDING = "holding"
    DAMPING = "damping"
    EMERGENCY_STOPPED = "emergency_stopped"


class Trigger(enum.StrEnum):
    """Attributes:
    ACTIVATE, DEACTIVATE: by the operator, or by the actor's life cycle.
    RAMP_DONE: the ramp has reached its pose.
    HOLD, DAMP: a watchdog has tripped or the operator pauses.
    RELEASE: no cause to hold is left; RELEASE_TO_RAMP if the ramp had not been finished.
    RECOVER: no cause to damp or to hold is left.
    EMERGENCY_STOP, EMERGENCY_RESET: by the operator.
    """

    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    RAMP_DONE = "ramp_done"
    HOLD = "hold"
    DAMP = "damp"
    RELEASE = "release"
    RELEASE_TO_RAMP = "release_to_ramp"
    RECOVER = "recover"
    EMERGENCY_STOP = "emergency_stop"
    EMERGENCY_RESET = "emergency_reset"


_S, _T = SafetyState, Trigger

TRANSITIONS: dict[tuple[SafetyState, Trigger], SafetyState] = {
    (_S.STOPPED, _T.ACTIVATE): _S.RAMPING,
    (_S.RAMPING, _T.RAMP_DONE): _S.RUNNING,
    (_S.RAMPING, _T.HOLD): _S.HOLDING,
    (_S.RUNNING, _T.HOLD): _S.HOLDING,
    (_S.HOLDING, _T.RELEASE): _S.RUNNING,
    (_S.HOLDING, _T.RELEASE_TO_RAMP): _S.RAMPING,
    (_S.RAMPING, _T.DAMP): _S.DAMPING,
    (_S.RUNNING, _T.DAMP): _S.DAMPING,
    (_S.HOLDING, _T.DAMP): _S.DAMPING,
    (_S.DAMPING, _T.RECOVER): _S.RAMPING,
    (_S.RAMPING, _T.DEACTIVATE): _S.STOPPED,
    (_S.RUNNING, _T.DEACTIVATE): _S.STOPPED,
    (_S.HOLDING, _T.DEACTIVATE): _S.STOPPED,
    (_S.DAMPING, _T.DEACTIVATE): _S.STOPPED,
    (_S.STOPPED, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,
    (_S.RAMPING, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,
    (_S.RUNNING, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,
    (_S.HOLDING, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,
    (_S.DAMPING, _T.EMERGENCY_STOP): _S.EMERGENCY_STOPPED,
    (_S.EMERGENCY_STOPPED, _T.EMERGENCY_RESET): _S.STOPPED,
}
"""All there is: a trigger in a state that is not listed changes nothing."""


class StateMachine:
    """Walks through `TRANSITIONS`.

    Attributes:
      state: now; only `fire` changes it.
    """

    def __init__(self, on_transition: Callable[..., None] = lambda **fields: None):
        """Stopped. `on_transition(before, after, trigger, cause)` is called after every change."""
        self.state = SafetyState.STOPPED
        self._on_transition = on_transition

    def fire(self, trigger: Trigger, cause: str = "") -> bool:
        """Whether the trigger led to another state.

        Args:
          cause: what is behind it, for the record.
        """
        after = TRANSITIONS.get((self.state, trigger))
        if after is None:
            return False
        before, self.state = self.state, after
        self._on_transition(before=before.value, after=after.value, trigger=trigger.value, cause=cause)
        return True


def mermaid() -> str:
    """`TRANSITIONS` as the text of a mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {SafetyState.STOPPED}"]
    lines += [f"    {before} --> {after}: {trigger}" for (before, trigger), after in TRANSITIONS.items()]
    return "\n".join(lines)
