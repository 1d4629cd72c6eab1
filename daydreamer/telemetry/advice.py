"""The usual failures of a learning robot, told from the data of a session, and what to do about them."""

from __future__ import annotations

from daydreamer.telemetry.rules import Advice, behavior, experience, model, processes, safety
from daydreamer.telemetry.session_telemetry import SessionTelemetry

__all__ = ["Advice", "judge"]

RULES = (*safety.RULES, *processes.RULES, *experience.RULES, *model.RULES, *behavior.RULES)


def judge(telemetry: SessionTelemetry) -> list[Advice]:
    """What the rules find, the worst first; empty if all is well."""
    found = [advice for rule in RULES if (advice := rule(telemetry))]
    return sorted(found, key=lambda advice: advice.level != "bad")
