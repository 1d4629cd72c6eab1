"""The usual failures of a learning robot, told from the data of a session, and what to do about them."""

from __future__ import annotations

from daydreamer.telemetry.rules import Advice, behavior, experience, model, processes, safety
from daydreamer.telemetry.session_telemetry import SessionTelemetry

__all__ = ["Advice", "judge"]

RULES = (*safety.RULES, *processes.RULES, *experience.RULES, *model.RULES, *behavior.RULES)

OF_LEARNING = {
    *(processes.learner_slow, processes.gpu_idle, processes.policy_old, experience.action_saturated),
    *(*model.RULES, *behavior.RULES),
}
"""Rules about what is learned, and how: where nobody learns there is nothing to be cured."""


def judge(telemetry: SessionTelemetry) -> list[Advice]:
    """What the rules find, the worst first; empty if all is well."""
    rules = [rule for rule in RULES if telemetry.session.learns or rule not in OF_LEARNING]
    found = [advice for rule in rules if (advice := rule(telemetry))]
    return sorted(found, key=lambda advice: advice.level != "bad")
