"""The figures that tell an operator whether a session is well, and which of them are bad."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from daydreamer.session.directory import Session

Level = Literal["good", "warn", "bad", "none"]

STATE_LEVELS: dict[str, Level] = {
    "running": "good",
    "starting": "none",
    "waiting": "warn",
    "ramping": "warn",
    "holding": "warn",
    "damping": "bad",
    "emergency_stopped": "bad",
    "crashed": "bad",
    "failed": "bad",
    "stopped": "none",
}
"""How each `robot_state` is to be taken."""

SLOW_SHARE = 0.9
"""Of the nominal control rate; below it the robot does not do what it has learned."""
LATE_SHARE = 0.001
"""Of the control ticks."""
OLD_POLICY_S, OUTDATED_POLICY_S = 20.0, 60.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """One figure; `level` is 'none' if there is nothing to judge."""

    name: str
    value: str
    level: Level = "none"


def actor_state(status: Mapping[str, Any]) -> str:
    """What has become of the actor's process; one that has not reported yet is starting."""
    actor = (status.get("processes") or {}).get("actor")
    return actor["state"] if actor else "starting"


def life_ticks(status: Mapping[str, Any]) -> int:
    """Ticks of the control loop since it began, which deadline misses are of.

    Where they were not counted those of the latest actor life; in lock-step, of all steps.
    """
    if status.get("ticks") is not None:
        return int(status["ticks"])
    logged = status["last_logged_sequence"]
    steps = logged[max(logged, key=int)] + 1 if logged else status["env_steps"] or 0
    return steps * status["ticks_per_step"]


def robot_state(status: Mapping[str, Any]) -> str:
    """What the safety supervisor does with the robot, or what has become of the process that it runs in."""
    process = actor_state(status)
    return (status.get("safety_state") or process) if process == "running" else process


def read_health(
    status: Mapping[str, Any], session: Session, scalars: Mapping[str, float] | None = None
) -> list[Reading]:
    """What an operator looks at to know that all is well; what is not known is a dash.

    Args:
      status: see `SessionStatus`, as plain values.
      scalars: newest values by TensorBoard tag, for what a status does not have.
    """
    scalars = scalars or {}
    nominal_hz = session.spec.control_rate_hz
    ticks, misses, rate_hz = life_ticks(status), status["deadline_misses"], status["control_rate_hz"]
    step_ms, replay_ms = status["actor_step_ms"] or {}, status["append_to_replay_ms"] or {}
    running = status["state"] == "running"
    age_s = status["policy_age_s"] if running else None
    late = misses is not None and ticks > 0 and misses / ticks > LATE_SHARE

    def level(bad: bool, warn: bool = False) -> str:
        return "bad" if bad else "warn" if warn else "good"

    raised = status.get("watchdogs_raised") or {}
    slow = running and rate_hz is not None and rate_hz < SLOW_SHARE * nominal_hz
    old = Reading(
        "policy age", _text(age_s, "{:.0f} s"), level((age_s or 0) > OUTDATED_POLICY_S, (age_s or 0) > OLD_POLICY_S)
    )
    own = [
        Reading("control rate", _text(rate_hz, "{:.1f} Hz"), level(slow)),
        Reading("deadline misses", _text(misses, "{:.0f}"), level(late, bool(misses))),
        Reading("control step p50, p99", f"{_text(step_ms.get('p50'), '{:.1f}')}, {_text(step_ms.get('p99'))} ms"),
        Reading(*session.driven_by) if session.driven_by else old,
        Reading(
            "watchdogs", ", ".join(name.replace("_", " ") for name in raised) or "quiet", level(False, bool(raised))
        ),
        Reading("safety interventions", _text(status["safety_events"], "{:.0f}")),
    ]
    if not session.learns:
        return own
    return [
        *own,
        Reading("step to replay p99", _text(replay_ms.get("p99"), "{:.0f} ms")),
        Reading("replay", _text(status["replay_steps"], "{:.0f} steps")),
        Reading("learns on", status.get("device") or "-", level(False, bool(status.get("idle_gpus")))),
        Reading("gradient steps/s", _text(status["updates_per_s"], "{:.1f}")),
        Reading("gradient steps", _text(status["gradient_steps"], "{:.0f}")),
        Reading("train ratio", _text(status["train_ratio"], "{:.0f}")),
        Reading("imagined per real step", _text(status["imagined_per_real_step"], "{:.0f}")),
        Reading("KL", _text(scalars.get("learner/model/kl"), "{:.2f}")),
        Reading("gradient norm", _text(scalars.get("learner/gradient_norm"))),
        Reading("actor's randomness", _text(scalars.get("learner/behavior/randomness"), "{:.2f}")),
    ]


def _text(value: float | None, template: str = "{:.1f}") -> str:
    return "-" if value is None else template.format(value)
