"""What the actor says of itself on /diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from daydreamer.safety.states import SafetyState
from daydreamer.session.status import ActorStatus

_LEVELS = {
    SafetyState.STOPPED: DiagnosticStatus.OK,
    SafetyState.RAMPING: DiagnosticStatus.OK,
    SafetyState.RUNNING: DiagnosticStatus.OK,
    SafetyState.HOLDING: DiagnosticStatus.WARN,
    SafetyState.DAMPING: DiagnosticStatus.ERROR,
    SafetyState.EMERGENCY_STOPPED: DiagnosticStatus.ERROR,
}


def diagnostic_array(stamp: Time, node_name: str, robot: str, status: ActorStatus) -> DiagnosticArray:
    """One message with three entries: safety, control loop, learning.

    Args:
      node_name: prefix of the entries' names.
      robot: for `hardware_id`.
    """
    raised = status.watchdogs_raised or {}
    level = _LEVELS[SafetyState(status.safety_state)]
    if raised:
        level = max(level, DiagnosticStatus.WARN)
    said = f"{status.safety_state.replace('_', ' ')} ({status.safety_cause})"
    late = raised.keys() & {"command_late", "state_stale", "state_lost", "image_stale"}
    fresh = "learner starting" if status.learner_starting else "learner and policy are fresh"
    if status.learner_starting is None:
        fresh = "there is no learner: a frozen policy acts"
    silent = raised.keys() & {"learner_silent", "policy_too_old"}
    message = DiagnosticArray()
    message.header.stamp = stamp
    message.status = [
        _entry(
            f"{node_name}: safety",
            robot,
            level,
            ", ".join([said, *sorted(raised)]),
            {
                "state": status.safety_state,
                "emergency stop": status.safety_state == SafetyState.EMERGENCY_STOPPED,
                "watchdogs": ", ".join(f"{name} ({action})" for name, action in raised.items()),
                "commands changed": status.safety_events,
                **{f"commands {name}": count for name, count in (status.safety_counts or {}).items()},
                "intervention steps": status.intervention_steps,
                "notices": "; ".join(status.notices or ()),
            },
        ),
        _entry(
            f"{node_name}: control loop",
            robot,
            DiagnosticStatus.WARN if late else DiagnosticStatus.OK,
            ", ".join(sorted(late)) or "on time",
            {
                "state age s": status.state_age_s,
                **({"camera": status.camera, "image age s": status.image_age_s} if status.camera else {}),
                "rate Hz": status.control_rate_hz,
                "deadline misses": status.deadline_misses,
                **{f"jitter {name} ms": value for name, value in _summary(status.tick_jitter_ms).items()},
                **{f"step {name} ms": value for name, value in _summary(status.actor_step_ms).items()},
                "steps": status.env_steps,
            },
        ),
        _entry(
            f"{node_name}: learning",
            robot,
            DiagnosticStatus.WARN if silent else DiagnosticStatus.OK,
            ", ".join(sorted(silent)) or fresh,
            {
                "policy version": status.policy_version,
                "policy age s": status.policy_age_s,
                "learner silence s": status.learner_silence_s,
                "reward": status.reward_recent,
            },
        ),
    ]
    return message


def _entry(name: str, robot: str, level: bytes, message: str, values: Mapping[str, Any]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=robot,
        values=[KeyValue(key=key, value=_text(value)) for key, value in values.items()],
    )


def _summary(latency: Mapping[str, float | None] | None) -> Mapping[str, float | None]:
    return latency or {}


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
