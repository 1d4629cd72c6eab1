import re
from pathlib import Path

import pytest

from daydreamer.safety.states import TRANSITIONS, SafetyState, StateMachine, Trigger, mermaid

DOCUMENT = Path(__file__).parents[2] / "docs" / "safety.md"


def test_the_diagram_in_the_documentation_is_the_table_in_the_code():
    (diagram,) = re.findall(r"```mermaid\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    assert diagram == mermaid()


def test_only_an_operator_leaves_the_latched_state():
    latched = SafetyState.EMERGENCY_STOPPED
    assert [trigger for before, trigger in TRANSITIONS if before is latched] == [Trigger.EMERGENCY_RESET]
    assert TRANSITIONS[latched, Trigger.EMERGENCY_RESET] is SafetyState.STOPPED


def test_from_everywhere_else_the_emergency_stop_latches():
    for state in set(SafetyState) - {SafetyState.EMERGENCY_STOPPED}:
        assert TRANSITIONS[state, Trigger.EMERGENCY_STOP] is SafetyState.EMERGENCY_STOPPED


def test_nothing_runs_that_has_not_been_ramped():
    entries = {before for (before, _), after in TRANSITIONS.items() if after is SafetyState.RUNNING}
    assert entries == {SafetyState.RAMPING, SafetyState.HOLDING}
    assert TRANSITIONS[SafetyState.STOPPED, Trigger.ACTIVATE] is SafetyState.RAMPING


@pytest.mark.parametrize("state", SafetyState)
@pytest.mark.parametrize("trigger", Trigger)
def test_the_machine_does_what_the_table_says_and_nothing_else(state, trigger):
    told = []
    machine = StateMachine(lambda **fields: told.append(fields))
    machine.state = state
    after = TRANSITIONS.get((state, trigger))
    assert machine.fire(trigger, "test") is (after is not None)
    assert machine.state is (after or state)
    expected = {"before": state, "after": after, "trigger": trigger, "cause": "test"}
    assert told == ([expected] if after else [])
