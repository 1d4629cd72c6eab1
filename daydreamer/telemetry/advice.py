"""The usual failures of a learning robot, told from the data of a session, and what to do about them."""

from __future__ import annotations

from daydreamer.session.directory import Session
from daydreamer.telemetry.evidence import Evidence, EvidenceReader
from daydreamer.telemetry.rules import Advice, behavior, experience, model, processes, safety

__all__ = ["Advice", "Advisor", "advise", "judge"]

RULES = (*safety.RULES, *processes.RULES, *experience.RULES, *model.RULES, *behavior.RULES)


def advise(session: Session) -> list[Advice]:
    """What is wrong with a session, from its files alone, the worst first; empty if all is well."""
    return Advisor(session).advise()


class Advisor:
    """Advises on one session again and again, as a dashboard does; cheaper than `advise` each time."""

    def __init__(self, session: Session):
        self._evidence = EvidenceReader(session)

    def advise(self) -> list[Advice]:
        """See `advise`."""
        return judge(self._evidence.read())


def judge(evidence: Evidence) -> list[Advice]:
    """What the rules find, the worst first."""
    found = [advice for rule in RULES if (advice := rule(evidence))]
    return sorted(found, key=lambda advice: advice.level != "bad")
